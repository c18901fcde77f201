# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# family = "vq-patch"
# kind = "discrete"
# vocab = 1024
# license = "Apache-2.0"
# source = "tokbench, scripts/fit_codebooks.py"
# trained_on = ["tokbench-training-photos"]
# capabilities = ["codebook", "encoder-features"]
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "vq-patch-8"
# description = "patch VQ by k-means: 8×8 patches, 1024 entries (0.156 bits per pixel)"
# stride = 8
#
# [[tool.tokbench.tokenizers.weights]]
# name = "vq-patch-8"
# source = "shipped:weights/vq-patch-8.safetensors"
# sha256 = "3a5aa3c8adca2e31e95b05d63f99793ff6ce3f038185ad849bfd656db96990b1"
# size = 196976
# license = "Apache-2.0"
#
# [[tool.tokbench.tokenizers]]
# name = "vq-patch-4"
# description = "patch VQ by k-means: 4×4 patches, 1024 entries (0.625 bits per pixel)"
# stride = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "vq-patch-4"
# source = "shipped:weights/vq-patch-4.safetensors"
# sha256 = "dc9cb952b5fdcba9b7f545c54e28915642cfe43320ac128315d6116b00108244"
# size = 49520
# license = "Apache-2.0"
# ///
"""Vector quantisation of raw patches: what a codebook gives without any learned transform around it.

A learned tokenizer of the same grid and vocabulary must beat this one to have learned anything. Each patch is
replaced by the nearest of 1024 patches that k-means found on photographs, independently of its neighbours, so
blocks are visible and every effect of a single token stays inside its own patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from tokbench.images.rounding import to_uint8
from tokbench.nn.patches import from_patches, nearest, to_patches
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CENTRE = 128  # entries are stored as level - 128


class PatchVQ:
    """Ids are int64 ``[n, h / stride, w / stride]``.

    Args:
        spec: what the header says; the stride is the side of a patch.
        entries: int8 ``[vocab, 3 * stride * stride]``, RGB levels minus 128.
    """

    def __init__(self, spec: TokenSpec, entries: torch.Tensor) -> None:
        self.spec = spec
        self._entries = entries.to(torch.float32)

    def encode(self, images: torch.Tensor) -> Codes:
        """Find the nearest entry of each patch in RGB, exactly, of pixels rounded to 8 bits."""
        return Codes(ids=nearest(self._patches(images), self._entries))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Put the entries side by side; whole levels, so that rounding afterwards changes nothing."""
        assert codes.ids is not None
        patches = self.codebook()[codes.ids.to(self._entries.device)]
        return from_patches(patches, self.spec.stride)

    def codebook(self) -> torch.Tensor:
        """Return the entries as RGB in [0, 1], float32 ``[vocab, 3 * stride * stride]``."""
        return (self._entries + CENTRE) / 255

    def encoder_features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the raw patches, rounded to 8 bits, as RGB in [0, 1], ``[n, rows, columns, 3 * stride * stride]``."""
        return (self._patches(images) + CENTRE) / 255

    def _patches(self, images: torch.Tensor) -> torch.Tensor:
        """Cut into patches of whole levels minus 128, float32."""
        return to_patches(to_uint8(images).to(torch.float32) - CENTRE, self.spec.stride)


def build(
    spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Path]
) -> Tokenizer:
    """Load one codebook; `dtype` is not used because the search is exact in float32 and only there."""
    return PatchVQ(spec, load_file(weights[spec.name])["codebook"].to(device))
