"""PSNR and L1: sums over pixels, in whole numbers."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from tokbench.metrics.base import ImageMetric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

EXACT_DB = 10 * math.log10(255**2 * 3 * 256**2)
"""What an exact image counts in a mean of PSNR beside inexact ones, in dB: 101.07.

It is the largest PSNR that an inexact 256×256 RGB image can have: one sample off by one level.
Larger values are cut to it, so that no image outweighs an exact one.
"""


def difference_sums(original: Tensor, reconstruction: Tensor) -> npt.NDArray[np.int64]:
    """Add up the differences of each pair of images, exactly.

    Args:
        original: uint8 ``[n, 3, h, w]``.
        reconstruction: uint8 of the same shape, on the same device.

    Returns:
        int64 ``[n, 2]``: the sums of the absolute and of the squared differences in levels.
    """
    import numpy as np
    import torch

    sums = torch.zeros(len(original), 2, dtype=torch.float64, device=original.device)
    for row, x, y in zip(sums, original, reconstruction, strict=True):
        # Whole numbers far below 2⁵³: no order of addition rounds, and floats have the fast dot product.
        difference = (x.to(torch.float64) - y.to(torch.float64)).flatten()
        row[1] = difference.dot(difference)
        row[0] = difference.abs_().sum()
    return sums.cpu().numpy().astype(np.int64)


def shared_sums(batch: Batch) -> npt.NDArray[np.int64]:
    """Return `difference_sums` of a batch, computed once for all metrics that start from it."""
    sums: npt.NDArray[np.int64] = batch.memo(
        "differences", functools.partial(difference_sums, batch.original, batch.reconstruction)
    )
    return sums


def psnr(original: Tensor, reconstruction: Tensor) -> npt.NDArray[np.float64]:
    """Return each image's peak signal-to-noise ratio in dB; infinity where it is exact.

    Args:
        original: uint8 ``[n, 3, h, w]``.
        reconstruction: uint8 of the same shape, on the same device.

    Returns:
        float64 ``[n]``: ``10 log10(255² / mean squared error)`` over all samples of the image. The squared
        errors are added as integers, so the result is exact to the last rounding.
    """
    return _decibels(difference_sums(original, reconstruction), original)


def _decibels(sums: npt.NDArray[np.int64], original: Tensor) -> npt.NDArray[np.float64]:
    import numpy as np

    with np.errstate(divide="ignore"):
        decibels: npt.NDArray[np.float64] = 10 * np.log10(255.0**2 * original[0].numel() / sums[:, 1])
    return decibels


def mean_psnr(values: npt.NDArray[np.float64]) -> Any:
    """Average PSNR over the last axis: infinite only when every image is exact.

    An exact image among others counts as `EXACT_DB`, which is also the most any image counts.
    """
    import numpy as np

    return np.where(np.isinf(values).all(-1), np.inf, np.minimum(values, EXACT_DB).mean(-1))


def l1(original: Tensor, reconstruction: Tensor) -> npt.NDArray[np.float64]:
    """Return each image's mean absolute error as a fraction of full scale: 8-bit levels divided by 255.

    Args:
        original: uint8 ``[n, 3, h, w]``.
        reconstruction: uint8 of the same shape, on the same device.

    Returns:
        float64 ``[n]`` in [0, 1].
    """
    return _fraction(difference_sums(original, reconstruction), original)


def _fraction(sums: npt.NDArray[np.int64], original: Tensor) -> npt.NDArray[np.float64]:
    fraction: npt.NDArray[np.float64] = sums[:, 0] / (255 * original[0].numel())
    return fraction


def _measure_psnr(batch: Batch) -> npt.NDArray[np.float64]:
    return _decibels(shared_sums(batch), batch.original)


def _measure_l1(batch: Batch) -> npt.NDArray[np.float64]:
    return _fraction(shared_sums(batch), batch.original)


PSNR = ImageMetric(
    name="psnr",
    title="PSNR",
    unit="dB",
    higher_is_better=True,
    measure=_measure_psnr,
    mean=mean_psnr,
    definition=(
        "Mean over images of 10 log10(255² / MSE) on rounded 8-bit RGB; an exact image counts 101.07 dB in a "
        "mean with inexact ones."
    ),
)

L1 = ImageMetric(
    name="l1",
    title="L1",
    unit="",
    higher_is_better=False,
    measure=_measure_l1,
    definition="Mean absolute error on rounded 8-bit RGB, in levels divided by 255.",
)
