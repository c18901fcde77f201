# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.1", "numpy", "timm==1.0.8", "pytz"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "product"
# vocab = 4096
# codebooks = 8
# tokens = 256
# resolution = 256
# stride = 256
# license = "MIT"
# source = "https://github.com/Masaaki-75/meditok"
# revision = "d5479ca730ed61b78bb14504bdc5cf34c8c8bf83"
# trained_on = ["meditok-medical-images"]
# capabilities = ["codebook", "encoder-features"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/Masaaki-75/meditok"
# commit = "d5479ca730ed61b78bb14504bdc5cf34c8c8bf83"
#
# [[tool.tokbench.tokenizers]]
# name = "meditok"
# description = "MedITok: UniTok's network for medical images, 8 codebooks of 4096 entries at f16"
# weights = [{ name = "meditok", source = "hub:massaki75/meditok@main/meditok_simple_v1.pth" }]
# ///
"""MedITok (Ma et al., arXiv 2505.19225): a ViTamin encoder and its mirror, eight codebooks side by side.

Its copy of ViTamin overrides parts of timm 1.0.8 and fails with later ones. Pixels are in [-1, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class MedITok:
    """Ids of eight codebooks on a square of 16×16."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 8, 16, 16]``."""
        return Codes(ids=self.model.img_to_idx((images * 2 - 1).to(self.kind)).unflatten(2, (16, 16)))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        return (self.model.idx_to_img(codes.ids).float() + 1) / 2

    def codebook(self) -> Tensor:
        """Return the entries, ``[8, 4096, 8]``."""
        books = self.model.quantizer.codebooks
        return torch.stack([each.codebook.get_norm_weight() for each in books])

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return what the first codebook is compared with, ``[n, 16, 16, 8]``."""
        out = self.model.quant_proj(self.model.encoder((images * 2 - 1).to(self.kind)))
        first = out.chunk(self.spec.codebooks, dim=-1)[0]
        return F.normalize(first, dim=-1).unflatten(1, (16, 16))


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model with its settings for 256 pixels."""
    from models.meditok import build_meditok

    model = build_meditok()
    if weights:
        path = weights["meditok"]
        load_needed(model, load_checkpoint(path), path)
    return MedITok(spec, model.to(device, dtype).eval(), dtype)
