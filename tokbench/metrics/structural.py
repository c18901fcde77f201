"""SSIM (Wang et al. 2004) and MS-SSIM (Wang et al. 2003) in float64, on the valid interior only."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

_WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(original: Tensor, reconstruction: Tensor) -> npt.NDArray[np.float64]:
    """Return each image's structural similarity.

    Gaussian window 11×11, σ 1.5, data range 255, K1 0.01, K2 0.03, population covariance, mean over RGB and
    over the positions whose window lies inside the image: scikit-image with ``gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False, data_range=255``.

    Args:
        original: uint8 ``[n, 3, h, w]``.
        reconstruction: uint8 of the same shape, on the same device.

    Returns:
        float64 ``[n]``, at most 1; NaN when a side is below 11 pixels.
    """
    return _each(original, reconstruction, _ssim_one, _WINDOW)


def ms_ssim(original: Tensor, reconstruction: Tensor) -> npt.NDArray[np.float64]:
    """Return each image's multi-scale structural similarity.

    Five scales with the weights of the paper, 2×2 average pooling between them, the window of `ssim`; a
    negative mean at any scale counts as 0, as a fractional power of it has no value.

    Args:
        original: uint8 ``[n, 3, h, w]``.
        reconstruction: uint8 of the same shape, on the same device.

    Returns:
        float64 ``[n]`` in [0, 1]; NaN when a side is below 176 pixels, where the coarsest scale no longer
        holds one window. Fewer scales would be another metric.
    """
    return _each(original, reconstruction, _ms_ssim_one, _WINDOW << (len(_SCALE_WEIGHTS) - 1))


def _each(
    original: Tensor, reconstruction: Tensor, one: Callable[[Tensor, Tensor], Tensor], smallest: int
) -> npt.NDArray[np.float64]:
    import numpy as np
    import torch

    if min(original.shape[-2:]) < smallest:
        return np.full(len(original), np.nan)
    # One image at a time: the planes of one stay in the processor's cache, and no image sees the others.
    pairs = zip(original.to(torch.float64), reconstruction.to(torch.float64), strict=True)
    result: npt.NDArray[np.float64] = torch.stack([one(x, y) for x, y in pairs]).cpu().numpy()
    return result


def _ssim_one(x: Tensor, y: Tensor) -> Tensor:
    luminance, contrast = _similarity(x, y)
    return (luminance * contrast).mean()


def _ms_ssim_one(x: Tensor, y: Tensor) -> Tensor:
    from torch.nn import functional

    result = x.new_ones(())
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        luminance, contrast = _similarity(x, y)
        last = scale == len(_SCALE_WEIGHTS) - 1
        mean = (luminance * contrast).mean() if last else contrast.mean()
        result = result * mean.clamp(min=0) ** weight
        if not last:
            x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
    return result


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the luminance and the contrast-structure maps, each ``[3, h - 10, w - 10]``."""
    import torch

    # The two variances only occur as a sum, which saves one of five blurs.
    mean_x, mean_y, squares, product = _blur(torch.stack((x, y, x * x + y * y, x * y)))
    means = mean_x * mean_y
    mean_squares = mean_x.square() + mean_y.square()
    luminance = (2 * means + _C1) / (mean_squares + _C1)
    contrast = (2 * (product - means) + _C2) / (squares - mean_squares + _C2)
    return luminance, contrast


def _blur(planes: Tensor) -> Tensor:
    """Blur the last two axes with the window, keeping only positions where it fits.

    Shifted sums instead of a convolution: in float64 on one core they are an order of magnitude faster.
    """
    for axis in (-2, -1):
        length = planes.shape[axis] - _WINDOW + 1
        blurred = planes.narrow(axis, 0, length) * _kernel()[0]
        for offset, weight in enumerate(_kernel()[1:], start=1):
            blurred.add_(planes.narrow(axis, offset, length), alpha=weight)
        planes = blurred
    return planes


@functools.cache
def _kernel() -> tuple[float, ...]:
    half = _WINDOW // 2
    weights = [math.exp(-(offset**2) / (2 * _SIGMA**2)) for offset in range(-half, half + 1)]
    return tuple(weight / sum(weights) for weight in weights)


def _measure_ssim(batch: Batch) -> npt.NDArray[np.float64]:
    return ssim(batch.original, batch.reconstruction)


def _measure_ms_ssim(batch: Batch) -> npt.NDArray[np.float64]:
    return ms_ssim(batch.original, batch.reconstruction)


SSIM = ImageMetric(
    name="ssim",
    title="SSIM",
    unit="",
    higher_is_better=True,
    measure=_measure_ssim,
    definition=(
        "Structural similarity (Wang et al. 2004): Gaussian 11×11 window, σ 1.5, data range 255, population "
        "covariance, mean over RGB and the valid interior."
    ),
)

MS_SSIM = ImageMetric(
    name="ms_ssim",
    title="MS-SSIM",
    unit="",
    higher_is_better=True,
    measure=_measure_ms_ssim,
    definition=(
        "Multi-scale structural similarity (Wang et al. 2003): five scales, weights of the paper, 2×2 "
        "average pooling; sides of at least 176 pixels."
    ),
)
