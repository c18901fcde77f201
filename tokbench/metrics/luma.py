"""Luma: the one plane on which spectra and gradients are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = (0.299, 0.587, 0.114)
"""ITU-R BT.601, as in MATLAB's ``rgb2gray`` and therefore in most published gradient metrics."""


def luma(images: Tensor) -> Tensor:
    """Return the luma of RGB images in 8-bit levels, not rounded.

    Args:
        images: uint8 ``[n, 3, h, w]``.

    Returns:
        float64 ``[n, h, w]`` in [0, 255].
    """
    import torch

    red, green, blue = images.to(torch.float64).unbind(1)
    return WEIGHTS[0] * red + WEIGHTS[1] * green + WEIGHTS[2] * blue
