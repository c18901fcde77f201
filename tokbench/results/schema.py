"""The rows of a summary and their JSON form, versioned."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = 1
"""Version of manifest.json and summary.json; raised when a reader of the old form would misread the new one."""


def column(metric: str, view: str) -> str:
    """Name a metric on a view as shards do: ``metric`` for the clean view, else ``metric@view``."""
    return f"{metric}@{view}" if view else metric


_UNPRINTABLE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


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

    RFC 8259 has no infinity, but its grammar has 1e999, which Python, JavaScript and others read as infinite. What a
    terminal would obey, and the bytes of names that are not UTF-8 (lone surrogates), are written as escapes.
    """
    mark = f"@@{uuid.uuid4().hex}@@"  # no text of the document can be taken for it
    text = json.dumps(_plain(value, mark), indent=indent, ensure_ascii=False, allow_nan=False)
    text = _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text.replace(f'"-{mark}"', "-1e999").replace(f'"{mark}"', "1e999")


def _plain(value: Any, mark: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        return mark if value > 0 else f"-{mark}"
    if isinstance(value, Mapping):
        return {str(name): _plain(item, mark) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, mark) for item in value]
    return value


def row_from_dict(fields: Mapping[str, Any]) -> Row:
    """Rebuild a row from JSON.

    Raises:
        ValueError: it is no object, or a field is missing, unknown or of another type.
    """
    if not isinstance(fields, dict) or fields.keys() != _KINDS.keys():
        raise ValueError(f"not a row of schema {SCHEMA}: its fields must be {', '.join(_KINDS)}")
    for name, kinds in _KINDS.items():
        if type(fields[name]) not in kinds:
            raise ValueError(
                f"not a row of schema {SCHEMA}: `{name}` is of type {type(fields[name]).__name__}"
            )
    numbers = {
        name: math.nan if fields[name] is None else float(fields[name])
        for name in ("value", "ci_low", "ci_high")
    }
    return Row(**{**fields, **numbers})


_NONE = type(None)
_KINDS: dict[str, tuple[type, ...]] = {
    **{each.name: (str,) for each in dataclasses.fields(Row)},
    **dict.fromkeys(("value", "ci_low", "ci_high"), (float, int, _NONE)),
    **dict.fromkeys(("n", "failed"), (int,)),
    "higher_is_better": (bool, _NONE),
    "reliable": (bool,),
}
