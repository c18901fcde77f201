"""SSIM with other windows, ranges and borders than the paper's: what published scripts call SSIM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor


@dataclass(frozen=True)
class Window:
    """How local means are taken.

    Attributes:
        weights: of the separable window, summing to 1.
        sample_covariance: scale (co)variances by N / (N - 1), N the number of samples in the window.
        mirror: reflect the border so that every pixel has a window; otherwise only whole windows count.
    """

    weights: tuple[float, ...]
    sample_covariance: bool
    mirror: bool


def _gaussian(size: int, sigma: float) -> tuple[float, ...]:
    weights = [math.exp(-((place - size // 2) ** 2) / (2 * sigma**2)) for place in range(size)]
    return tuple(weight / sum(weights) for weight in weights)


SKIMAGE = Window((1 / 7,) * 7, sample_covariance=True, mirror=False)
"""scikit-image's ``structural_similarity`` as it comes: uniform 7×7."""

TORCHMETRICS = Window(_gaussian(11, 1.5), sample_covariance=False, mirror=True)
"""torchmetrics' ``structural_similarity_index_measure`` since 1.7 (earlier ones cut the mirrored border off)."""


def windowed_ssim(
    original: Tensor, reconstruction: Tensor, window: Window, data_range: float | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return each image's mean structural similarity under a window, in float64.

    Args:
        original: uint8 ``[n, 3, h, w]``, or levels of another type on the scale 0..255.
        reconstruction: likewise.
        window: how local means are taken.
        data_range: in 8-bit levels, one for all images or ``[n]``.

    Returns:
        float64 ``[n]``; NaN where a side is too small for the window (or for mirroring it).
    """
    import numpy as np
    import torch

    size = len(window.weights)
    smallest = size // 2 + 1 if window.mirror else size
    if min(original.shape[-2:]) < smallest:
        return np.full(len(original), np.nan)
    ranges = np.broadcast_to(np.asarray(data_range, np.float64), len(original))
    pairs = zip(original.to(torch.float64), reconstruction.to(torch.float64), ranges.tolist(), strict=True)
    result: npt.NDArray[np.float64] = (
        torch.stack([_one(x, y, window, level) for x, y, level in pairs]).cpu().numpy()
    )
    return result


def _one(x: Tensor, y: Tensor, window: Window, data_range: float) -> Tensor:
    import torch
    from torch.nn import functional

    planes = torch.stack((x, y, x * x + y * y, x * y))
    if window.mirror:
        planes = functional.pad(planes, (len(window.weights) // 2,) * 4, mode="reflect")
    mean_x, mean_y, squares, product = _means(planes, window.weights)
    count = len(window.weights) ** 2
    scale = count / (count - 1) if window.sample_covariance else 1.0
    means, mean_squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    first, second = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * means + first) / (mean_squares + first)
    contrast = (2 * scale * (product - means) + second) / (scale * (squares - mean_squares) + second)
    similarity: Tensor = luminance * contrast
    return similarity.mean()


def _means(planes: Tensor, weights: tuple[float, ...]) -> Tensor:
    # Shifted sums instead of a convolution: in float64 on one core they are an order of magnitude faster.
    for axis in (-2, -1):
        length = planes.shape[axis] - len(weights) + 1
        total = planes.narrow(axis, 0, length) * weights[0]
        for offset, weight in enumerate(weights[1:], start=1):
            total.add_(planes.narrow(axis, offset, length), alpha=weight)
        planes = total
    return planes
