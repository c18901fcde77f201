"""SSIM (Wang et al. 2004) and MS-SSIM (Wang et al. 2003) in float64, on the valid interior only."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

    Floats = npt.NDArray[np.float64]

_WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
_CACHED = 2**16
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(original: Tensor, reconstruction: Tensor) -> Floats:
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
    return _whole(original, reconstruction)[:, 0]


def ms_ssim(original: Tensor, reconstruction: Tensor) -> Floats:
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
    return _multi_scale(original, reconstruction, _whole(original, reconstruction))


def _whole(original: Tensor, reconstruction: Tensor) -> Floats:
    """Return the mean similarity and the mean contrast of each pair at full size, ``[n, 2]``; NaN when too small."""
    import numpy as np
    import torch

    if min(original.shape[-2:]) < _WINDOW:
        return np.full((len(original), 2), np.nan)
    # One image at a time, so that none sees the others.
    pairs = zip(original, reconstruction, strict=True)
    means: Floats = torch.stack([_means(torch.stack(pair).to(torch.float64)) for pair in pairs]).cpu().numpy()
    return means


def _multi_scale(original: Tensor, reconstruction: Tensor, whole: Floats) -> Floats:
    import numpy as np
    import torch

    if min(original.shape[-2:]) < _WINDOW << (len(_SCALE_WEIGHTS) - 1):
        return np.full(len(original), np.nan)
    pairs = zip(original, reconstruction, strict=True)
    smaller = (
        torch.stack([_smaller_means(torch.stack(pair).to(torch.float64)) for pair in pairs]).cpu().numpy()
    )
    # Contrast of all scales but the last, which counts whole.
    means = np.concatenate((whole[:, 1:], smaller[:, :-1, 1], smaller[:, -1:, 0]), axis=1)
    result: Floats = (means.clip(0) ** _SCALE_WEIGHTS).prod(1)
    return result


def _smaller_means(pair: Tensor) -> Tensor:
    """Return what `_means` gives at each scale below the first, ``[4, 2]``."""
    import torch

    means = []
    for _ in _SCALE_WEIGHTS[1:]:
        pair = _halved(pair)
        means.append(_means(pair))
    return torch.stack(means)


def _halved(planes: Tensor) -> Tensor:
    """Average 2×2 samples; an odd last row or column is left out. Of 8-bit levels the sums are exact."""
    height, width = (side // 2 * 2 for side in planes.shape[-2:])
    rows = planes[..., 0:height:2, :width] + planes[..., 1:height:2, :width]
    return (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)


def _means(pair: Tensor) -> Tensor:
    """Return the mean over samples of luminance times contrast-structure, and of the latter alone, ``[2]``.

    Args:
        pair: float64 ``[2, 3, h, w]``, levels of two images.
    """
    import torch

    # Large planes go channel by channel on a processor: together they would leave its cache, and every call would ask
    # the system for fresh pages.
    alone = pair.device.type == "cpu" and pair[0].numel() > _CACHED
    channels = torch.split(pair, 1 if alone else pair.shape[1], dim=1)
    return torch.stack([_means_of_planes(part) for part in channels]).mean(0)


def _means_of_planes(pair: Tensor) -> Tensor:
    import torch

    x, y = pair
    # The two variances only occur as a sum, which saves one of five blurs.
    planes = pair.new_empty(4, *x.shape)
    planes[:2] = pair
    torch.mul(x, x, out=planes[2]).addcmul_(y, y)
    torch.mul(x, y, out=planes[3])
    mean_x, mean_y, squares, product = _blur(planes)
    means = mean_x * mean_y
    mean_squares = mean_x.square().addcmul_(mean_y, mean_y)
    contrast = product.sub_(means).mul_(2).add_(_C2).div_(squares.sub_(mean_squares).add_(_C2))
    luminance = means.mul_(2).add_(_C1).div_(mean_squares.add_(_C1))
    return torch.stack((luminance.mul_(contrast).mean(), contrast.mean()))


def _blur(planes: Tensor) -> Tensor:
    """Blur the last two axes with the window, keeping only positions where it fits.

    Shifted sums instead of a convolution: in float64 on one core they are an order of magnitude faster. A plane is one
    line of samples, so that a step of its width goes down a row and every sum runs over unbroken memory.
    """
    height, width = planes.shape[-2:]
    blurred = _mixed(_mixed(planes.flatten(-2), width), 1)
    return blurred.view(planes.shape)[..., : height - _WINDOW + 1, : width - _WINDOW + 1]


def _mixed(lines: Tensor, step: int) -> Tensor:
    """Weight each sample and the ten that follow at a step; where fewer follow, the result is undefined."""
    import torch

    length = lines.shape[-1] - (_WINDOW - 1) * step
    result = torch.empty_like(lines)
    mixed = result.narrow(-1, 0, length)
    torch.mul(lines.narrow(-1, 0, length), _kernel()[0], out=mixed)
    for offset, weight in enumerate(_kernel()[1:], start=1):
        mixed.add_(lines.narrow(-1, offset * step, length), alpha=weight)
    return result


@functools.cache
def _kernel() -> tuple[float, ...]:
    half = _WINDOW // 2
    weights = [math.exp(-(offset**2) / (2 * _SIGMA**2)) for offset in range(-half, half + 1)]
    return tuple(weight / sum(weights) for weight in weights)


def _measure_ssim(batch: Batch) -> Floats:
    return _shared(batch)[:, 0]


def _measure_ms_ssim(batch: Batch) -> Floats:
    return _multi_scale(batch.original, batch.reconstruction, _shared(batch))


def _shared(batch: Batch) -> Floats:
    """Blur each pair once for both metrics."""
    means: Floats = batch.memo("structural", functools.partial(_whole, batch.original, batch.reconstruction))
    return means


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
