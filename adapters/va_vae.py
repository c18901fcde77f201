# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# license = "MIT"
# source = "https://github.com/hustvl/LightningDiT"
# revision = "main (unchecked)"
# kind = "continuous"
# any_size = true
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "va-vae-f16d32"
# verified = ["library", "contract"]
# channels = 32
# description = "VA-VAE aligned to DINOv2: one latent of 32 channels for 16×16 pixels, 70 M parameters"
# tokens = 256
# resolution = 256
# stride = 16
# trained_on = ["imagenet-train"]
# [tool.tokbench.tokenizers.options.config]
# embed_dim = 32
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = true
# z_channels = 32
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 2
# attn_resolutions = [16]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "va-vae-f16d32"
# source = "hub:hustvl/vavae-imagenet256-f16d32-dinov2@main/vavae-imagenet256-f16d32-dinov2.pt"
# license = "MIT"
# inside = "state_dict"
# ///
"""VA-VAE (Yao et al., arXiv 2501.01423), a KL autoencoder whose latents were aligned to DINOv2, on diffusers' blocks.

Attention follows the coarsest blocks of encoder and decoder. Latents are the mean of the posterior,
``[n, h / 16, w / 16, 32]``. What the alignment needed in training is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.autoencoders import LatentTokenizer
from tokbench.nn.taming import ConvAutoencoder, read_layout
from tokbench.nn.taming_names import own_parts, to_diffusers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> ConvAutoencoder:
    """Build the network of the official settings."""
    return ConvAutoencoder(read_layout(spec.options["config"]))


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Rename, and drop the losses and the teacher."""
    return to_diffusers(own_parts(state))


def wrap(spec: TokenSpec, network: ConvAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    return LatentTokenizer(spec, network)
