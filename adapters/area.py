# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# family = "area"
# kind = "codec"
# vocab = 256
# license = "Apache-2.0"
# source = "tokbench"
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "area-2"
# description = "half the resolution, stored raw (6 bits per pixel)"
# stride = 2
#
# [[tool.tokbench.tokenizers]]
# name = "area-4"
# description = "a quarter of the resolution, stored raw (1.5 bits per pixel)"
# stride = 4
#
# [[tool.tokbench.tokenizers]]
# name = "area-8"
# description = "an eighth of the resolution, stored raw (0.375 bits per pixel)"
# stride = 8
#
# [[tool.tokbench.tokenizers]]
# name = "area-16"
# description = "a sixteenth of the resolution, stored raw (0.094 bits per pixel)"
# stride = 16
# ///
"""Box downsampling to 8-bit pixels, bicubic upsampling: what mere low resolution would give at the same grid.

A tokenizer of stride s that does not beat ``area-s`` keeps no detail beyond the mean colour of its cells.
Being blurry and free of artefacts, the family also separates metrics that punish blur from those that
reward it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tokbench.images.rounding import from_uint8, to_uint8
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Area:
    """Ids are the levels of the small image, uint8 ``[n, 3, h / stride, w / stride]``."""

    def __init__(self, spec: TokenSpec, device: torch.device) -> None:
        self.spec = spec
        self._device = device

    def encode(self, images: torch.Tensor) -> Codes:
        """Average each cell of ``stride × stride`` pixels and round half up."""
        k = self.spec.stride
        n, channels, height, width = images.shape
        cells = to_uint8(images).reshape(n, channels, height // k, k, width // k, k)
        # Integers: the mean, rounded half up, is the same on every device.
        means = (2 * cells.sum(dim=(3, 5), dtype=torch.int32) + k * k) // (2 * k * k)
        return Codes(ids=means.to(torch.uint8))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Enlarge by bicubic interpolation (a = -0.75, PyTorch's), clamped to [0, 1]."""
        assert codes.ids is not None
        k = self.spec.stride
        small = from_uint8(codes.ids.to(self._device))
        size = (small.shape[2] * k, small.shape[3] * k)
        large = torch.nn.functional.interpolate(
            small, size, mode="bicubic", align_corners=False, antialias=False
        )
        return large.clamp(0, 1)  # bicubic overshoots at edges


def build(
    spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Path]
) -> Tokenizer:
    """Build one factor (the stride); no weights, and `dtype` is not used: the arithmetic is on pixels."""
    return Area(spec, device)
