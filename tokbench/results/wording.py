"""A difference in plain words: who, how much, of what, and how sure."""

from __future__ import annotations

import math
from typing import Literal

Finding = Literal["certain", "likely", "none", "equal", "unreliable", "unknown", "unsupported"]
"""What a comparison found.

``certain``: interval and corrected p-value exclude no change. ``likely``: the interval alone does. ``none``: no
difference was seen. ``equal``: the two are exactly the same, on every image or in every jackknife group.
``unreliable``: the metric must not be ranked on so few images. ``unknown``: there is no interval. ``unsupported``: one
side was not measured.
"""

_COUNTED = {
    "t_acc": ("reads", "words"),
    "cer": ("misreads", "characters"),
    "wer": ("misreads", "words"),
    "bpp": ("spends", "bits"),
    "bits": ("spends", "bits"),
    "tokens": ("spends", "tokens"),
    "codebook_usage": ("uses", "codebook entries"),
}
"""Metrics that count something: verb and noun, by name."""

_BINS = ("small", "medium", "large")


def effect(
    who: str,
    metric: str,
    unit: str,
    higher_is_better: bool | None,
    values: tuple[float, float],
    interval: tuple[float, float],
    finding: Finding,
    reason: str = "",
) -> str:
    """Say what a difference means.

    Args:
        who: label of the side that differs from the reference.
        metric: name of the metric, with its view if any.
        unit: its unit.
        higher_is_better: its direction.
        values: of the reference and of `who`.
        interval: 95 % interval of the difference.
        finding: what was found.
        reason: why there is no certainty, for `unreliable` and `unsupported`.

    Returns:
        E.g. ``B reads 3.1 % more words, certain``; ``no difference seen in ssim (±0.002)``.
    """
    if finding == "unsupported":
        return f"{metric} not compared: {reason}"
    if finding == "equal":
        return f"{metric} is exactly the same"
    if finding == "none":
        half = (interval[1] - interval[0]) / 2
        return f"no difference seen in {metric} (±{amount(half)}{_unit(unit)})"
    said = _said(who, metric, unit, higher_is_better, values)
    sure = {"unreliable": f"not certain: {reason}", "unknown": "no interval known"}.get(finding, finding)
    return f"{said}, {sure}"


def amount(value: float) -> str:
    """Write a size with two significant digits, never as a zero that it is not."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "–" if math.isnan(value) else "-∞"
    if value == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    if digits > 6:
        return f"{value:.1e}"
    rounded = round(value, digits)
    return f"{rounded:,.{max(0, digits)}f}"


def _said(
    who: str, metric: str, unit: str, higher_is_better: bool | None, values: tuple[float, float]
) -> str:
    a, b = values
    up = b > a
    name, _, view = metric.partition("@")
    if math.isinf(a) or math.isinf(b):
        exact, other = ("the reference", who) if math.isinf(a) else (who, "the reference")
        return f"{exact} is exact in {metric}, {other} is not"
    counted = _counted(name)
    if counted and a > 0:
        verb, noun, part = counted
        where = f" ({', '.join(each for each in (part, view) if each)})" if part or view else ""
        return f"{who} {verb} {_percent(a, b)} {'more' if up else 'fewer'} {noun}{where}"
    if unit == "dB" and higher_is_better:
        label = name.upper() if name in {"psnr"} else name
        return f"{who} {'gains' if up else 'loses'} {amount(abs(b - a))} dB {label}{f' at {view}' if view else ''}"
    # Distances have no natural scale: a share of the reference says more than their number does.
    relative = not unit and higher_is_better is False and a > 0
    size = _percent(a, b) if relative else f"{amount(abs(b - a))}{_unit(unit)}"
    judged = "" if higher_is_better is None else f" ({'better' if up == higher_is_better else 'worse'})"
    return f"{who} has {size} {'higher' if up else 'lower'} {metric}{judged}"


def _counted(name: str) -> tuple[str, str, str] | None:
    """Return verb, noun and scale bin of a metric that counts something; None for others."""
    stem, _, rest = name.rpartition("_")
    if rest in _BINS and stem in _COUNTED:
        return (*_COUNTED[stem], rest)
    return (*_COUNTED[name], "") if name in _COUNTED else None


def _percent(a: float, b: float) -> str:
    share = 100 * abs(b - a) / a
    return f"{amount(share)} %"


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""
