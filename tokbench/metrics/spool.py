"""Feature rows of any number of images, read from their states once and kept on disk by jackknife group."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from tokbench.errors import StorageError
from tokbench.metrics.base import GROUPS
from tokbench.metrics.features import FeatureRows
from tokbench.metrics.remember import content

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import numpy.typing as npt

    Side = Literal["reference", "reconstruction"]

IN_MEMORY = 64 << 20
"""Bytes up to which rows stay in memory."""


@dataclass(frozen=True)
class _Part:
    """One state: where its rows begin in the file, and where each group's begin among them."""

    index: npt.NDArray[np.int64]
    start: int
    bounds: npt.NDArray[np.int64]
    mark: bytes


class Spool:
    """Feature rows in a temporary file, those of one group of a state side by side.

    The order in which states come changes nothing that is read from it.

    Args:
        states: feature rows of disjoint sets of images; each is read once and dropped.

    Attributes:
        index: plan positions of all images, in the order of `blocks`.
        width: numbers in a row; 0 without images.
        finite: False when a feature is NaN or infinite.

    Raises:
        ValueError: two states hold the same image, or features are not of one width.
        StorageError: no space for the temporary file.
    """

    def __init__(self, states: Iterable[FeatureRows]) -> None:
        import numpy as np

        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (closed with the spool)
        self.width = 0
        self.finite = True
        try:
            parts = [self._add(state) for state in states if len(state.index)]
        except OSError as error:
            self._file.close()
            raise StorageError(
                f"features cannot be kept in the temporary folder {tempfile.gettempdir()}: {error.strerror or error}",
                hint="free some space, or name another folder in TMPDIR",
            ) from error
        except ValueError:
            self._file.close()
            raise
        self._parts = sorted(parts, key=lambda part: int(part.index.min()))
        self.index = np.concatenate([np.zeros(0, np.int64), *(part.index for part in self._parts)])
        if len(np.unique(self.index)) != len(self.index):
            self._file.close()
            raise ValueError("two states hold the same image")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    @property
    def groups(self) -> list[int]:
        """The jackknife groups that have images, ascending."""
        import numpy as np

        return [int(group) for group in np.unique(self.index % GROUPS)]

    @property
    def reference_content(self) -> bytes:
        """SHA-256 over the originals' rows and their positions."""
        return hashlib.sha256(b"".join(part.mark for part in self._parts)).digest()

    def blocks(
        self, side: Side, group: int | None = None, rows: int = 1024
    ) -> Iterator[npt.NDArray[np.float64]]:
        """Give the rows of one side, of all images or of one group.

        Args:
            side: ``reference`` or ``reconstruction``.
            group: a jackknife group, or None for all.
            rows: how many come at a time.

        Yields:
            float64 ``[up to rows, width]``, a buffer that the next step overwrites.
        """
        import numpy as np

        buffer = np.empty((rows, self.width))
        filled = 0
        for part in self._parts:
            first, last = (0, len(part.index)) if group is None else part.bounds[group : group + 2]
            skip = 0 if side == "reference" else len(part.index)
            while first < last:
                count = min(last - first, rows - filled)
                buffer[filled : filled + count] = self._read(part.start, skip + first, count)
                filled, first = filled + count, first + count
                if filled == rows:
                    yield buffer
                    filled = 0
        if filled:
            yield buffer[:filled]

    def rows(self) -> FeatureRows:
        """Return all rows at once, by plan position; for few images."""
        import numpy as np

        sides = [
            [self._read(part.start, skip * len(part.index), len(part.index)) for part in self._parts]
            for skip in (0, 1)
        ]
        return FeatureRows.of(self.index, *map(np.concatenate, sides)) if self._parts else FeatureRows.empty()

    def _add(self, state: FeatureRows) -> _Part:
        import numpy as np

        self.width = self.width or state.reference.shape[1]
        if state.reference.shape[1] != self.width:
            raise ValueError(f"features of widths {self.width} and {state.reference.shape[1]}")
        groups = state.index % GROUPS
        order = np.argsort(groups, kind="stable")
        start = self._file.tell()
        for side in (state.reference, state.reconstruction):
            self.finite &= bool(np.isfinite(side).all())
            self._file.write(np.ascontiguousarray(side[order], np.float32).data)
        bounds = np.searchsorted(groups[order], np.arange(GROUPS + 1))
        return _Part(state.index[order], start, bounds, content(state.index, state.reference))

    def _read(self, start: int, skip: int, count: int) -> npt.NDArray[np.float32]:
        import numpy as np

        found = np.empty((count, self.width), np.float32)
        self._file.seek(start + skip * self.width * found.itemsize)
        self._file.readinto(found.data)
        return found
