"""The state that distribution distances share: pooled features of originals and reconstructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from tokbench.metrics.base import Collector

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Features by plan position, sorted; a commutative monoid, exactly.

    Attributes:
        index: plan positions, int64 ``[n]``, ascending, no two equal.
        reference: features of the originals, float32 ``[n, d]``.
        reconstruction: features of the reconstructions, float32 ``[n, d]``.
    """

    FINITE: ClassVar = ("reference", "reconstruction")
    """Arrays that say nothing where a number in them is not finite."""

    index: npt.NDArray[np.int64]
    reference: npt.NDArray[np.float32]
    reconstruction: npt.NDArray[np.float32]

    @classmethod
    def empty(cls) -> Self:
        """Return the state of no image; its width is 0 and fits any other."""
        import numpy as np

        none = np.zeros((0, 0), np.float32)
        return cls(np.zeros(0, np.int64), none, none)

    @classmethod
    def of(
        cls,
        index: npt.NDArray[np.int64],
        reference: npt.NDArray[np.float32],
        reconstruction: npt.NDArray[np.float32],
    ) -> Self:
        """Sort rows into a state; a repeated row is kept once.

        Raises:
            ValueError: shapes do not fit, or one plan position has two different rows.
        """
        import numpy as np

        index = np.asarray(index, np.int64)
        reference, reconstruction = np.asarray(reference, np.float32), np.asarray(reconstruction, np.float32)
        if index.ndim != 1 or reference.ndim != 2 or reference.shape != reconstruction.shape:
            raise ValueError(
                f"features {reference.shape}, {reconstruction.shape} do not fit index {index.shape}"
            )
        if len(index) != len(reference):
            raise ValueError(f"{len(reference)} feature rows for {len(index)} images")
        order = np.argsort(index, kind="stable")
        index, reference, reconstruction = index[order], reference[order], reconstruction[order]
        again = np.flatnonzero(index[1:] == index[:-1]) + 1
        if len(again):
            for rows in (reference, reconstruction):
                if not np.array_equal(rows[again], rows[again - 1], equal_nan=True):
                    raise ValueError("two different feature rows for one image")
            index = np.delete(index, again)
            reference, reconstruction = np.delete(reference, again, 0), np.delete(reconstruction, again, 0)
        return cls(index, reference, reconstruction)

    def __add__(self, other: Self) -> Self:
        import numpy as np

        if not len(self.index):
            return other
        if not len(other.index):
            return self
        if self.reference.shape[1] != other.reference.shape[1]:
            raise ValueError(f"features of widths {self.reference.shape[1]} and {other.reference.shape[1]}")
        return self.of(
            np.concatenate((self.index, other.index)),
            np.concatenate((self.reference, other.reference)),
            np.concatenate((self.reconstruction, other.reconstruction)),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the three arrays by attribute name."""
        return {"index": self.index, "reference": self.reference, "reconstruction": self.reconstruction}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild from `arrays`.

        Raises:
            ValueError: an array is missing, or they do not fit together.
        """
        if set(arrays) != {"index", "reference", "reconstruction"}:
            raise ValueError(f"feature rows need index, reference and reconstruction, got {sorted(arrays)}")
        return cls.of(arrays["index"], arrays["reference"], arrays["reconstruction"])


@dataclass(frozen=True)
class _Collect:
    # A value rather than a partial function: collectors compare equal after they crossed to a worker.
    network: str
    vector: Literal["pooled", "spatial"]

    def __call__(self, batch: Batch) -> FeatureRows:
        original, reconstruction = (
            getattr(features, self.vector) for features in batch.features(self.network)
        )
        if original is None or reconstruction is None:
            raise ValueError(f"network {self.network} has no {self.vector} features")
        return FeatureRows.of(batch.index, _rows(original), _rows(reconstruction))


def _rows(pooled: Tensor) -> npt.NDArray[np.float32]:
    rows: npt.NDArray[np.float32] = pooled.float().cpu().numpy()
    return rows


def collector(network: str, vector: Literal["pooled", "spatial"] = "pooled") -> Collector:
    """Return the collector of a network's features, ``features-<network>`` or ``spatial-<network>``."""
    name = f"{'features' if vector == 'pooled' else vector}-{network}"
    return Collector(name=name, kind=FeatureRows, of=_Collect(network, vector), network=network)


LITE0_ROWS = collector("lite0")
INCEPTION_ROWS = collector("inception")
INCEPTION_SPATIAL_ROWS = collector("inception", "spatial")
DINOV2_ROWS = collector("dinov2")
CLIP_ROWS = collector("clip-l14-336")
