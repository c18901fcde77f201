"""What one shard of one job gathers while its batches pass, and how it is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tokbench.metrics.base import ImageMetric
from tokbench.results.arrow import numbers, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from tokbench.engine.originals import Original
    from tokbench.engine.run import Job
    from tokbench.metrics.base import State
    from tokbench.results.store import Store


@dataclass(frozen=True)
class Measured:
    """What one job's metrics said of some images in one view.

    Attributes:
        index: plan positions of the images, ``[n]``.
        values: per-image numbers by measurement, float64 ``[n]`` each.
        states: states by the name they have in shards.
        bits: float64 ``[n]`` in the clean view, None in others.
    """

    index: npt.NDArray[np.int64]
    values: Mapping[str, npt.NDArray[np.float64]]
    states: Mapping[str, State]
    bits: npt.NDArray[np.float64] | None


@dataclass
class Sheet:
    """One shard of one job.

    Attributes:
        job: the job.
        shard: the shard's number.
        reasons: by plan position, why an image has no reconstruction.
    """

    job: Job
    shard: int
    reasons: dict[int, str] = field(default_factory=dict)
    _measured: list[Measured] = field(default_factory=list)

    def add(self, measured: Measured) -> None:
        """Put numbers on the sheet, in any order."""
        self._measured.append(measured)

    def write(self, store: Store, originals: Sequence[Original]) -> None:
        """Write the shard.

        Args:
            store: where to.
            originals: all images of the shard, in order, without their pixels.

        Raises:
            StorageError: it cannot be written.
        """
        import pyarrow as pa

        job, count = self.job, len(originals)
        names = [each.name for each in job.measurements if isinstance(each.metric, ImageMetric)]
        values = {name: np.full(count, np.nan) for name in names}
        bits = np.full(count, np.nan)
        first = job.part.plan.indices(self.shard).start
        for measured in self._measured:
            rows = measured.index - first
            for name, each in measured.values.items():
                values[name][rows] = each
            if measured.bits is not None:
                bits[rows] = measured.bits
        reasons = [original.reason or self.reasons.get(original.index, "") for original in originals]
        columns: dict[str, Any] = {
            "index": numbers([original.index for original in originals], np.int64),
            "image": texts([job.part.plan.items[original.index].id for original in originals]),
            "pixels_sha256": texts([original.digest.hex() for original in originals]),
            "height": numbers([original.size[0] for original in originals], np.int32),
            "width": numbers([original.size[1] for original in originals], np.int32),
            "status": texts(["failed" if reason else "ok" for reason in reasons]),
            "reason": texts(reasons),
            "bits": numbers(bits, np.float64),
        }
        columns |= {f"metric:{name}": numbers(each, np.float64) for name, each in values.items()}
        states = {name: state.arrays() for name, state in self._states().items()}
        store.write_shard(job.id, job.key, self.shard, pa.table(columns), states)

    def _states(self) -> dict[str, State]:
        kinds = {
            name: each.kind for view in self.job.views for name, each in self.job.collectors(view).items()
        }
        return {
            name: _total(
                [kind.empty(), *(each.states[name] for each in self._measured if name in each.states)]
            )
            for name, kind in kinds.items()
        }


def _total(states: Sequence[State]) -> State:
    """Add states pairwise: one after the other, each sum would copy all rows before it."""
    while len(states) > 1:
        odd = states[len(states) & ~1 :]
        states = [a + b for a, b in zip(states[::2], states[1::2], strict=False)] + list(odd)
    return states[0]
