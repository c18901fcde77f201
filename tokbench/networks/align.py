"""Faces brought into one position: the similarity transform that takes five points to a template, and its sampling.

Points and pixels share the convention of dlib and OpenCV: the centre of the first pixel is (0, 0).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokbench.errors import EvaluatorError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Points = npt.NDArray[np.float64]


def similarity(points: Points, template: Points) -> Points:
    """Return the rotation, scale and shift that bring points closest to a template, in least squares.

    No reflection is allowed (Umeyama, IEEE PAMI 13(4), 1991; in the plane it has a closed form).

    Args:
        points: ``[k, 2]``, at least two different ones.
        template: ``[k, 2]``, where they shall be.

    Returns:
        float64 ``[2, 3]``: ``template ≈ matrix[:, :2] @ point + matrix[:, 2]``.

    Raises:
        EvaluatorError: the points coincide, or are not finite.
    """
    import numpy as np

    points, template = np.asarray(points, np.float64), np.asarray(template, np.float64)
    centre, target = points.mean(0), template.mean(0)
    # A similarity of the plane is multiplication with one complex number.
    x, y = (points - centre) @ (1, 1j), (template - target) @ (1, 1j)
    spread = float((np.abs(x) ** 2).sum())
    if not (math.isfinite(spread) and spread > 0 and np.isfinite(y).all()):
        raise EvaluatorError(
            f"face points {points.tolist()} cannot be aligned", hint="correct the image set's truth"
        )
    turn = complex((np.conj(x) * y).sum()) / spread
    rotation = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    shift = target - rotation @ centre
    return np.concatenate((rotation, shift[:, None]), 1)


def warp(image: npt.NDArray[np.uint8], matrix: Points, side: int) -> npt.NDArray[np.float32]:
    """Sample the square that a similarity transform maps a face to.

    Bilinear, black outside the image. A face that is at least twice as large as wanted is first halved by the
    binomial filter 1 4 6 4 1 until it is not, so that every pixel of it counts; dlib reduces with the same filter.

    Args:
        image: uint8 ``[h, w, 3]``.
        matrix: from image to square, ``[2, 3]``.
        side: side of the square in pixels.

    Returns:
        float32 ``[side, side, 3]`` in 0..255.
    """
    import numpy as np

    inverse = np.linalg.inv(np.vstack((matrix, (0, 0, 1))))[:2]
    levels = max(0, math.floor(math.log2(math.hypot(*inverse[:, 0]))))
    pixels, inverse = _cut(image, inverse, side, 2 << levels)
    for _ in range(levels):
        pixels, inverse = _half(pixels), inverse / 2
    columns, rows = np.meshgrid(np.arange(side, dtype=np.float64), np.arange(side, dtype=np.float64))
    x, y = (row[0] * columns + row[1] * rows + row[2] for row in inverse)
    return _bilinear(pixels, x, y)


def _cut(
    image: npt.NDArray[np.uint8], inverse: Points, side: int, margin: int
) -> tuple[npt.NDArray[np.float32], Points]:
    """Cut out what the square shows, and a margin, so that the cost is that of the face and not of the photograph."""
    import numpy as np

    corners = np.array([(x, y, 1) for x in (0, side - 1) for y in (0, side - 1)])
    shown = corners @ inverse.T
    # An even start keeps the halved pixels in place, wherever the cut is.
    step = margin
    low = np.maximum(0, (np.floor(shown.min(0)).astype(int) - 2 * margin) // step * step)
    high = np.minimum(image.shape[1::-1], np.ceil(shown.max(0)).astype(int) + 2 * margin + 1)
    high = np.maximum(high, low)
    moved = inverse.copy()
    moved[:, 2] -= low
    return image[low[1] : high[1], low[0] : high[0]].astype(np.float32), moved


def _half(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Filter and keep every second row and column, beginning with the first."""
    import numpy as np

    for axis in (0, 1):
        if not pixels.size:
            return pixels
        around = [(2, 2) if each == axis else (0, 0) for each in range(3)]
        wide = np.moveaxis(np.pad(pixels, around, mode="edge"), axis, 0)
        n = pixels.shape[axis]
        filtered = sum(weight * wide[start : start + n : 2] for start, weight in enumerate((1, 4, 6, 4, 1)))
        pixels = np.moveaxis(np.asarray(filtered / np.float32(16), np.float32), 0, axis)
    return pixels


def _bilinear(pixels: npt.NDArray[np.float32], x: Points, y: Points) -> npt.NDArray[np.float32]:
    import numpy as np

    height, width = pixels.shape[:2]
    # Two black rows and columns on each side stand for all that is outside.
    framed = np.pad(pixels, ((2, 2), (2, 2), (0, 0)))
    x, y = np.clip(x, -2.0, width) + 2, np.clip(y, -2.0, height) + 2
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right, down = (x - left).astype(np.float32)[..., None], (y - top).astype(np.float32)[..., None]
    upper = framed[top, left] * (1 - right) + framed[top, left + 1] * right
    lower = framed[top + 1, left] * (1 - right) + framed[top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)
