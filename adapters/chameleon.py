# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# source = "https://github.com/facebookresearch/chameleon"
# kind = "discrete"
# any_size = true
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "chameleon-vqgan"
# verified = ["library", "contract"]
# description = "Chameleon's VQGAN, also Anole's: 16×16 pixels an id, 8192 entries, 69 M parameters"
# license = "LicenseRef-Chameleon-Research"
# revision = "main (unchecked)"
# vocab = 8192
# tokens = 1024
# resolution = 512
# stride = 16
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 8192
# embed_dim = 256
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 256
# resolution = 512
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 2
# attn_resolutions = []
#
# [[tool.tokbench.tokenizers.weights]]
# name = "chameleon-vqgan"
# source = "hub:GAIR/Anole-7b-v0.1@main/tokenizer/vqgan.ckpt"
# license = "LicenseRef-Chameleon-Research"
# inside = "state_dict"
# ///
"""The image tokenizer of Chameleon (arXiv 2405.09818), encoder and decoder, on the blocks of diffusers.

transformers has the encoder alone (`ChameleonVQVAE`); the network is VQGAN's with attention in the middle only. Meta
gives the file out on request; the mirror in Anole's repository holds the same ``vqgan.ckpt``. Its place there could not
be looked up when this was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.autoencoders import CodebookTokenizer
from tokbench.nn.quantize import VectorQuantizer
from tokbench.nn.taming import ConvAutoencoder, read_layout
from tokbench.nn.taming_names import own_parts, to_diffusers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> ConvAutoencoder:
    """Build the network of the official settings."""
    config = spec.options["config"]
    return ConvAutoencoder(read_layout(config), VectorQuantizer(config["n_embed"], config["embed_dim"]))


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Rename, and drop the losses."""
    return to_diffusers(own_parts(state))


def wrap(spec: TokenSpec, network: ConvAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    return CodebookTokenizer(spec, network)
