"""What MTCNN does with boxes between its networks.

Boxes are float32 ``[n, 4]``, ``(x0, y0, x1, y1)``, and count pixels from 1 with both ends included, as the networks
were trained; every constant and every "+ 1" below decides who is found, so none is tidied away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]

CELL = 12
"""Side of the squares that the first network judges."""
_STRIDE = 2


def pyramid(height: int, width: int, smallest: float, factor: float) -> Iterator[float]:
    """Yield the scales at which faces of `smallest` pixels and larger become squares of 12 pixels."""
    scale = CELL / smallest
    short = min(height, width) * scale
    while short >= CELL:
        yield scale
        scale, short = scale * factor, short * factor


def cells(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], scale: float) -> Rows:
    """Return the boxes in the picture of cells of the first network's map at a scale."""
    corners = np.stack((columns, rows), 1).astype(np.float32) * np.float32(_STRIDE)
    low, high = (np.floor((corners + np.float32(end)) / np.float32(scale)) for end in (1, CELL))
    return np.concatenate((low, high), 1)


def moved(boxes: Rows, shifts: Rows, ends: int = 1) -> Rows:
    """Shift the sides of boxes by parts of their size.

    Args:
        boxes: to be shifted.
        shifts: ``[n, 4]``, of each side as a part of the width or height.
        ends: 1 when the size counts both ends, 0 when it is the plain difference, as after the first network.
    """
    size = boxes[:, 2:] - boxes[:, :2] + np.float32(ends)
    return boxes + shifts * np.tile(size, 2)


def squares(boxes: Rows) -> Rows:
    """Grow the shorter sides of boxes about their middle until they are squares."""
    size = boxes[:, 2:] - boxes[:, :2]
    longest = size.max(1, keepdims=True, initial=0)
    low = boxes[:, :2] + size * np.float32(0.5) - longest * np.float32(0.5)
    return np.concatenate((low, low + longest), 1)


def windows(boxes: Rows, height: int, width: int) -> npt.NDArray[np.int64]:
    """Return the pixels of boxes that are in the picture, int64 ``[n, 4]``, from 0, the last one not included."""
    inside: npt.NDArray[np.int64] = np.trunc(boxes).astype(np.int64)
    inside[:, :2] = np.maximum(inside[:, :2], 1) - 1
    inside[:, 2:] = np.minimum(inside[:, 2:], (width, height))
    return inside


def best(boxes: Rows, scores: Rows, most: float, *, ends: int = 0, of_smaller: bool = False) -> list[int]:
    """Choose boxes by falling score, leaving out those that overlap a chosen one too much.

    Args:
        boxes: to choose from.
        scores: ``[n]``.
        most: largest overlap of two chosen boxes.
        ends: as in `moved`.
        of_smaller: measure the overlap by the smaller box, so that a face in a face is one; else by the union.

    Returns:
        Positions, best first.
    """
    size = np.maximum(boxes[:, 2:] - boxes[:, :2] + np.float32(ends), 0)
    area = size[:, 0] * size[:, 1]
    left = np.argsort(-scores, kind="stable")
    chosen = []
    while left.size:
        first, left = int(left[0]), left[1:]
        chosen.append(first)
        low = np.maximum(boxes[left, :2], boxes[first, :2])
        high = np.minimum(boxes[left, 2:], boxes[first, 2:])
        both = np.maximum(high - low + np.float32(ends), 0).prod(1)
        whole = np.minimum(area[left], area[first]) if of_smaller else area[left] + area[first] - both
        left = left[both <= np.float32(most) * whole]
    return chosen
