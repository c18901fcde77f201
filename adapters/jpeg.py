# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench", "pillow>=12"]
#
# [tool.tokbench]
# family = "jpeg"
# kind = "codec"
# license = "IJG AND BSD-3-Clause AND Zlib"
# source = "libjpeg-turbo, in the Pillow wheel"
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg-q95"
# description = "JPEG, 4:2:0, optimised Huffman tables, at quality 95"
# options = { quality = 95 }
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg-q75"
# description = "JPEG, 4:2:0, optimised Huffman tables, at quality 75"
# options = { quality = 75 }
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg-q50"
# description = "JPEG, 4:2:0, optimised Huffman tables, at quality 50"
# options = { quality = 50 }
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg-q25"
# description = "JPEG, 4:2:0, optimised Huffman tables, at quality 25"
# options = { quality = 25 }
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg-q10"
# description = "JPEG, 4:2:0, optimised Huffman tables, at quality 10"
# options = { quality = 10 }
# ///
"""Baseline JPEG (ITU-T T.81): the reference that everybody can picture, and the axis every metric must order.

Chroma is halved in both directions (4:2:0) at every quality and the Huffman tables are fitted to the image,
as web encoders do; neither progressive scans nor restart markers. Quality is libjpeg's, 1 to 95.
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
    return ImageFileCodec(
        spec, device, "JPEG", quality=spec.options["quality"], subsampling="4:2:0", optimize=True
    )
