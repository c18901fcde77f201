"""Ratios of sums with jackknife intervals over images: what word accuracies and error rates have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Sums by jackknife group, of any number of quantities.

    Attributes:
        table: float64 ``[groups that have rows, quantities]``.
    """

    table: Floats

    @classmethod
    def of(cls, index: npt.NDArray[np.int64], *quantities: npt.NDArray[Any]) -> Self:
        """Add up quantities ``[n]`` of rows by the group of their image, ``index % 20``."""
        import numpy as np

        group = index % GROUPS
        present = np.unique(group)
        sums = [np.bincount(group, weights=each, minlength=GROUPS)[present] for each in quantities]
        return cls(np.stack(sums, axis=-1) if quantities else np.zeros((len(present), 0)))

    def estimate(
        self,
        statistic: Callable[[Floats], float],
        *,
        smallest: float = -math.inf,
        largest: float = math.inf,
        reason: str = "",
        reliable: bool = True,
    ) -> Estimate:
        """Return a statistic of the sums with its delete-one-group jackknife interval.

        Args:
            statistic: gives a number for the sums ``[quantities]``; NaN where it is not defined.
            smallest: least possible value.
            largest: greatest possible value.
            reason: passed on.
            reliable: passed on.
        """
        total = self.table.sum(0)
        left_out = [statistic(total - row) for row in self.table] if len(self.table) > 1 else []
        return jackknife.estimate(
            statistic(total), left_out, smallest=smallest, largest=largest, reason=reason, reliable=reliable
        )


def divided(numerator: float, denominator: float) -> float:
    """Return a quotient; NaN where it is not defined."""
    return numerator / denominator if denominator else math.nan


def nothing(reason: str) -> Estimate:
    """Return the estimate of what could not be measured."""
    return Estimate(math.nan, math.nan, math.nan, jackknife.METHOD, reason, reliable=False)
