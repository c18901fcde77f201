"""Comparing tokenizers on the same images: differences, how sure they are, and the images that changed most."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokbench.errors import UsageError
from tokbench.metrics.base import GROUPS
from tokbench.metrics.paired import Difference, holm, of_images, of_replicates
from tokbench.results.comparable import check_comparable, common_places
from tokbench.results.comparison import Changed, Compared, Comparison
from tokbench.results.wording import effect

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from tokbench.catalog import Catalog
    from tokbench.results.results import Results
    from tokbench.results.side import Measured, Part, Place, Side
    from tokbench.results.wording import Finding

LEVEL = 0.05


def compare(
    reference: Results | Path | str,
    *others: Results | Path | str,
    run: Results | Path | str | None = None,
    seed: int = 0,
    top: int = 5,
    catalog: Catalog | None = None,
) -> Comparison:
    """Compare tokenizers with a reference on the same images.

    Args:
        reference: what the others are compared with: a run of one tokenizer (`Results` or its folder),
            ``FOLDER:TOKENIZER``, or with `run` the name of a tokenizer.
        others: likewise, one or more; with none, and `reference` a run of several tokenizers, its first tokenizer is
            the reference and the rest are the others.
        run: the run that names of tokenizers refer to.
        seed: of resampling and swapping.
        top: how many of the images that changed most to list for each task.
        catalog: where the tasks of the runs are looked up; by default this installation.

    Raises:
        UsageError: an argument is neither a run nor a tokenizer of one, or there is nothing to compare.
        IncomparableError: protocol, image set, seed, weights of an evaluator or definitions of metrics differ.
        IntegrityError: a results folder is damaged.
    """
    from tokbench.results.sources import open_sides

    first, *rest = open_sides((reference, *others), run=run, catalog=catalog)
    return compare_sides(first, rest, seed=seed, top=top)


def compare_sides(reference: Side, others: Sequence[Side], *, seed: int = 0, top: int = 5) -> Comparison:
    """Compare sides that are already loaded.

    Args:
        reference: what the others are compared with.
        others: at least one.
        seed: of resampling and swapping.
        top: how many images to list for each task.

    Raises:
        IncomparableError: a side is of another protocol, image set, seed, evaluator or metric definition.
        UsageError: a side has no results because its tokenizer failed.
    """
    for side in (reference, *others):
        if side.broken:
            raise UsageError(f"`{side.label}` has no results in `{side.origin}`: {side.broken}")
    rows: list[Compared] = []
    changed: list[Changed] = []
    left_out: dict[str, None] = {}
    for other in others:
        for place in common_places(reference, other):
            check_comparable(reference, other, place)
            rows += differences(reference, other, place, seed=seed)
            changed += _most_changed(reference, other, place, top)
            left_out |= dict.fromkeys(_left_out(reference, other, place))
        for side, wanted in ((reference, other), (other, reference)):
            for dataset, task, protocol in side.parts.keys() - wanted.parts.keys():
                left_out[f"{dataset} · {task} · {protocol}: only `{side.label}` has it"] = None
    done, tests = corrected(rows)
    return Comparison(
        reference.label,
        tuple(side.label for side in others),
        tests,
        tuple(done),
        tuple(changed),
        tuple(left_out),
    )


def differences(
    a: Side, b: Side, place: Place, *, seed: int = 0, only: Collection[str] | None = None
) -> Iterator[Compared]:
    """Yield the differences of two sides at a common place, before the correction for their number.

    Args:
        a: the reference.
        b: the other.
        place: image set, task and protocol.
        seed: of resampling and swapping.
        only: names of metrics to compare; by default all that either side measured.
    """
    mine, theirs = a.parts[place], b.parts[place]
    for name in {**mine.measured, **theirs.measured}:
        x, y = mine.measured.get(name), theirs.measured.get(name)
        if only is not None and name not in only:
            continue
        if any(each is not None and each.row.status == "ok" for each in (x, y)):
            yield _compared(a, b, place, x, y, seed)


def corrected(rows: Sequence[Compared]) -> tuple[list[Compared], int]:
    """Correct the p-values of rows for their number and say what each row found; returns the number, too.

    Rows whose two sides are exactly the same do not count: swapping equal values changes nothing, so whatever the other
    rows hold, these could not have been called different (Tarone 1990). Scores of the originals, for one, never differ.
    """
    adjusted = holm([math.nan if _equal(row) else row.p for row in rows])
    done = [
        _judged(replace(row, p_holm=row.p if _equal(row) else p))
        for row, p in zip(rows, adjusted, strict=True)
    ]
    return done, sum(not math.isnan(p) for p in adjusted)


def _compared(a: Side, b: Side, place: Place, x: Measured | None, y: Measured | None, seed: int) -> Compared:
    row = next(each.row for each in (y, x) if each is not None and each.row.status == "ok")
    common = {
        "a": a.label,
        "b": b.label,
        "dataset": place[0],
        "task": place[1],
        "protocol": place[2],
        "metric": row.metric,
        "view": row.view,
        "unit": row.unit,
        "higher_is_better": row.higher_is_better,
        "value_a": x.row.value if x else math.nan,
        "value_b": y.row.value if y else math.nan,
        "p_holm": math.nan,
        "effect": "",
    }
    for side, each in ((a, x), (b, y)):
        if each is None or each.row.status != "ok":
            reason = f"`{side.label}`: {each.row.reason if each else 'not measured'}"
            blank = Difference(math.nan, math.nan, math.nan, math.nan, "none")
            return _row(common, blank, 0, "unsupported", reason)
    assert x is not None
    assert y is not None
    found, n = _difference(a.parts[place], b.parts[place], x, y, seed)
    reason = next((each.row.reason for each in (x, y) if not each.row.reliable), "")
    if not reason and found.method == "none" and x.values is None and found.value != 0:
        reason = "no interval can be made for it"
    unreliable = not (x.row.reliable and y.row.reliable)
    if unreliable and not reason:
        reason = "a number that must not be ranked"
    if x.values is None and set(a.parts[place].failed) != set(b.parts[place].failed):
        unreliable, reason = True, f"measured on {x.row.n} and {y.row.n} images: some failed on one side only"
    # What it found is decided once the p-values are corrected; only this much is known before.
    return _row(common, found, n, "unreliable" if unreliable else "unknown", reason)


def _row(common: dict[str, Any], difference: Difference, n: int, finding: Finding, reason: str) -> Compared:
    return Compared(
        **common,
        difference=difference.value,
        ci_low=difference.low,
        ci_high=difference.high,
        p=difference.p,
        method=difference.method,
        n=n,
        finding=finding,
        reason=reason,
    )


def _difference(mine: Part, theirs: Part, x: Measured, y: Measured, seed: int) -> tuple[Difference, int]:
    if x.values is not None and y.values is not None:
        # Equal selections are checked before: both list the same images in the same order.
        found = of_images(x.values, y.values, y.mean or x.mean, seed=seed)
        return found, found.n
    left_a, left_b = _filled(x, y), _filled(y, x)
    same = set(mine.failed) == set(theirs.failed)
    if not same and not len(left_a) == len(left_b) == GROUPS:
        left_a = ()
    return of_replicates(x.row.value, y.row.value, left_a, left_b), min(x.row.n, y.row.n)


def _filled(measured: Measured, beside: Measured) -> tuple[float, ...]:
    """Return replicates; a number that is exact, such as the distance between equal sets, is so in every group."""
    if measured.row.ci_method == "exact" and not measured.left_out:
        return (measured.row.value,) * len(beside.left_out)
    return measured.left_out


def _judged(row: Compared) -> Compared:
    """Say what a row found, and put it into words."""
    finding = row.finding if row.finding in {"unsupported", "unreliable"} else _finding(row)
    return replace(
        row,
        finding=finding,
        effect=effect(
            row.b,
            row.name,
            row.unit,
            row.higher_is_better,
            (row.value_b - row.difference if math.isfinite(row.difference) else row.value_a, row.value_b),
            (row.ci_low, row.ci_high),
            finding,
            row.reason,
        ),
    )


def _equal(row: Compared) -> bool:
    return row.difference == 0 and (row.ci_low == row.ci_high or math.isnan(row.ci_low))


def _finding(row: Compared) -> Finding:
    if _equal(row):
        return "equal"
    if math.isinf(row.difference):
        return "certain" if row.p_holm <= LEVEL else "likely"
    if math.isnan(row.ci_low):
        return "unknown"
    if not (row.ci_low > 0 or row.ci_high < 0):
        return "none"
    return "certain" if row.p_holm <= LEVEL else "likely"


def _most_changed(a: Side, b: Side, place: Place, top: int) -> list[Changed]:
    """List the images whose value changed most, in the metric that the task shows images by."""
    import numpy as np

    name = b.parts[place].shown
    x, y = (side.parts[place].measured.get(name) for side in (a, b))
    if x is None or y is None or x.values is None or y.values is None:
        return []
    with np.errstate(invalid="ignore"):
        change = np.where(x.values == y.values, 0.0, np.abs(y.values - x.values))
    change = np.nan_to_num(change, nan=0.0, posinf=math.inf)
    chosen = [int(at) for at in np.argsort(-change, kind="stable")[:top] if change[at] > 0]
    return [
        Changed(b.label, *place, name, b.parts[place].images[at], float(x.values[at]), float(y.values[at]))
        for at in chosen
    ]


def _left_out(a: Side, b: Side, place: Place) -> Iterator[str]:
    timings = b.parts[place].timings or a.parts[place].timings
    if timings:
        yield f"timings differ from run to run and are not compared: {', '.join(timings)}"
    for side in (a, b):
        failed = side.parts[place].failed
        if failed:
            yield f"`{side.label}`: {len(failed)} images failed and are left out of the pairs: {next(iter(failed))}, …"
