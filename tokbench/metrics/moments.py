"""Sums over feature rows from which means and covariances follow, whatever the number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of feature rows, float64, additive and subtractive.

    Attributes:
        n: rows counted.
        total: sum of the rows, ``[d]``.
        outer: sum of the outer products, ``[d, d]``; only its lower triangle counts.
    """

    n: int
    total: Matrix
    outer: Matrix

    @classmethod
    def of(cls, *blocks: npt.NDArray[np.floating]) -> Self:
        """Return the moments of one or more blocks of ``[n, d]`` rows."""
        return cls.over(blocks, blocks[0].shape[1])

    @classmethod
    def over(cls, blocks: Iterable[npt.NDArray[np.floating]], width: int) -> Self:
        """Return the moments of ``[n, width]`` blocks of rows that come one at a time."""
        import numpy as np
        from scipy.linalg import blas  # type: ignore[import-untyped, unused-ignore]

        n, total, outer = 0, np.zeros(width), np.zeros((width, width), order="F")
        for block in blocks:
            wide = np.ascontiguousarray(block, np.float64)
            # The transpose is in the order that the routine wants, so nothing is copied, and half is left out.
            outer = blas.dsyrk(1.0, wide.T, beta=1.0, c=outer, lower=1, overwrite_c=1)
            total += wide.sum(0)
            n += len(wide)
        return cls(n, total, outer)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.n + other.n, self.total + other.total, self.outer + other.outer)

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.n - other.n, self.total - other.total, self.outer - other.outer)

    @property
    def mean(self) -> Matrix:
        """Mean row, ``[d]``."""
        return self.total / self.n

    @property
    def variance(self) -> float:
        """Trace of `covariance`."""
        return float(((self.outer.diagonal() - self.total * self.mean) / (self.n - 1)).sum())

    def covariance(self) -> Matrix:
        """Return the lower triangle of the sample covariance (divisor n - 1), ``[d, d]``."""
        from scipy.linalg import blas

        result: Matrix = blas.dsyr(-1 / self.n, self.total, lower=1, a=self.outer)
        result /= self.n - 1
        return result
