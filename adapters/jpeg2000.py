# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench", "pillow>=12"]
#
# [tool.tokbench]
# family = "jpeg2000"
# kind = "codec"
# license = "BSD-2-Clause"
# source = "OpenJPEG, in the Pillow wheel"
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg2000-r8"
# description = "JPEG 2000 codestream, irreversible 9/7 wavelet, at an eighth of the raw size"
# options = { ratio = 8 }
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg2000-r16"
# description = "JPEG 2000 codestream, irreversible 9/7 wavelet, at a 16th of the raw size"
# options = { ratio = 16 }
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg2000-r32"
# description = "JPEG 2000 codestream, irreversible 9/7 wavelet, at a 32nd of the raw size"
# options = { ratio = 32 }
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg2000-r64"
# description = "JPEG 2000 codestream, irreversible 9/7 wavelet, at a 64th of the raw size"
# options = { ratio = 64 }
#
# [[tool.tokbench.tokenizers]]
# name = "jpeg2000-r128"
# description = "JPEG 2000 codestream, irreversible 9/7 wavelet, at a 128th of the raw size"
# options = { ratio = 128 }
# ///
"""JPEG 2000 (ITU-T T.800): a wavelet codec that hits a rate instead of a quality.

One tile, one quality layer, irreversible 9/7 wavelet and colour transform. The bare codestream is stored, without the
JP2 boxes, which say nothing that a decoder of these images needs; its own headers are counted. The rate is a target:
flat images come out smaller, tiny ones larger. Every image gets the same rate, easy or hard, which costs some of the
mean quality that codecs with a quality knob reach at the same mean rate.
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
    """Build one rate; no weights, and `dtype` is not used because the codec works on 8-bit pixels."""
    return ImageFileCodec(
        spec,
        device,
        "JPEG2000",
        quality_mode="rates",
        quality_layers=[spec.options["ratio"]],
        irreversible=True,
        mct=1,  # Pillow leaves RGB as it is unless told, which doubles the bits
        no_jp2=True,
    )
