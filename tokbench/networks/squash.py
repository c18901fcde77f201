"""Pillow's resize of a batch to a square, aspect ignored, as published evaluations feed their networks and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


def squash(images: Tensor, side: int, kernel: Literal["bilinear", "bicubic"]) -> Tensor:
    """Resize each image to side × side, rounding to 8 bits as Pillow does.

    torchvision's ``Resize((side, side))`` on Pillow images is this call; images of that size pass unchanged.

    Args:
        images: uint8 ``[n, 3, h, w]`` on any device.
        side: of the result, in pixels.
        kernel: ``bilinear`` or ``bicubic``, both antialiased.

    Returns:
        uint8 ``[n, 3, side, side]`` on the same device.
    """
    if tuple(images.shape[-2:]) == (side, side):
        return images
    import numpy as np
    import torch
    from PIL import Image

    how = Image.Resampling.BILINEAR if kernel == "bilinear" else Image.Resampling.BICUBIC
    pictures = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    resized = np.stack(
        [np.asarray(Image.fromarray(picture).resize((side, side), how)) for picture in pictures]
    )
    return torch.from_numpy(resized).permute(0, 3, 1, 2).contiguous().to(images.device)
