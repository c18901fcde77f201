"""PSNR of the squared error pooled over the whole set, as torchmetrics computes it by default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Collector, Estimate, SetMetric
from tokbench.metrics.pixel import difference_sums, shared_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

_COLUMNS = ("index", "squares", "samples", "peak")


@dataclass(frozen=True, eq=False)
class Squares:
    """Squared errors by plan position; a commutative monoid, exactly.

    Attributes:
        table: int64 ``[n, 4]``, ascending by the first column: plan position, sum of squared differences of 8-bit
            levels, number of samples, greatest level of the original.
    """

    table: npt.NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """Return the state of no image."""
        import numpy as np

        return cls(np.zeros((0, len(_COLUMNS)), np.int64))

    @classmethod
    def of(cls, index: npt.NDArray[np.int64], original: Tensor, reconstruction: Tensor) -> Self:
        """Measure pairs of images, uint8 ``[n, 3, h, w]`` each."""
        return cls.of_sums(index, original, difference_sums(original, reconstruction))

    @classmethod
    def of_sums(cls, index: npt.NDArray[np.int64], original: Tensor, sums: npt.NDArray[np.int64]) -> Self:
        """Take what `tokbench.metrics.pixel.difference_sums` found."""
        import numpy as np
        import torch

        peak = original.flatten(1).amax(1).to(torch.int64).cpu().numpy()
        samples = np.full(len(index), original[0].numel() if len(index) else 0, np.int64)
        return cls._sorted(np.stack((np.asarray(index, np.int64), sums[:, 1], samples, peak), 1))

    @classmethod
    def _sorted(cls, table: npt.NDArray[np.int64]) -> Self:
        import numpy as np

        # Equal rows merge, so that a shard read twice counts once.
        unique = np.unique(table, axis=0)
        if len(np.unique(unique[:, 0])) != len(unique):
            raise ValueError("two different squared errors for one image")
        return cls(unique)

    def __add__(self, other: Self) -> Self:
        import numpy as np

        return self._sorted(np.concatenate((self.table, other.table)))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the table."""
        return {"table": self.table}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild from `arrays`.

        Raises:
            ValueError: no table of four columns.
        """
        table = arrays.get("table")
        if table is None or table.ndim != 2 or table.shape[1] != len(_COLUMNS):
            raise ValueError(f"squared errors need a table of {len(_COLUMNS)} columns")
        return cls._sorted(table)


@dataclass(frozen=True)
class PooledPsnr:
    """Finishes `Squares` into decibels.

    Attributes:
        infer_range: use the greatest level of any original as the peak, as torchmetrics did when no data range was
            given, instead of 255.
    """

    infer_range: bool = False

    def __call__(self, states: Sequence[Squares]) -> Estimate:
        """Return the PSNR of the pooled error with its delete-one-group jackknife interval."""
        import numpy as np

        table = sum(states, Squares.empty()).table
        if not len(table):
            return Estimate(
                math.nan, math.nan, math.nan, jackknife.METHOD, "no image was measured", reliable=False
            )
        value = self._decibels(table)
        if math.isinf(value):
            return Estimate(value, value, value, "exact")
        groups = table[:, 0] % GROUPS
        parts = [table[groups != group] for group in np.unique(groups)]
        return jackknife.estimate(value, [self._decibels(part) for part in parts if len(part)])

    def _decibels(self, table: npt.NDArray[np.int64]) -> float:
        squares, samples, peak = int(table[:, 1].sum()), int(table[:, 2].sum()), int(table[:, 3].max())
        if squares == 0:
            return math.inf
        level = peak if self.infer_range else 255
        # An inferred range of zero (every original black) has no PSNR.
        return 10 * math.log10(level**2 * samples / squares) if level else math.nan


def _collect(batch: Batch) -> Squares:
    return Squares.of_sums(batch.index, batch.original, shared_sums(batch))


PSNR_POOLED = SetMetric(
    name="psnr_pooled",
    title="PSNR-p",
    unit="dB",
    higher_is_better=True,
    collector=Collector(name="squares", kind=Squares, of=_collect),
    finish=PooledPsnr(),
    definition=(
        "10 log10(255² / MSE) with the MSE over all samples of all images, on rounded 8-bit RGB: torchmetrics without "
        "`dim`; at most the mean of per-image PSNR."
    ),
)
