# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# license = "LicenseRef-unstated"
# source = "https://github.com/ai-forever/MoVQGAN"
# revision = "main (unchecked)"
# kind = "discrete"
# vocab = 16384
# tokens = 1024
# resolution = 256
# stride = 8
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# any_size = true
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "movqgan-67m"
# verified = ["library", "contract"]
# description = "MoVQGAN 67M: 8×8 pixels an id, 16384 entries of 4 channels that also modulate the decoder's norms"
# [tool.tokbench.tokenizers.options.config]
# n_embed = 16384
# embed_dim = 4
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 4
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 2, 2, 4]
# num_res_blocks = 2
# attn_resolutions = [32]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "movqgan-67m"
# source = "hub:ai-forever/MoVQGAN@main/movqgan_67M.ckpt"
# license = "LicenseRef-unstated"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "movqgan-102m"
# verified = ["library", "contract"]
# description = "MoVQGAN 102M: 8×8 pixels an id, 16384 entries of 4 channels that also modulate the decoder's norms"
# [tool.tokbench.tokenizers.options.config]
# n_embed = 16384
# embed_dim = 4
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 4
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 2, 2, 4]
# num_res_blocks = 4
# attn_resolutions = [32]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "movqgan-102m"
# source = "hub:ai-forever/MoVQGAN@main/movqgan_102M.ckpt"
# license = "LicenseRef-unstated"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "movqgan-270m"
# verified = ["library", "contract"]
# description = "MoVQGAN 270M: 8×8 pixels an id, 16384 entries of 4 channels that also modulate the decoder's norms"
# [tool.tokbench.tokenizers.options.config]
# n_embed = 16384
# embed_dim = 4
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 4
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 256
# ch_mult = [1, 2, 2, 4]
# num_res_blocks = 2
# attn_resolutions = [32]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "movqgan-270m"
# source = "hub:ai-forever/MoVQGAN@main/movqgan_270M.ckpt"
# license = "LicenseRef-unstated"
# inside = "state_dict"
# ///
"""MoVQGAN of Sber, after MoVQ (Zheng et al., arXiv 2209.09002), on the blocks of diffusers.

VQGAN's network, whose decoder scales and shifts every normalised map by the code vectors. Any size that is a multiple
of 8 will do. The repository states no licence, so its code was not read: names and shapes are those that diffusers
converts from. The blocks of the 102 M variant follow from its number of parameters (101.6 M with four a level).
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
    layout = read_layout(config, spatial=True)
    return ConvAutoencoder(layout, VectorQuantizer(config["n_embed"], config["embed_dim"]))


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Rename, and drop the losses and averages."""
    return to_diffusers(own_parts(state))


def wrap(spec: TokenSpec, network: ConvAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    return CodebookTokenizer(spec, network)
