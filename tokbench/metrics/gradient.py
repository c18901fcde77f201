"""What happens to gradients: GMSD, and whether edges are where they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric
from tokbench.metrics.luma import luma

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

EDGE = 16.0
"""Least gradient of an edge, in levels per pixel (Sobel divided by 8)."""

_STABILITY = 170.0
_PREWITT = ((1.0, 0.0, -1.0),) * 3
_SOBEL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))
_SMALLEST = 8


def gmsd(original: Tensor, reconstruction: Tensor) -> npt.NDArray[np.float64]:
    """Return each image's gradient magnitude similarity deviation (Xue et al. 2014, arXiv 1308.3052).

    As in the authors' MATLAB: luma in levels, 2×2 mean and every second sample, Prewitt gradients divided by 3 with
    zeros outside the image, similarity constant 170. The deviation is the paper's, over N; the code's ``std2``
    divides by N - 1. Luma is not rounded to whole levels.

    Args:
        original: uint8 ``[n, 3, h, w]``.
        reconstruction: uint8 of the same shape, on the same device.

    Returns:
        float64 ``[n]``, 0 for equal images; NaN when a side is below 8 pixels.
    """
    return _each(original, reconstruction, _gmsd_one)


def edge_f1(original: Tensor, reconstruction: Tensor) -> npt.NDArray[np.float64]:
    """Return the F1 score of each reconstruction's edges against the original's.

    An edge is a luma pixel whose Sobel gradient is at least `EDGE` and no smaller than that of its two neighbours
    along the gradient's main axis. It is matched when the other image has an edge at most one pixel away, diagonals
    included.

    Args:
        original: uint8 ``[n, 3, h, w]``.
        reconstruction: uint8 of the same shape, on the same device.

    Returns:
        float64 ``[n]`` in [0, 1]; NaN where the original has no edge, or a side is below 8 pixels.
    """
    return _each(original, reconstruction, _edge_f1_one)


def _each(
    original: Tensor, reconstruction: Tensor, one: Callable[[Tensor, Tensor], Tensor]
) -> npt.NDArray[np.float64]:
    import numpy as np
    import torch

    if min(original.shape[-2:]) < _SMALLEST:
        return np.full(len(original), np.nan)
    pairs = zip(luma(original), luma(reconstruction), strict=True)
    result: npt.NDArray[np.float64] = torch.stack([one(x, y) for x, y in pairs]).cpu().numpy()
    return result


def _gmsd_one(x: Tensor, y: Tensor) -> Tensor:
    before, after = _halved_gradient(x), _halved_gradient(y)
    similarity = (2 * before * after + _STABILITY) / (before.square() + after.square() + _STABILITY)
    return similarity.std(correction=0)


def _halved_gradient(plane: Tensor) -> Tensor:
    from torch.nn import functional

    odd = [side % 2 for side in plane.shape]
    # The sample below and right of an odd image is zero, as in MATLAB's conv2 with "same".
    half = functional.avg_pool2d(functional.pad(plane, (0, odd[1], 0, odd[0]))[None], 2)[0]
    across, down = _gradient(functional.pad(half, (1, 1, 1, 1)), _PREWITT)
    return (across.square() + down.square()).sqrt() / 3


def _gradient(plane: Tensor, kernel: tuple[tuple[float, ...], ...]) -> tuple[Tensor, Tensor]:
    """Return the horizontal and the vertical derivative on the valid interior, by shifted sums."""
    height, width = plane.shape[0] - 2, plane.shape[1] - 2
    across, down = plane.new_zeros(height, width), plane.new_zeros(height, width)
    for i in range(3):
        for j in range(3):
            part = plane[i : i + height, j : j + width]
            across += kernel[i][j] * part
            down += kernel[j][i] * part
    return across, down


def _edge_f1_one(x: Tensor, y: Tensor) -> Tensor:
    before, after = _edges(x), _edges(y)
    kept = (before & _widened(after)).sum()
    right = (after & _widened(before)).sum()
    if not before.any():
        return x.new_full((), float("nan"))
    if not kept or not right:
        return x.new_zeros(())
    recall, precision = kept / before.sum(), right / after.sum()
    return (2 * precision * recall / (precision + recall)).to(x.dtype)


def _edges(plane: Tensor) -> Tensor:
    """Return bool ``[h - 4, w - 4]``: thin edges."""
    import torch

    across, down = _gradient(plane, _SOBEL)
    strength = (across.square() + down.square()).sqrt() / 8
    middle = strength[1:-1, 1:-1]
    upright = (across.abs() >= down.abs())[1:-1, 1:-1]
    beside = torch.where(upright, strength[1:-1, :-2], strength[:-2, 1:-1])
    other = torch.where(upright, strength[1:-1, 2:], strength[2:, 1:-1])
    return (middle >= EDGE) & (middle >= beside) & (middle >= other)


def _widened(edges: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.max_pool2d(edges[None].float(), 3, stride=1, padding=1)[0] > 0


def _measure_gmsd(batch: Batch) -> npt.NDArray[np.float64]:
    return gmsd(batch.original, batch.reconstruction)


def _measure_edge_f1(batch: Batch) -> npt.NDArray[np.float64]:
    return edge_f1(batch.original, batch.reconstruction)


GMSD = ImageMetric(
    name="gmsd",
    title="GMSD",
    unit="",
    higher_is_better=False,
    measure=_measure_gmsd,
    definition="Gradient magnitude similarity deviation of the luma (Xue et al. 2014, arXiv 1308.3052).",
)

EDGE_F1 = ImageMetric(
    name="edge_f1",
    title="edge F1",
    unit="",
    higher_is_better=True,
    measure=_measure_edge_f1,
    definition=(
        "F1 of thinned luma edges of at least 16 levels per pixel (Sobel) within one pixel of each other, mean over "
        "the images whose original has an edge."
    ),
)
