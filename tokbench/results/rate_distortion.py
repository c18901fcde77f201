"""Rate–distortion curves out of rows: families, Bjøntegaard deltas, the Pareto front."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tokbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.results.schema import Row

Fit = Literal["pchip", "cubic"]

_KNOB = re.compile(r"-[a-z]?\d+$")


@dataclass(frozen=True)
class Point:
    """One operating point.

    Attributes:
        tokenizer: tokenizer name.
        view: view name, "" for the clean round trip.
        rate: what it costs, e.g. bits per pixel.
        quality: what it gives, in the quality metric's own direction.
    """

    tokenizer: str
    view: str
    rate: float
    quality: float


@dataclass(frozen=True)
class Curve:
    """The points of one family on one image set, by ascending rate.

    Attributes:
        dataset: image-set name.
        protocol: protocol name.
        family: what the points have in common.
        metric: the quality metric.
        higher_is_better: its direction.
        points: at least one.
    """

    dataset: str
    protocol: str
    family: str
    metric: str
    higher_is_better: bool
    points: tuple[Point, ...]


def family_of(tokenizer: str) -> str:
    """Return a tokenizer's name without the knob at its end: ``jpeg-q50`` is one of ``jpeg``."""
    return _KNOB.sub("", tokenizer)


def curves(
    rows: Iterable[Row],
    quality: str = "psnr",
    *,
    rate: str = "bpp",
    families: Mapping[str, str] | None = None,
) -> list[Curve]:
    """Gather rows into curves.

    The clean points of tokenizers of one family make a curve: a codec's quality sweep. A tokenizer that was measured
    in views that cut its codes short (``k=…``) makes a curve of its own, its clean point the last.

    Args:
        rows: rows of one or several runs.
        quality: the metric on the vertical axis; unreliable values are left out, as they must not be ranked.
        rate: the metric on the horizontal axis.
        families: ``{tokenizer: family}``; by default the name without its last part where that is a number with at
            most one letter before it.

    Returns:
        Curves in the order their first rows came.

    Raises:
        UsageError: no row has this metric, or it has no direction.
    """
    values: dict[tuple[str, str, str, str], dict[str, Row]] = {}
    for row in rows:
        if row.metric in {quality, rate} and _usable(row):
            # A metric measured in several tasks of a run is one measurement.
            values.setdefault((row.dataset, row.protocol, row.tokenizer, row.view), {})[row.metric] = row
    whole = {place: pair for place, pair in values.items() if len(pair) == len({quality, rate})}
    if not whole:
        raise UsageError(
            f"no tokenizer has both `{quality}` and `{rate}`", hint="run the task rate-distortion"
        )
    direction = next(iter(whole.values()))[quality].higher_is_better
    if direction is None:
        raise UsageError(
            f"`{quality}` has no better end", hint="choose a quality metric such as psnr or feat_lite0"
        )
    cut = {place[:3] for place in whole if place[3]}
    found: dict[tuple[str, str, str], list[Point]] = {}
    for (dataset, protocol, tokenizer, view), pair in whole.items():
        alone = (dataset, protocol, tokenizer) in cut
        family = tokenizer if alone else (families or {}).get(tokenizer, family_of(tokenizer))
        point = Point(tokenizer, view, pair[rate].value, pair[quality].value)
        found.setdefault((dataset, protocol, family), []).append(point)
    return [
        Curve(*place, quality, direction, tuple(sorted(points, key=lambda point: point.rate)))
        for place, points in found.items()
    ]


def _usable(row: Row) -> bool:
    truncated = row.view.startswith("k=")
    return row.status == "ok" and row.reliable and math.isfinite(row.value) and (truncated or not row.view)


def pareto(points: Iterable[Point], *, higher_is_better: bool = True) -> list[Point]:
    """Return the points that no other beats: none is as cheap and better, or cheaper and as good.

    Args:
        points: any points of one metric; equal ones stay together.
        higher_is_better: direction of their quality.

    Returns:
        The front by ascending rate.
    """
    sign = 1.0 if higher_is_better else -1.0
    ordered = sorted(points, key=lambda point: (point.rate, -sign * point.quality))
    front: list[Point] = []
    for point in ordered:
        last = front[-1] if front else None
        same = last is not None and (point.rate, point.quality) == (last.rate, last.quality)
        if last is None or same or sign * point.quality > sign * last.quality:
            front.append(point)
    return front


def bd_rate(anchor: Curve, test: Curve, fit: Fit = "pchip") -> float:
    """Return the mean difference in rate at equal quality, in percent; negative where `test` is cheaper.

    Bjøntegaard's delta (VCEG-M33): log10 of the rate as a function of quality, integrated over the qualities that both
    curves reach.

    Args:
        anchor: the curve compared with; its points need strictly better quality at higher rate.
        test: the curve in question, of the same metric on the same images.
        fit: ``pchip`` goes through all points without overshoot (as JCT-VC does, two points or more); ``cubic`` is the
            classic least-squares cubic (four or more).

    Raises:
        UsageError: the curves cannot be compared: too few points, no overlap, another metric or image set.
    """
    _comparable(anchor, test)
    first, second = (_sides(curve, fit) for curve in (anchor, test))
    mean = _mean_gap((first[1], first[0]), (second[1], second[0]), fit, "quality")
    return float((10**mean - 1) * 100)


def bd_quality(anchor: Curve, test: Curve, fit: Fit = "pchip") -> float:
    """Return the mean difference in quality at equal rate, in the metric's unit and own direction.

    Bjøntegaard's delta (VCEG-M33): quality as a function of log10 of the rate, integrated over the rates that both
    curves reach. Arguments and errors are those of `bd_rate`.
    """
    _comparable(anchor, test)
    mean = _mean_gap(_sides(anchor, fit), _sides(test, fit), fit, "rate")
    return mean if anchor.higher_is_better else -mean


Side = tuple["npt.NDArray[np.float64]", "npt.NDArray[np.float64]"]


def _comparable(anchor: Curve, test: Curve) -> None:
    for name in ("metric", "dataset", "protocol"):
        one, other = getattr(anchor, name), getattr(test, name)
        if one != other:
            raise UsageError(
                f"`{test.family}` cannot be compared with `{anchor.family}`: {name} {other} against {one}",
                hint="compare curves of one metric on one image set by one protocol",
            )


def _sides(curve: Curve, fit: Fit) -> Side:
    """Return log10 rates and qualities (higher better), both ascending."""
    import numpy as np

    needed = {"pchip": 2, "cubic": 4}[fit]
    if len(curve.points) < needed:
        raise UsageError(
            f"`{curve.family}` has {len(curve.points)} points, a {fit} fit needs {needed}",
            hint="measure more qualities or lengths",
        )
    rates = np.array([point.rate for point in curve.points], float)
    qualities = np.array([point.quality for point in curve.points], float)
    if not curve.higher_is_better:
        qualities = -qualities
    if rates[0] <= 0 or (np.diff(rates) <= 0).any() or (np.diff(qualities) <= 0).any():
        raise UsageError(
            f"`{curve.family}` does not get strictly better with rate, so it has no Bjøntegaard delta",
            hint="leave out the points beside `pareto`",
        )
    return np.log10(rates), qualities


def _mean_gap(anchor: Side, test: Side, fit: Fit, axis: str) -> float:
    """Return the mean of test minus anchor over the common part of the first axis."""
    low, high = max(anchor[0][0], test[0][0]), min(anchor[0][-1], test[0][-1])
    if low >= high:
        raise UsageError(
            f"the curves have no {axis} in common", hint="measure qualities or lengths that reach each other"
        )
    areas = [_integral(side, float(low), float(high), fit) for side in (anchor, test)]
    return float((areas[1] - areas[0]) / (high - low))


def _integral(side: Side, low: float, high: float, fit: Fit) -> float:
    import numpy as np
    from scipy import interpolate  # type: ignore[import-untyped, unused-ignore]

    x, y = side
    if fit == "pchip":
        return float(interpolate.PchipInterpolator(x, y).integrate(low, high))
    # Centred, because the powers of a quality of 40 dB are badly conditioned.
    whole = np.polyint(np.polyfit(x - x.mean(), y, 3))
    return float(np.polyval(whole, high - x.mean()) - np.polyval(whole, low - x.mean()))


def deltas(found: Sequence[Curve], anchor: str, fit: Fit = "pchip") -> list[dict[str, Any]]:
    """Compare every curve with the anchor's of the same image set.

    Args:
        found: curves of one metric.
        anchor: family of the anchor.
        fit: as for `bd_rate`.

    Returns:
        One mapping a curve: dataset, protocol, family, ``bd_rate`` (percent), ``bd_quality``, and the reason where
        they are NaN.

    Raises:
        UsageError: no curve is of the anchor's family.
    """
    anchors = {(curve.dataset, curve.protocol): curve for curve in found if curve.family == anchor}
    if not anchors:
        known = ", ".join(sorted({curve.family for curve in found}))
        raise UsageError(f"no curve of `{anchor}`", hint=f"families are {known}")
    lines = []
    for curve in found:
        against = anchors.get((curve.dataset, curve.protocol))
        if against is None or curve is against:
            continue
        line: dict[str, Any] = {name: getattr(curve, name) for name in ("dataset", "protocol", "family")}
        try:
            line |= {
                "bd_rate": bd_rate(against, curve, fit),
                "bd_quality": bd_quality(against, curve, fit),
                "reason": "",
            }
        except UsageError as error:
            line |= {"bd_rate": math.nan, "bd_quality": math.nan, "reason": error.message}
        lines.append(line)
    return lines
