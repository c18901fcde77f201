"""The ids of every image, kept whole: what statistics of neighbours, order and position need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tokbench.metrics.base import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch


@dataclass(frozen=True, eq=False)
class TokenSequences:
    """Ids by plan position; a commutative monoid, exactly.

    Attributes:
        vocab: entries of each codebook; 0 in the empty state.
        index: plan positions of the images, int64 ``[n]``, ascending, no two equal.
        shapes: (codebooks, rows, columns) of each image's ids, int64 ``[n, 3]``; ids without two position axes are
            one row.
        ids: all ids, image after image, each in C order, int32.
    """

    vocab: int
    index: npt.NDArray[np.int64]
    shapes: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int32]

    @classmethod
    def empty(cls) -> Self:
        """Return the state of no image."""
        import numpy as np

        return cls(0, np.zeros(0, np.int64), np.zeros((0, 3), np.int64), np.zeros(0, np.int32))

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Keep the ids of a batch.

        Raises:
            ValueError: the codes are not ids from codebooks.
        """
        import numpy as np

        if batch.codes.ids is None or batch.spec.vocab is None:
            raise ValueError(f"{batch.spec.name} has no codebook")
        ids = batch.codes.ids.cpu().numpy().astype(np.int32)
        books = ids.shape[1] if batch.spec.codebooks > 1 else 1
        positions = ids.shape[2:] if batch.spec.codebooks > 1 else ids.shape[1:]
        grid = positions if len(positions) == 2 else (1, math.prod(positions))
        order = np.argsort(batch.index)
        shapes = np.tile(np.array([books, *grid], np.int64), (len(ids), 1))
        return cls(batch.spec.vocab, batch.index[order].astype(np.int64), shapes, ids[order].reshape(-1))

    def __add__(self, other: Self) -> Self:
        return self.joined((self, other))

    @classmethod
    def joined(cls, states: Sequence[Self]) -> Self:
        """Return the sum of any number of states, in one step.

        Raises:
            ValueError: they are of different vocabs, or an image is in two of them.
        """
        import numpy as np

        full = [state for state in states if state.vocab]
        if not full:
            return cls.empty()
        if len({state.vocab for state in full}) > 1:
            raise ValueError(f"token sequences of vocabs {sorted({state.vocab for state in full})}")
        index = np.concatenate([state.index for state in full])
        order = np.argsort(index)
        if (np.diff(index[order]) == 0).any():
            raise ValueError("token sequences hold an image twice")
        images = [ids.reshape(-1) for state in full for ids in state.images()]
        shapes = np.concatenate([state.shapes for state in full])[order]
        ids = np.concatenate([images[place] for place in order])
        return cls(full[0].vocab, index[order], shapes, ids)

    def images(self) -> Iterator[npt.NDArray[np.int32]]:
        """Yield the ids of each image, int32 ``[codebooks, rows, columns]``, in plan order."""
        start = 0
        for shape in self.shapes:
            end = start + int(shape.prod())
            yield self.ids[start:end].reshape(tuple(shape))
            start = end

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return ``vocab``, ``index``, ``shapes`` (int64) and ``ids`` (int32)."""
        import numpy as np

        return {
            "vocab": np.array([self.vocab], np.int64),
            "index": self.index,
            "shapes": self.shapes,
            "ids": self.ids,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild from `arrays`.

        Raises:
            ValueError: an array is missing, or they do not fit together.
        """
        import numpy as np

        if set(arrays) != {"vocab", "index", "shapes", "ids"}:
            raise ValueError(f"token sequences need vocab, index, shapes and ids, got {sorted(arrays)}")
        vocab = int(arrays["vocab"][0])
        index, shapes = np.asarray(arrays["index"], np.int64), np.asarray(arrays["shapes"], np.int64)
        ids = np.asarray(arrays["ids"], np.int32)
        if shapes.shape != (len(index), 3) or shapes.prod(axis=1).sum() != len(ids):
            raise ValueError("token sequences do not fit together")
        if len(ids) and not 0 <= ids.min() <= ids.max() < vocab:
            raise ValueError(f"token sequences hold ids outside [0, {vocab})")
        return cls(vocab, index, shapes, ids)


TOKEN_SEQUENCES = Collector(name="token-sequences", kind=TokenSequences, of=TokenSequences.of)
