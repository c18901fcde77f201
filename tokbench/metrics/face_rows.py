"""What the face metrics share: who was seen where, before and after, by one face network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tokbench.metrics.base import Collector

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch

_ROWS = ("where", "ratio", "identity", "original", "reconstruction")


@dataclass(frozen=True, eq=False)
class FaceRows:
    """Faces by plan position and number in their image, sorted; a commutative monoid, exactly.

    Attributes:
        where: plan position of the image and number of the face in it, int64 ``[m, 2]``, no two rows equal.
        ratio: long side of the face's box over the long side of the image, float64 ``[m]``.
        identity: who it is, a hash, uint64 ``[m]``; 0 for unknown.
        original: embeddings in the originals, float32 ``[m, d]``.
        reconstruction: embeddings in the reconstructions, float32 ``[m, d]``.
        skipped: faces without five points, as in `where`, int64 ``[k, 2]``.
    """

    FINITE: ClassVar = ("original", "reconstruction")
    """Arrays that say nothing where a number in them is not finite."""

    where: npt.NDArray[np.int64]
    ratio: npt.NDArray[np.float64]
    identity: npt.NDArray[np.uint64]
    original: npt.NDArray[np.float32]
    reconstruction: npt.NDArray[np.float32]
    skipped: npt.NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """Return the state of no image; its width is 0 and fits any other."""
        import numpy as np

        nobody, none = np.zeros((0, 2), np.int64), np.zeros((0, 0), np.float32)
        return cls(nobody, np.zeros(0), np.zeros(0, np.uint64), none, none, nobody)

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Sort faces into a state; a repeated face is kept once.

        Raises:
            ValueError: an array is missing, shapes do not fit, or one face has two different rows.
        """
        import numpy as np

        if set(arrays) != {*_ROWS, "skipped"}:
            raise ValueError(f"face rows need {', '.join(_ROWS)} and skipped, got {sorted(arrays)}")
        where = np.asarray(arrays["where"], np.int64)
        ratio = np.asarray(arrays["ratio"], np.float64)
        identity = np.asarray(arrays["identity"], np.uint64)
        original = np.asarray(arrays["original"], np.float32)
        reconstruction = np.asarray(arrays["reconstruction"], np.float32)
        skipped = np.asarray(arrays["skipped"], np.int64)
        m = len(where)
        fit = where.shape == (m, 2) and ratio.shape == identity.shape == (m,) and skipped.shape[1:] == (2,)
        if not fit or original.ndim != 2 or len(original) != m or original.shape != reconstruction.shape:
            shapes = {name: np.shape(column) for name, column in arrays.items()}
            raise ValueError(f"columns of face rows do not fit together: {shapes}")
        _, first, which = np.unique(where, axis=0, return_index=True, return_inverse=True)
        for column in (ratio, identity, original, reconstruction):
            if not np.array_equal(column, column[first][which.reshape(-1)]):
                raise ValueError("two different rows for one face")
        width = original.shape[1] if m else 0  # no face, no width: the same state however it came about
        return cls(
            where[first],
            ratio[first],
            identity[first],
            original[first][:, :width],
            reconstruction[first][:, :width],
            np.unique(skipped, axis=0),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by attribute name."""
        return {name: getattr(self, name) for name in (*_ROWS, "skipped")}

    def __add__(self, other: Self) -> Self:
        import numpy as np

        # Rows of no face have no width, so they take no part in the concatenation of embeddings.
        parts = [part for part in (self, other) if len(part.where)] or [self]
        widths = {part.original.shape[1] for part in parts}
        if len(widths) > 1:
            raise ValueError(f"face rows with embeddings of widths {sorted(widths)}")
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ROWS}
        return self.from_arrays({**joined, "skipped": np.concatenate((self.skipped, other.skipped))})

    @property
    def cosine(self) -> npt.NDArray[np.float64]:
        """Cosine of the two embeddings of each face, float64 ``[m]``, not clamped; exactly 1 for equal ones."""
        import numpy as np

        x, y = self.original.astype(np.float64), self.reconstruction.astype(np.float64)
        # One root of a product instead of a product of two roots: the root of a square is exact.
        lengths = np.sqrt((x * x).sum(1) * (y * y).sum(1))
        cosine: npt.NDArray[np.float64] = (x * y).sum(1) / np.where(lengths > 0, lengths, 1)
        return cosine


def unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Scale each row of ``[m, d]`` to length one, in float64; a row of zeros stays, so that its cosine is 0."""
    import numpy as np

    exact = rows.astype(np.float64)
    length = np.linalg.norm(exact, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = exact / np.where(length > 0, length, 1)
    return scaled


@dataclass(frozen=True)
class _Collect:
    # A value rather than a partial function: collectors compare equal after they crossed to a worker.
    evaluator: str

    def __call__(self, batch: Batch) -> FaceRows:
        import numpy as np

        long_side = max(batch.original.shape[-2:])
        points: list[list[Any]] = []
        where, ratio, identity, skipped = [], [], [], []
        for index, truth in zip(batch.index.tolist(), batch.truth, strict=True):
            points.append([])
            for number, face in enumerate(truth.get("faces", ())):
                if len(face.get("points", ())) != 5:
                    skipped.append((index, number))
                    continue
                points[-1].append(face["points"])
                where.append((index, number))
                x0, y0, x1, y1 = face["box"]
                ratio.append(max(x1 - x0, y1 - y0) / long_side)
                identity.append(identity_hash(face.get("identity", "")))
        state = FaceRows.empty().arrays() | {"skipped": np.array(skipped, np.int64).reshape(-1, 2)}
        if where:
            encoder = batch.evaluator(self.evaluator)
            state |= {
                "where": np.array(where, np.int64),
                "ratio": np.array(ratio),
                "identity": np.array(identity, np.uint64),
                "original": batch.once(
                    f"{self.evaluator}/faces", lambda: encoder.embed(batch.original, points)
                ),
                "reconstruction": encoder.embed(batch.reconstruction, points),
            }
        return FaceRows.from_arrays(state)


def identity_hash(name: str) -> int:
    """Return 64 bits of a person's name; 0 for nobody."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") if name else 0


def collector(evaluator: str) -> Collector:
    """Return the collector of a face network's embeddings, ``faces-<evaluator>``."""
    return Collector(name=f"faces-{evaluator}", kind=FaceRows, of=_Collect(evaluator), network=evaluator)
