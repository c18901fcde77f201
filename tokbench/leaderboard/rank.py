"""Ranks of one column: ties within the interval share a rank, and what must not be ranked has none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokbench.results.schema import Row


@dataclass(frozen=True)
class Place:
    """Where a value stands in its column.

    Attributes:
        rank: one more than the number of tokenizers in better groups.
        tied: whether others share the rank.
    """

    rank: int
    tied: bool


def rankable(row: Row) -> bool:
    """Whether a value may take part in a ranking: measured, reliable, and of a metric that has a better end."""
    return (
        row.status == "ok" and row.reliable and row.higher_is_better is not None and not math.isnan(row.value)
    )


def interval(row: Row) -> tuple[float, float]:
    """Return the 95 % interval of a value; the value alone where no interval is known."""
    low = row.value if math.isnan(row.ci_low) else row.ci_low
    high = row.value if math.isnan(row.ci_high) else row.ci_high
    return low, high


def places(rows: Mapping[str, Row]) -> dict[str, Place]:
    """Rank the values of one metric on one image set by one protocol.

    The best value leads the first group. Every value whose 95 % interval meets the leader's belongs to its group; the
    first one that does not leads the next. All of a group share the rank of its leader. Comparing with the leader, and
    not with the neighbour, keeps a chain of small overlaps from tying the best with the worst.

    Args:
        rows: ``{tokenizer: row}`` of one column; those that must not be ranked get no place.

    Returns:
        ``{tokenizer: place}``.
    """
    ranked = [name for name, row in rows.items() if rankable(row)]
    if not ranked:
        return {}
    up = rows[ranked[0]].higher_is_better
    ranked.sort(key=lambda name: (-rows[name].value if up else rows[name].value, name))
    groups: list[list[str]] = []
    for name in ranked:
        if groups and _meet(interval(rows[groups[-1][0]]), interval(rows[name])):
            groups[-1].append(name)
        else:
            groups.append([name])
    found: dict[str, Place] = {}
    for group in groups:
        place = Place(len(found) + 1, len(group) > 1)
        found |= dict.fromkeys(group, place)
    return found


def _meet(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]
