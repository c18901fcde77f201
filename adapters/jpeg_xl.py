# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[jxl]"]
#
# [tool.tokbench]
# family = "jpeg-xl"
# kind = "codec"
# license = "BSD-3-Clause"
# source = "libjxl, in the wheel of pillow-jxl-plugin"
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "jxl-q90"
# description = "JPEG XL, effort 7, at quality 90"
# options = { quality = 90 }
#
# [[tool.tokbench.tokenizers]]
# name = "jxl-q50"
# description = "JPEG XL, effort 7, at quality 50"
# options = { quality = 50 }
#
# [[tool.tokbench.tokenizers]]
# name = "jxl-q20"
# description = "JPEG XL, effort 7, at quality 20"
# options = { quality = 20 }
# ///
"""JPEG XL (ISO/IEC 18181, VarDCT mode) by libjxl: the strongest classical codec near visual transparency.

Effort 7, libjxl's default, a bare codestream without container, one thread. Quality is libjxl's scale of 0
to 100, which it maps to a perceptual distance (90 is distance 1). Needs the extra ``tokbench[jxl]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.errors import MissingPackageError
from tokbench.nn.image_file import ImageFileCodec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from tokbench.tokenizer import Tokenizer, TokenSpec


def build(
    spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Path]
) -> Tokenizer:
    """Build one quality; no weights, and `dtype` is not used because the codec works on 8-bit pixels.

    Raises:
        MissingPackageError: pillow-jxl-plugin is not installed.
    """
    try:
        import pillow_jxl  # noqa: F401  (importing it teaches Pillow the format)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"tokenizer `{spec.name}` needs the package `pillow-jxl-plugin`",
            hint="pip install 'tokbench[jxl]'",
        ) from error
    return ImageFileCodec(
        spec,
        device,
        "JXL",
        quality=spec.options["quality"],
        effort=7,
        lossless=False,
        use_container=False,
        num_threads=1,
    )
