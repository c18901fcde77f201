# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.5", "numpy", "diffusers", "timm", "scipy", "safetensors"]
#
# [tool.tokbench]
# license = "MIT"
# source = "https://github.com/visual-gen/semanticist"
# revision = "3853a833c32a726a8fc354c9f1c8852264190394"
# trained_on = ["imagenet-train"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/visual-gen/semanticist"
# commit = "3853a833c32a726a8fc354c9f1c8852264190394"
# call_seconds = 7200
#
# [[tool.tokbench.tokenizers]]
# name = "semanticist-xl"
# description = "Semanticist: 256 ordered latents of 16 numbers, decoded by a diffusion transformer on MAR's KL-16"
# kind = "continuous"
# channels = 16
# tokens = 256
# resolution = 256
# stride = 256
# deterministic = false
# capabilities = ["variable-length"]
# [tool.tokbench.tokenizers.options]
# dit_model = "DiT-XL-2"
# steps = 250
# guidance = 3.0
# lengths = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# [tool.tokbench.tokenizers.options.autoencoder]
# in_channels = 3
# out_channels = 3
# block_out_channels = [128, 128, 256, 256, 512]
# down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "AttnDownEncoderBlock2D",
# ]
# up_block_types = [
#   "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D",
# ]
# layers_per_block = 2
# latent_channels = 16
# scaling_factor = 0.2325
# [[tool.tokbench.tokenizers.weights]]
# name = "semanticist-xl"
# source = "hub:tennant/semanticist@main/semanticist_tok_XL.pkl"
# [[tool.tokbench.tokenizers.weights]]
# name = "semanticist-vae"
# source = "hub:xwen99/mar-vae-kl16@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "semanticist-vae-config"
# source = "hub:xwen99/mar-vae-kl16@main/config.json"
# ///
"""Semanticist (Wen et al., arXiv 2503.08685): latents in the order of what they explain, like principal components.

The first k latents are a code too: the others give way to a learned vector. Decoding draws noise at each of 250 steps,
from the picture's seed. The file's name is from the authors' demo, which names none for the L model. The header's
autoencoder is that of MAR and serves random weights; the published settings win.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, own_noise

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class Semanticist:
    """Up to 256 latents of 16 numbers."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return latents ``[n, 256, 16]``."""
        return Codes(latents=self.model.encode_slots(images.to(self.kind)))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        return torch.cat([self._decode_one(each) for each in codes.latents.to(self.kind).split(1)])

    def lengths(self) -> tuple[int, ...]:
        """Return some of the lengths; every one from 1 to 256 decodes."""
        return tuple(self.spec.options["lengths"])

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Keep the first `length` latents."""
        return Codes(latents=codes.latents[:, :length])

    def _decode_one(self, latents: Tensor) -> Tensor:
        given, full = latents.shape[1], self.model.num_slots
        kept = (torch.arange(full, device=latents.device) < given).unsqueeze(0)
        with own_noise(latents.device):
            image = self.model.sample(
                F.pad(latents, (0, 0, 0, full - given)), drop_mask=kept, cfg=self.spec.options["guidance"]
            )
        return image.float()


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model without the network that its training aligned it with."""
    from diffusers import AutoencoderKL
    from semanticist.stage1.diffuse_slot import DiffuseSlot

    settings = dict(spec.options["autoencoder"])
    if weights:
        settings = json.loads(weights["semanticist-vae-config"].read_text())
    autoencoder = AutoencoderKL.from_config(settings)
    with mock.patch.object(AutoencoderKL, "from_pretrained", return_value=autoencoder):
        model = DiffuseSlot(
            enc_img_size=256,
            num_slots=256,
            slot_dim=16,
            norm_slots=True,
            vae="xwen99/mar-vae-kl16",
            dit_model=spec.options["dit_model"],
            num_sampling_steps=str(spec.options["steps"]),
        )
    if weights:
        path = weights[spec.name]
        published = load_checkpoint(weights["semanticist-vae"])
        state = {f"vae.{name}": value for name, value in published.items()}
        trained = load_checkpoint(path, keys=())
        state |= {name.replace("._orig_mod", ""): value for name, value in trained.items()}
        load_needed(model, state, path, unused=("repa_encoder.", "dit.projector."))
    return Semanticist(spec, model.to(device, dtype).eval(), dtype)
