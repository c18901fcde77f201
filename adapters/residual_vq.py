# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# family = "rvq-patch"
# kind = "discrete"
# vocab = 1024
# license = "Apache-2.0"
# source = "tokbench, scripts/fit_codebooks.py"
# trained_on = ["tokbench-training-photos"]
# capabilities = ["codebook", "variable-length"]
# quantizer = "residual"
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "rvq-patch-8"
# description = "residual patch VQ: 8×8 patches, up to 4 levels of 1024 entries (0.625 bits per pixel)"
# stride = 8
# codebooks = 4
# options = { lengths = [1, 2, 3, 4] }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "rvq-patch-8"
# source = "shipped:weights/rvq-patch-8.safetensors"
# sha256 = "8a9a9253fffa768ed21516ce14215d29f060c61d4aeb17d26d02e7b971daef9e"
# size = 786800
# license = "Apache-2.0"
# ///
"""Residual vector quantisation of raw patches: the simplest tokenizer whose codes can be cut short.

Each level quantises what the levels before it left over (Juang and Gray, 1982), so the first k levels alone
are a coarser image of the same patches. It is the baseline of every rate-by-truncation plot, and its first
level is ``vq-patch-8``: the same ids, the same reconstruction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from tokbench.errors import UsageError
from tokbench.images.rounding import to_uint8
from tokbench.nn.patches import from_patches, nearest, to_patches
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CENTRE = 128  # entries of the first level are stored as level - 128, later ones are differences


class ResidualVQ:
    """Ids are int64 ``[n, levels, h / stride, w / stride]``, coarsest level first.

    Args:
        spec: what the header says; the stride is the side of a patch.
        entries: int8 ``[levels, vocab, 3 * stride * stride]``; the levels add up to RGB levels minus 128.
    """

    def __init__(self, spec: TokenSpec, entries: torch.Tensor) -> None:
        self.spec = spec
        self._entries = entries.to(torch.float32)

    def encode(self, images: torch.Tensor) -> Codes:
        """Quantise greedily, level by level, exactly, pixels rounded to 8 bits."""
        rest = to_patches(to_uint8(images).to(torch.float32) - CENTRE, self.spec.stride)
        ids = []
        for entries in self._entries:
            ids.append(nearest(rest, entries))
            rest = rest - entries[ids[-1]]
        return Codes(ids=torch.stack(ids, dim=1))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Add up the levels that are there; may leave [0, 1] a little."""
        assert codes.ids is not None
        levels = codes.ids.to(self._entries.device).unbind(dim=1)
        # Integers first: the sum is exact, whatever the device.
        patches = torch.stack([self._entries[level][ids] for level, ids in enumerate(levels)]).sum(dim=0)
        return from_patches((patches + CENTRE) / 255, self.spec.stride)

    def codebook(self) -> torch.Tensor:
        """Return float32 ``[levels, vocab, 3 * stride * stride]``; a sum over levels is RGB in [0, 1]."""
        offset = torch.zeros(len(self._entries), 1, 1, device=self._entries.device)
        offset[0] = CENTRE
        return (self._entries + offset) / 255

    def lengths(self) -> tuple[int, ...]:
        """Return the numbers of levels that can be kept."""
        return tuple(range(1, len(self._entries) + 1))

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Keep the first `length` levels.

        Raises:
            UsageError: there is no such number of levels.
        """
        assert codes.ids is not None
        if not 1 <= length <= codes.ids.shape[1]:
            raise UsageError(
                f"`{self.spec.name}` cannot be cut to {length} levels", hint=f"use 1 to {codes.ids.shape[1]}"
            )
        return Codes(ids=codes.ids[:, :length])


def build(
    spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Path]
) -> Tokenizer:
    """Load the codebooks; `dtype` is not used because the search is exact in float32 and only there."""
    return ResidualVQ(spec, load_file(weights[spec.name])["codebook"].to(device))
