"""How much worse a number may get before a gate fails: a TOML file, checked to the last key.

::

    [default]                       # every metric that nothing below names
    relative = 0.01                 # 1 % of the baseline's value
    [metric.psnr]
    absolute = 0.2                  # in the metric's unit; with both, the larger is allowed
    [metric.bpp]
    relative = 0.02
    worse = "higher"                # for a metric without a better end: higher, lower or either
    [bin.small]                     # every metric of this scale bin: small, medium or large
    absolute = 0.03
    [metric.codebook_usage]
    check = false
    [task.text-words.metric.t_acc]  # the same tables for one task: default, metric.NAME, bin.NAME
    absolute = 0.005

A metric's own name wins over its bin, its bin over the default; at each step the table of the task wins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokbench.documents import parse_toml
from tokbench.errors import StorageError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tokbench.results.schema import Row

BINS = ("small", "medium", "large")
DECIBELS, SHARE = 0.1, 0.01
_DIRECTIONS = ("higher", "lower", "either")
_HINT = "docs/gate.md shows every key"


@dataclass(frozen=True)
class Threshold:
    """How much worse one metric may get.

    Attributes:
        absolute: in the metric's unit, None when not given.
        relative: share of the baseline's value, None when not given.
        worse: ``higher``, ``lower`` or ``either``; "" for the metric's own direction.
        check: False to let the metric do what it will.
    """

    absolute: float | None = None
    relative: float | None = None
    worse: str = ""
    check: bool = True

    def allowed(self, baseline: float, unit: str) -> float:
        """Return the tolerance in the metric's unit; without one of its own 0.1 dB, and 1 % of all else."""
        if self.absolute is None and self.relative is None:
            return DECIBELS if unit == "dB" else SHARE * abs(baseline)
        share = (self.relative or 0.0) * abs(baseline) if math.isfinite(baseline) else 0.0
        return max(self.absolute or 0.0, share)

    def worse_by(self, difference: float, higher_is_better: bool | None) -> float:
        """Return how much worse a difference makes a metric; negative is better, NaN when neither end is."""
        if self.worse == "either":
            return abs(difference)
        up = {"higher": 1, "lower": -1}.get(self.worse)
        if up is None:
            up = {True: -1, False: 1}.get(higher_is_better)  # type: ignore[arg-type]
        return math.nan if up is None else up * difference


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of a gate.

    Attributes:
        tables: ``{(task or "", "metric" | "bin" | "default", name or ""): threshold}``.
    """

    tables: Mapping[tuple[str, str, str], Threshold] = field(default_factory=dict)

    def of(self, row: Row, name: str) -> Threshold:
        """Return the threshold of a row whose metric, with its view, is called `name`."""
        part = scale_bin(row.metric)
        keys = [("metric", name), ("metric", row.metric), ("bin", part), ("default", "")]
        for kind, key in keys:
            for task in (row.task, ""):
                if (task, kind, key) in self.tables:
                    return self.tables[task, kind, key]
        return Threshold()

    def check_names(
        self, metrics: Iterable[str], tasks: Iterable[str], timings: Iterable[str], file: Path
    ) -> None:
        """Refuse names that nothing measured bears: a misspelt threshold would silently guard nothing.

        Raises:
            UnknownNameError: no such metric or task; suggests the nearest.
            UsageError: the metric is a timing.
        """
        known, timed, places = set(metrics), set(timings), set(tasks)
        for task, kind, name in self.tables:
            if task and task not in places:
                hint = f"`{file}`: baseline and run hold {', '.join(sorted(places))}"
                raise UnknownNameError("task", task, places, hint=hint)
            if kind == "metric" and name in timed:
                raise UsageError(
                    f"`{file}`: `{name}` is a timing, which differs from run to run and cannot be gated"
                )
            if kind == "metric" and name not in known:
                hint = f"`{file}` may name the metrics of baseline and run only"
                raise UnknownNameError("metric", name, known, hint=hint)


def scale_bin(metric: str) -> str:
    """Return the scale bin in a metric's name (``t_acc_small_512`` is of ``small``), or ""."""
    return next((part for part in metric.split("_") if part in BINS), "")


def read_thresholds(file: Path) -> Thresholds:
    """Read a thresholds file.

    Raises:
        StorageError: it cannot be read.
        UsageError: it is no TOML, or a key or value is not allowed; says which.
    """
    try:
        document = parse_toml(file.read_text("utf-8"))
    except OSError as error:
        raise StorageError(f"thresholds `{file}` cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"thresholds `{file}` are no TOML: {error}") from error
    where = f"`{file}`"
    tables: dict[tuple[str, str, str], Threshold] = {}
    _check_keys(where, document, ("default", "metric", "bin", "task"))
    for task, group in {"": document, **_table(where, "task", document.get("task", {}))}.items():
        path = f"task.{task}." if task else ""
        inside = _table(where, path.rstrip("."), group)
        if task:
            _check_keys(f"{where}: {path.rstrip('.')}", inside, ("default", "metric", "bin"))
        if "default" in inside:
            tables[task, "default", ""] = _threshold(where, f"{path}default", inside["default"])
        for kind in ("metric", "bin"):
            for name, fields in _table(where, f"{path}{kind}", inside.get(kind, {})).items():
                if kind == "bin" and name not in BINS:
                    raise UnknownNameError(
                        "scale bin", name, BINS, hint=f"{where}: bins are {', '.join(BINS)}"
                    )
                tables[task, kind, name] = _threshold(where, f"{path}{kind}.{name}", fields)
    return Thresholds(tables)


def _threshold(where: str, path: str, fields: Any) -> Threshold:
    values = _table(where, path, fields)
    _check_keys(f"{where}: {path}", values, ("absolute", "relative", "worse", "check"))
    for name in ("absolute", "relative"):
        value = values.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise UsageError(f"{where}: {path}.{name} must be a number from 0 on, got {value!r}", hint=_HINT)
    if values.get("worse", "higher") not in _DIRECTIONS:
        raise UsageError(
            f"{where}: {path}.worse must be one of {', '.join(_DIRECTIONS)}, got {values['worse']!r}",
            hint=_HINT,
        )
    if not isinstance(values.get("check", True), bool):
        raise UsageError(f"{where}: {path}.check must be true or false, got {values['check']!r}", hint=_HINT)
    return Threshold(**values)


def _table(where: str, path: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: {path} must be a table, got {value!r}", hint=_HINT)
    return value


def _check_keys(where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in table:
        if name not in known:
            raise UnknownNameError("key", name, known, hint=f"{where}: keys are {', '.join(known)}")
