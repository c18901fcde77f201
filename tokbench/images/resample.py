"""Resizes that published evaluations used and Pillow does not have, on uint8 arrays ``[h, w, 3]``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

_ONE = 2048  # OpenCV's weights are 11-bit fixed point


def opencv_bilinear(pixels: Pixels, width: int, height: int) -> Pixels:
    """Resize as OpenCV's ``resize`` with ``INTER_LINEAR`` does on 8-bit images, bit for bit.

    Two taps on each axis whatever the scale, so shrinking aliases. Weights are rounded to 1/2048; the rows drop four
    bits before, and sixteen bits after they are weighted, as OpenCV's column pass does.

    Args:
        pixels: uint8 ``[h, w, 3]``.
        width: of the result.
        height: of the result.
    """
    left, right, weight_left, weight_right = _taps(pixels.shape[1], width, clamp=True)
    above, below, weight_above, weight_below = _taps(pixels.shape[0], height, clamp=False)
    wide = pixels.astype(np.int64)
    rows = wide[:, left] * weight_left[:, None] + wide[:, right] * weight_right[:, None]
    rows >>= 4
    mixed = (rows[above] * weight_above[:, None, None] >> 16) + (
        rows[below] * weight_below[:, None, None] >> 16
    )
    return ((mixed + 2) >> 2).clip(0, 255).astype(np.uint8)


def _taps(source: int, target: int, *, clamp: bool) -> tuple[Integers, Integers, Integers, Integers]:
    """Return for each target position the two source positions and their weights.

    With `clamp` positions outside the image take the whole weight of the border sample, as OpenCV does along rows;
    along columns both taps are moved to the border instead, which rounds differently.
    """
    scale = 1.0 / (target / source)
    where = ((np.arange(target) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(where).astype(np.int64)
    fraction = where - first.astype(np.float32)
    if clamp:
        fraction[(first < 0) | (first >= source - 1)] = 0
    second_weight = np.rint(fraction * np.float32(_ONE)).astype(np.int64)
    first_weight = np.rint((np.float32(1) - fraction) * np.float32(_ONE)).astype(np.int64)
    last = source - 1
    return first.clip(0, last), (first + 1).clip(0, last), first_weight, second_weight


def tensor_bilinear(pixels: Pixels, width: int, height: int) -> Pixels:
    """Resize as torchvision's ``Resize`` does on a float tensor (bilinear, antialiased), then round.

    Rounding is that of ``clamp(127.5 x + 128)`` of the [-1, 1] tensor, in float32.

    Args:
        pixels: uint8 ``[h, w, 3]``.
        width: of the result.
        height: of the result.
    """
    import torch
    from torch.nn import functional

    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].contiguous().float() / 255
    if tensor.shape[-2:] != (height, width):
        tensor = functional.interpolate(
            tensor, size=(height, width), mode="bilinear", align_corners=False, antialias=True
        )
    levels = (127.5 * ((tensor - 0.5) / 0.5) + 128).clamp(0, 255).to(torch.uint8)
    result: Pixels = levels[0].permute(1, 2, 0).contiguous().numpy()
    return result
