# /// script
# requires-python = ">=3.9"
# dependencies = [
#   "torch>=2.5", "torchvision", "numpy", "transformers", "timm", "omegaconf", "safetensors", "requests",
#   "ftfy", "regex",
# ]
#
# [tool.tokbench]
# kind = "continuous"
# channels = 64
# tokens = 256
# resolution = 256
# any_size = true
# stride = 16
# license = "MIT"
# source = "https://github.com/MiniMax-AI/VTP"
# revision = "5ce1eb67010fff3c1eed483352483be6a1838556"
#
# [tool.tokbench.environment]
# repository = "https://github.com/MiniMax-AI/VTP"
# commit = "5ce1eb67010fff3c1eed483352483be6a1838556"
#
# [[tool.tokbench.tokenizers]]
# name = "vtp-small-f16d64"
# description = "VTP small: a vision transformer trained for text, self-supervision and pixels, f16, 64 channels"
# options.config = { vision_embed_dim = 384, vision_num_heads = 6 }
# weights = [
#   { name = "vtp-small-f16d64", source = "hub:MiniMaxAI/VTP-Small-f16d64@main/model.safetensors" },
#   { name = "vtp-small-config", source = "hub:MiniMaxAI/VTP-Small-f16d64@main/config.json" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "vtp-base-f16d64"
# description = "VTP base: a vision transformer trained for text, self-supervision and pixels, f16, 64 channels"
# verified = ["contract"]
# options.config = { vision_embed_dim = 768, vision_num_heads = 12 }
# weights = [
#   { name = "vtp-base-f16d64", source = "hub:MiniMaxAI/VTP-Base-f16d64@main/model.safetensors" },
#   { name = "vtp-base-config", source = "hub:MiniMaxAI/VTP-Base-f16d64@main/config.json" },
# ]
#
# [[tool.tokbench.tokenizers]]
# name = "vtp-large-f16d64"
# description = "VTP large: a vision transformer trained for text, self-supervision and pixels, f16, 64 channels"
# options.config = { vision_embed_dim = 1024, vision_num_heads = 16, vision_depth = 24 }
# weights = [
#   { name = "vtp-large-f16d64", source = "hub:MiniMaxAI/VTP-Large-f16d64@main/model.safetensors" },
#   { name = "vtp-large-config", source = "hub:MiniMaxAI/VTP-Large-f16d64@main/config.json" },
# ]
# ///
"""VTP (MiniMax, arXiv 2512.13687): latents of a vision transformer's bottleneck, decoded by another one.

Pixels have ImageNet's mean and deviation on both sides. The text tower is left out. The sizes come from the published
``config.json``; those of the header serve random weights: base is the
default of the authors' class, small and large are the usual ones, unchecked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_OF_TEXT = (
    "text_",
    "token_embedding.",
    "positional_embedding",
    "ln_final.",
    "logit_",
    "visual_proj.",
)


class VTP:
    """Latents ``[n, 64, h / 16, w / 16]``."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        self.deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

    def encode(self, images: Tensor) -> Codes:
        """Return the bottleneck's latents."""
        pixels = (images - self.mean.to(images.device)) / self.deviation.to(images.device)
        return Codes(latents=self.model.get_reconstruction_latents(pixels.to(self.kind)))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, h, w]``."""
        pixels = self.model.get_latents_decoded_images(codes.latents.to(self.kind)).float()
        return pixels * self.deviation.to(pixels.device) + self.mean.to(pixels.device)


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model without its text tower."""
    from vtp.models.vtp_hf import VTPConfig, VTPModel

    settings = dict(spec.options["config"])
    config_name = spec.name.replace("f16d64", "config")
    if weights:
        settings = json.loads(weights[config_name].read_text())
    model = VTPModel(VTPConfig(**{**settings, "train_clip": False}))
    if weights:
        path = weights[spec.name]
        load_needed(model, load_checkpoint(path), path, unused=_OF_TEXT)
    return VTP(spec, model.to(device, dtype).eval(), dtype)
