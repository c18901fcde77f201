"""The trip every code makes through bytes, and how far the image that comes back is from the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tokbench.bitstream import pack, unpack
from tokbench.images.rounding import to_uint8

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tokbench.tokenizer import Tokenizer

    Load = Callable[[str], Tokenizer]


def through_bytes(tokenizer: Tokenizer, images: Tensor) -> tuple[Tensor, list[int]]:
    """Encode, pack, unpack, decode; return the uint8 reconstructions and the bits of each image."""
    packed = pack(tokenizer.encode(images), tokenizer.spec)
    output = tokenizer.decode(unpack([item.data for item in packed], tokenizer.spec))
    assert output.shape == images.shape
    assert output.is_floating_point()
    return to_uint8(output), [item.bits for item in packed]


def psnr(originals: Tensor, reconstructions: Tensor) -> float:
    """Mean PSNR in dB of uint8 images."""
    error = (to_uint8(originals).double() - reconstructions.double()).square().mean(dim=(1, 2, 3))
    return float((10 * torch.log10(255**2 / error)).mean())
