"""The rows of a summary and their JSON form, versioned."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = 1
"""Version of manifest.json and summary.json; raised when a reader of the old form would misread the new one."""


def column(metric: str, view: str) -> str:
    """Name a metric on a view as shards do: ``metric`` for the clean view, else ``metric@view``."""
    return f"{metric}@{view}" if view else metric


_INFINITY = "@@infinity@@"


@dataclass(frozen=True)
class Row:
    """One number: a tokenizer, on an image set, in a task, by a metric.

    Attributes:
        tokenizer: tokenizer name.
        dataset: image-set name.
        task: task name.
        protocol: protocol name.
        metric: metric name.
        view: what was done to the codes, e.g. ``a=0.5 d=200``; "" for the clean round trip.
        value: the number; NaN when it could not be measured.
        ci_low: lower end of the 95 % interval, NaN when unknown.
        ci_high: upper end.
        ci_method: how the interval was made.
        n: images that the number rests on.
        failed: images that should have counted and could not.
        unit: unit of value and interval.
        higher_is_better: direction, None when neither end is better in itself.
        status: ``ok``, ``unsupported`` (the metric cannot apply or lacks weights) or ``failed``.
        reliable: False when the value must not be ranked.
        reason: why the value is missing or unreliable, else "".
    """

    tokenizer: str
    dataset: str
    task: str
    protocol: str
    metric: str
    view: str
    value: float
    ci_low: float
    ci_high: float
    ci_method: str
    n: int
    failed: int
    unit: str
    higher_is_better: bool | None
    status: str
    reliable: bool
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return asdict(self)


def to_json(value: Mapping[str, Any], indent: int | None = None) -> str:
    """Write JSON that every parser reads: NaN as null, infinity as the number ``1e999``.

    RFC 8259 has no infinity, but its grammar has 1e999, which Python, JavaScript and others read as infinite.
    """
    text = json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.replace(f'"-{_INFINITY}"', "-1e999").replace(f'"{_INFINITY}"', "1e999")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        return _INFINITY if value > 0 else f"-{_INFINITY}"
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def row_from_dict(fields: Mapping[str, Any]) -> Row:
    """Rebuild a row from JSON.

    Raises:
        ValueError: fields are missing or unknown.
    """
    numbers = {
        name: math.nan if fields.get(name) is None else float(fields[name])
        for name in ("value", "ci_low", "ci_high")
    }
    try:
        return Row(**{**fields, **numbers})
    except TypeError as error:
        msg = f"not a row of schema {SCHEMA}: {error}"
        raise ValueError(msg) from error
