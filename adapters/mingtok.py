# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.5", "torchvision", "transformers", "einops", "omegaconf", "safetensors"]
#
# [tool.tokbench]
# license = "MIT"
# source = "https://github.com/inclusionAI/Ming-UniVision"
# revision = "3bbdd2f022eabc24a54d2f8a62b7621790dc9418"
#
# [tool.tokbench.environment]
# repository = "https://github.com/inclusionAI/Ming-UniVision"
# commit = "3bbdd2f022eabc24a54d2f8a62b7621790dc9418"
#
# [[tool.tokbench.tokenizers]]
# name = "mingtok-vision"
# description = "MingTok-Vision: latents for generation and understanding, patches of 32×32, 32 channels, 698 M"
# kind = "continuous"
# channels = 32
# tokens = 257
# resolution = 512
# stride = 512
# options.config = "mingtok/config/config_mingtok.json"
# [[tool.tokbench.tokenizers.weights]]
# name = "mingtok-vision"
# source = "hub:inclusionAI/MingTok-Vision@main/model.safetensors"
# license = "MIT"
# ///
"""MingTok-Vision (Ant Group, arXiv 2510.06590): a low-level encoder, a semantic decoder and a pixel decoder.

The code is what the low-level encoder gives, class token and 16×16 patches, before the shift and scale that the
generator applies. Pixels are in
[-1, 1]. The name of the published file is unchecked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class MingTok:
    """257 latent vectors of 32 numbers."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return latents ``[n, 257, 32]``, the class token first."""
        return Codes(latents=self.model.low_level_encoder((images * 2 - 1).to(self.kind)))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 512, 512]``, clamped by the authors' decoder."""
        features = self.model.forward_feature_decoder_wo_cache(codes.latents.to(self.kind))
        return (self.model.forward_pixel_decoder(features["x_norm_patchtokens"]).float() + 1) / 2


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model from the configuration beside it."""
    from mingtok import modeling_mingtok

    config = json.loads((source / spec.options["config"]).read_text())
    model = modeling_mingtok.MingTok(modeling_mingtok.MingTokConfig(**config))
    if weights:
        path = weights[spec.name]
        load_needed(model, load_checkpoint(path), path, unused=("target_backbone",))
    return MingTok(spec, model.to(device, dtype).eval(), dtype)
