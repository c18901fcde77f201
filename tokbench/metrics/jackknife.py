"""Delete-one-group jackknife: the spread of a number that is no mean."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from tokbench.metrics.base import GROUPS, Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

METHOD = f"jackknife-{GROUPS}"


def standard_error(left_out: Sequence[float]) -> float:
    """Return the jackknife standard error.

    Args:
        left_out: the statistic without group i, for each of g groups of (nearly) equal size.

    Returns:
        ``sqrt((g - 1) / g · Σ (left_out_i - mean)²)``; NaN with fewer than two groups.
    """
    count = len(left_out)
    if count < 2:
        return math.nan
    centre = math.fsum(left_out) / count
    return math.sqrt((count - 1) / count * math.fsum((value - centre) ** 2 for value in left_out))


def interval(value: float, left_out: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval ``value ± t · standard error`` (Student, g - 1 degrees); NaN if unknown."""
    error = standard_error(left_out)
    if math.isnan(error):
        return math.nan, math.nan
    half = _student(len(left_out) - 1) * error
    return value - half, value + half


def estimate(
    value: float,
    left_out: Sequence[float],
    *,
    smallest: float = -math.inf,
    largest: float = math.inf,
    reason: str = "",
    reliable: bool = True,
) -> Estimate:
    """Make an `Estimate`; the interval is cut to the values that the statistic can take.

    Args:
        value: the statistic on all images.
        left_out: the statistic without each group.
        smallest: least possible value.
        largest: greatest possible value.
        reason: passed on.
        reliable: passed on.
    """
    low, high = interval(value, left_out)
    if not math.isnan(low):
        low, high = max(low, smallest), min(high, largest)
    return Estimate(value, low, high, METHOD, reason, reliable, tuple(left_out))


@functools.cache
def _student(degrees: int) -> float:
    from scipy import special  # type: ignore[import-untyped, unused-ignore]

    return float(special.stdtrit(degrees, 0.975))
