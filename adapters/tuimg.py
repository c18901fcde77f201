# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench", "tuimg==0.1.1"]
#
# [tool.tokbench]
# license = "MIT"
# source = "pypi:tuimg==0.1.1 (github.com/volotat/tuimg)"
# revision = "0.1.1"
# kind = "discrete"
# vocab = 4096
# codebooks = 5
# trained_on = ["imagenet-train"]
# verified = ["real"]
#
# [[tool.tokbench.tokenizers]]
# name = "tuimg-16"
# description = "a glyph of 4096 and two colours for each 16×16 cell (0.234 bits per pixel)"
# stride = 16
# options = { cell = 16 }
#
# [[tool.tokbench.tokenizers]]
# name = "tuimg-4"
# description = "a glyph of 4096 and two colours for each 4×4 cell (3.75 bits per pixel)"
# stride = 4
# options = { cell = 4 }
# ///
"""tuimg: pictures as two-coloured glyphs, from an alphabet that was distilled from LlamaGen's codebook.

The package matches glyphs of 16×16 pixels. Smaller cells are what its own terminal output amounts to: the picture is
enlarged (bicubic) before matching and the drawn one averaged back.

A cell is 60 bits: 12 for the glyph and 2 × 24 for its colours, here five symbols of 12 bits each, the first of which
is the glyph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from tuimg.config import GLYPH_MASKS_PATH
from tuimg.match import quantize_blocks

from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_GLYPH = 16
_STRIP = 16 * _GLYPH
_SHIFTS = np.array([36, 24, 12, 0])


class Tuimg:
    """Ids are int64 ``[n, 5, h / cell, w / cell]``: the glyph, then its two colours as four symbols of 12 bits.

    Args:
        spec: what the header says.
        masks: the alphabet, bool ``[4096, 16, 16]``.
    """

    def __init__(self, spec: TokenSpec, masks: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        self.spec = spec
        self._masks = masks
        self._scale = _GLYPH // int(spec.options["cell"])

    def encode(self, images: torch.Tensor) -> Codes:
        """Find the glyph and the two colours of each cell."""
        pixels = (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return Codes(ids=torch.from_numpy(np.stack([self._match(image) for image in pixels])))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Draw the glyphs in their colours."""
        assert codes.ids is not None
        drawn = np.stack([self._draw(ids) for ids in codes.ids.cpu().numpy()])
        return torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255

    def _match(self, image: Pixels) -> np.ndarray[Any, np.dtype[np.int64]]:
        height, width, _ = image.shape
        if self._scale > 1:
            size = (width * self._scale, height * self._scale)
            image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        # In strips, because the package holds sixteen candidates of every cell at once.
        parts = [
            quantize_blocks(image[top : top + _STRIP], self._masks)[:3]
            for top in range(0, len(image), _STRIP)
        ]
        glyphs, inks, papers = (np.concatenate(each) for each in zip(*parts, strict=True))
        octets = np.concatenate([inks, papers], axis=-1).astype(np.int64)
        colours = octets @ (1 << np.arange(40, -1, -8))
        return np.concatenate([glyphs[None].astype(np.int64), (colours >> _SHIFTS[:, None, None]) & 0xFFF])

    def _draw(self, ids: np.ndarray[Any, np.dtype[np.int64]]) -> Pixels:
        colours = (ids[1:] << _SHIFTS[:, None, None]).sum(0)
        octets = ((colours[..., None] >> np.arange(40, -1, -8)) & 0xFF).astype(np.uint8)[:, :, None, None]
        cells = np.where(self._masks[ids[0]][..., None], octets[..., :3], octets[..., 3:])
        rows, columns = ids.shape[1:]
        side = _GLYPH // self._scale
        shape = (rows, columns, side, self._scale, side, self._scale, 3)
        small = cells.reshape(shape).mean((3, 5)).round().astype(np.uint8)
        return small.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)


def build(
    spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Path]
) -> Tokenizer:
    """Load the alphabet from the package; it is numpy only, so device and dtype are not used."""
    return Tuimg(spec, np.load(GLYPH_MASKS_PATH, allow_pickle=False))
