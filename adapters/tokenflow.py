# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.1", "numpy", "einops", "timm", "transformers"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "residual"
# vocab = 32768
# license = "Apache-2.0"
# source = "https://github.com/ByteVisionLab/TokenFlow"
# revision = "9812da01c0695f4989060cc4eea053715e9e4441"
# trained_on = ["imagenet-train"]
# capabilities = ["codebook", "variable-length"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/ByteVisionLab/TokenFlow"
# commit = "9812da01c0695f4989060cc4eea053715e9e4441"
#
# [[tool.tokbench.tokenizers]]
# name = "tokenflow-clipb-256"
# description = "TokenFlow on CLIP-B at 256: nine scales up to 16×16, one id for a semantic and a pixel vector"
# tokens = 817
# resolution = 256
# stride = 256
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 21, 57, 121, 221, 365, 561, 817]
# config = { teacher = "clipb_224", enhanced_decoder = true, infer_interpolate = true }
# [[tool.tokbench.tokenizers.weights]]
# name = "tokenflow-clipb-32k-enhanced"
# source = "hub:ByteFlow-AI/TokenFlow@main/tokenflow_clipb_32k_enhanced.pt"
#
# [[tool.tokbench.tokenizers]]
# name = "tokenflow-clipb-224"
# description = "TokenFlow on CLIP-B at 224: eight scales up to 14×14, the same weights"
# tokens = 561
# resolution = 224
# stride = 224
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 21, 57, 121, 221, 365, 561]
# config = { teacher = "clipb_224", enhanced_decoder = true }
# [[tool.tokbench.tokenizers.weights]]
# name = "tokenflow-clipb-32k-enhanced"
# source = "hub:ByteFlow-AI/TokenFlow@main/tokenflow_clipb_32k_enhanced.pt"
#
# [[tool.tokbench.tokenizers]]
# name = "tokenflow-siglip-384"
# description = "TokenFlow-XL on SigLIP So400M at 384: fifteen scales up to 27×27, pixels by way of 432"
# tokens = 2227
# resolution = 384
# stride = 384
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 14, 30, 55, 91, 140, 204, 285, 385, 529, 725, 1014, 1498, 2227]
# config = { teacher = "siglip_384" }
# [[tool.tokbench.tokenizers.weights]]
# name = "tokenflow-siglip-32k"
# source = "hub:ByteFlow-AI/TokenFlow@main/tokenflow_siglip_32k.pt"
# ///
"""TokenFlow (Qu et al., arXiv 2412.03069): each id names a semantic and a pixel vector; scales add up, coarse to fine.

Entries are the two vectors, each of unit length, one behind the other. The decoder takes the pixel part alone. The
towers of CLIP and SigLIP are built empty: the authors' files hold them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_SIGLIP_SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
}


class TokenFlow:
    """Ids of all scales in one row, coarse to fine."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, positions]``."""
        return Codes(ids=self.model.encode((images * 2 - 1).to(self.kind))[2])

    def decode(self, codes: Codes) -> Tensor:
        """Return images of the native size; `codes` may end after any scale."""
        return (self.model.decode_code(codes.ids)[1].float() + 1) / 2

    def codebook(self) -> Tensor:
        """Return the entries, ``[32768, 40]``: 32 semantic numbers, 8 of pixels."""
        books = self.model.quantize.embedding_vqkd, self.model.quantize.embedding_vqgan
        return torch.cat([F.normalize(book.weight, dim=-1) for book in books], dim=-1)

    def lengths(self) -> tuple[int, ...]:
        """Return how many positions the first scales have together."""
        return tuple(self.spec.options["lengths"])

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Keep the first scales."""
        return Codes(ids=codes.ids[:, :length])


def _empty_clip(name: str, download_root: str) -> torch.nn.Module:
    """Build the vision tower of CLIP ViT-B/16 in the authors' class, as their loader leaves it."""
    from tokenizer.clip.model import VisionTransformer

    tower = VisionTransformer(
        input_resolution=224, patch_size=16, width=768, layers=12, heads=12, output_dim=512
    )
    del tower.proj
    return tower


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model with the settings of their reconstruction scripts."""
    from transformers import modeling_utils

    sys.path.insert(0, str(source / "tokenflow"))
    stand_in("tokenizer.clip.clip", load_clip_vision=_empty_clip)
    for name in (
        "get_parameter_device",
        "get_parameter_dtype",
    ):  # gone from transformers 5, and not called here
        vars(modeling_utils).setdefault(name, None)
    from tokenizer import vq_model

    def empty_siglip(name: str) -> torch.nn.Module:
        return vq_model.SiglipVisionModel(vq_model.SiglipVisionConfig(**_SIGLIP_SO400M))

    with mock.patch.object(vq_model.SiglipVisionModel, "from_pretrained", empty_siglip):
        model = vq_model.TokenFlow(vq_model.ModelArgs(codebook_size=spec.vocab, **spec.options["config"]))
    if weights:
        path = next(iter(weights.values()))
        load_needed(model, load_checkpoint(path), path)
    return TokenFlow(spec, model.to(device, dtype).eval(), dtype)
