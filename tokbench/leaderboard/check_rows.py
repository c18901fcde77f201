"""The rows of a stranger's summary: each expected one once, of the declared metric, with numbers that can be."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from tokbench.leaderboard.boards import identity_name
from tokbench.leaderboard.ranges import out_of_range
from tokbench.leaderboard.reading import Problem
from tokbench.leaderboard.submission import FIELDS
from tokbench.results.schema import SCHEMA, Row, column, row_from_dict
from tokbench.results.store import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokbench.catalog import Catalog
    from tokbench.metrics.base import Metric

_SUMMARY = {*FIELDS, "rows"}
_NUMBERS = ("value", "ci_low", "ci_high")
_METHODS = ("", "none", "exact", "bootstrap-bca", "bootstrap-percentile", "jackknife-20")
_ENOUGH = 50
_Place = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class _Wanted:
    metric: Metric
    images: int
    counted: bool


def check_rows(summary: Mapping[str, Any], manifest: Mapping[str, Any], catalog: Catalog) -> list[Problem]:
    """Check a summary against a manifest that is sound; stops after 50 problems."""
    if summary.keys() != _SUMMARY:
        return [_bad(name, "is unknown or missing") for name in sorted(summary.keys() ^ _SUMMARY)]
    fixed = {
        "schema": SCHEMA,
        "key": manifest["key"],
        "complete": True,
        "folder": "",
        "partial_images": False,
        "failures": {},
    }
    found = [_bad(name, f"is not {value!r}") for name, value in fixed.items() if summary[name] != value]
    if not isinstance(summary["rows"], list) or not isinstance(summary["unreadable"], dict):
        found.append(_bad("rows", "must be a list, and `unreadable` an object"))
    if found:
        return found
    wanted = dict(_wanted(manifest, catalog))
    for number, fields_ in enumerate(summary["rows"]):
        found += [_bad(f"rows[{number}]{field}", reason) for field, reason in _row(fields_, wanted)]
        if len(found) > _ENOUGH:
            return found
    return found or [
        _bad("rows", f"lacks {' · '.join(part for part in place if part)}")
        for place in list(wanted)[:_ENOUGH]
    ]


def _wanted(manifest: Mapping[str, Any], catalog: Catalog) -> Iterator[tuple[_Place, _Wanted]]:
    """List the rows that these jobs must have: what the run measured, as its identity says, and means over views."""
    for job in manifest["jobs"]:
        measured = set(manifest["identity"][identity_name(job)]["metrics"])
        for name in job["tasks"]:
            task = catalog.task(name)
            for metric in task.metrics:
                views = [view.name for view in task.views if column(metric.name, view.name) in measured]
                rows = [(metric.name, view) for view in views]
                rows += [(mean, "") for of, mean in task.means if of == metric.name and views]
                for row, view in rows:
                    blank = column(row, view) in job["unsupported"]
                    yield (
                        (job["tokenizer"], job["dataset"], name, row, view),
                        _Wanted(metric, job["images"], not blank),
                    )


def _row(fields_: Any, wanted: dict[_Place, _Wanted]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with one row as (field, reason); a sound one is struck off `wanted`."""
    reason = _shape(fields_)
    if reason:
        yield "", reason
        return
    row = row_from_dict(fields_)
    place = (row.tokenizer, row.dataset, row.task, row.metric, row.view)
    expected = wanted.pop(place, None)
    if expected is None:
        yield "", f"{' · '.join(part for part in place if part)} is no row of this run, or stands twice"
        return
    metric = expected.metric
    if (row.unit, row.higher_is_better) != (metric.unit, metric.higher_is_better):
        yield ".unit", f"unit and direction of `{row.metric}` are {metric.unit!r}, {metric.higher_is_better}"
    if row.ci_method not in _METHODS:
        yield ".ci_method", f"must be one of {', '.join(filter(None, _METHODS))}"
    if row.n < 0 or row.failed < 0 or row.n + row.failed > expected.images:
        yield ".n", f"{row.n} measured and {row.failed} failed of {expected.images} images"
    if row.status not in {"ok", "unsupported"}:
        yield ".status", "must be `ok` or `unsupported`"
    elif row.status == "unsupported":
        if not math.isnan(row.value) or not row.reason:
            yield ".status", "an unsupported row has a reason and no value"
    else:
        yield from _numbers(row, expected)


def _numbers(row: Row, expected: _Wanted) -> Iterator[tuple[str, str]]:
    if math.isnan(row.value):
        yield ".value", "is missing in a row that is ok"
        return
    if not expected.counted:
        yield ".status", "the manifest says that this cannot be measured for this tokenizer"
    if row.n < 1:
        yield ".n", "a value rests on one image at least"
    if not row.reliable and not row.reason:
        yield ".reliable", "an unreliable value has a reason"
    for name in _NUMBERS:
        number = getattr(row, name)
        reason = "" if math.isnan(number) else out_of_range(row.metric, number)
        if reason:
            yield f".{name}", reason
    if row.ci_low > row.ci_high:
        yield ".ci_low", "lies above ci_high"
    if math.isnan(row.ci_low) != math.isnan(row.ci_high):
        yield ".ci_low", "an interval has two ends"


def _shape(fields_: Any) -> str:
    """Say what is wrong with names and types of a row, or ""."""
    names = {each.name for each in fields(Row)}
    if not isinstance(fields_, dict) or fields_.keys() != names:
        return f"must be an object with the fields {', '.join(sorted(names))}"
    numbers = {*_NUMBERS}
    counts = {"n", "failed"}
    for name, value in fields_.items():
        if name in numbers:
            good = value is None or type(value) in {int, float}
        elif name in counts:
            good = type(value) is int
        elif name == "higher_is_better":
            good = value is None or type(value) is bool
        elif name == "reliable":
            good = type(value) is bool
        else:
            good = isinstance(value, str)
        if not good:
            return f"`{name}` is of the wrong type"
    return ""


def _bad(field: str, reason: str) -> Problem:
    return Problem(SUMMARY, field, reason)
