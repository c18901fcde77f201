# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# family = "identity"
# kind = "codec"
# license = "Apache-2.0"
# source = "tokbench"
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "identity"
# description = "raw 8-bit RGB, 24 bits per pixel: the ceiling of every metric"
# vocab = 256
# ///
"""Raw 8-bit RGB. Perfect by construction: a metric that is not perfect here is broken, or measures itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.images.rounding import from_uint8, to_uint8
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch


class Identity:
    """Ids are the pixel levels, uint8 ``[n, 3, h, w]``; every 8-bit image comes back exactly."""

    def __init__(self, spec: TokenSpec, device: torch.device) -> None:
        self.spec = spec
        self._device = device

    def encode(self, images: torch.Tensor) -> Codes:
        """Round to 8 bits."""
        return Codes(ids=to_uint8(images))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Return the levels as float32 in [0, 1]."""
        assert codes.ids is not None
        return from_uint8(codes.ids.to(self._device))


def build(
    spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Path]
) -> Tokenizer:
    """Build the identity; there are no weights, and `dtype` is not used because levels are integers."""
    return Identity(spec, device)
