# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench", "pillow>=12"]
#
# [tool.tokbench]
# family = "webp"
# kind = "codec"
# license = "BSD-3-Clause"
# source = "libwebp, in the Pillow wheel"
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "webp-q90"
# description = "lossy WebP, method 4, at quality 90"
# options = { quality = 90 }
#
# [[tool.tokbench.tokenizers]]
# name = "webp-q75"
# description = "lossy WebP, method 4, at quality 75"
# options = { quality = 75 }
#
# [[tool.tokbench.tokenizers]]
# name = "webp-q50"
# description = "lossy WebP, method 4, at quality 50"
# options = { quality = 50 }
#
# [[tool.tokbench.tokenizers]]
# name = "webp-q25"
# description = "lossy WebP, method 4, at quality 25"
# options = { quality = 25 }
#
# [[tool.tokbench.tokenizers]]
# name = "webp-q5"
# description = "lossy WebP, method 4, at quality 5"
# options = { quality = 5 }
# ///
"""Lossy WebP (RFC 9649, a VP8 key frame): a block predictor with arithmetic coding, between JPEG and AVIF.

Method 4, libwebp's own default between speed (0) and size (6). Chroma is always 4:2:0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.image_file import ImageFileCodec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from tokbench.tokenizer import Tokenizer, TokenSpec


def build(
    spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Path]
) -> Tokenizer:
    """Build one quality; no weights, and `dtype` is not used because the codec works on 8-bit pixels."""
    return ImageFileCodec(spec, device, "WEBP", quality=spec.options["quality"], method=4, lossless=False)
