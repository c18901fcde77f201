# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench", "pillow>=12"]
#
# [tool.tokbench]
# family = "avif"
# kind = "codec"
# license = "BSD-2-Clause"
# source = "libavif and libaom, in the Pillow wheel"
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "avif-q90"
# description = "AVIF by libaom, 4:2:0, speed 6, at quality 90"
# options = { quality = 90 }
#
# [[tool.tokbench.tokenizers]]
# name = "avif-q60"
# description = "AVIF by libaom, 4:2:0, speed 6, at quality 60"
# options = { quality = 60 }
#
# [[tool.tokbench.tokenizers]]
# name = "avif-q40"
# description = "AVIF by libaom, 4:2:0, speed 6, at quality 40"
# options = { quality = 40 }
#
# [[tool.tokbench.tokenizers]]
# name = "avif-q20"
# description = "AVIF by libaom, 4:2:0, speed 6, at quality 20"
# options = { quality = 20 }
# ///
"""AVIF (an AV1 key frame) by libaom: about the strongest classical codec that installs everywhere.

Speed 6 of 0 (slow) to 10 (fast), chroma 4:2:0, one tile, one thread, so that the bytes do not depend on the
machine's cores. The container costs some 300 bytes of every image, 0.04 bits per pixel at 256 × 256, and is
counted.
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
        spec,
        device,
        "AVIF",
        quality=spec.options["quality"],
        subsampling="4:2:0",
        speed=6,
        codec="aom",
        autotiling=False,
        max_threads=1,
    )
