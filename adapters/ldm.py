# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# license = "MIT"
# source = "https://github.com/CompVis/latent-diffusion"
# revision = "main (unchecked)"
# kind = "discrete"
# resolution = 256
# quantizer = "vq"
# trained_on = ["openimages-train"]
# capabilities = ["codebook", "encoder-features"]
# any_size = true
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "ldm-vq-f4"
# verified = ["library", "contract"]
# description = "VQ of latent diffusion: 4×4 pixels an id, 8192 entries of 3 channels, 55 M parameters"
# vocab = 8192
# tokens = 4096
# stride = 4
# [tool.tokbench.tokenizers.options.config]
# n_embed = 8192
# embed_dim = 3
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 3
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 2, 4]
# num_res_blocks = 2
# attn_resolutions = []
#
# [[tool.tokbench.tokenizers.weights]]
# name = "ldm-vq-f4"
# source = "https://ommer-lab.com/files/latent-diffusion/vq-f4.zip"
# license = "MIT"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "ldm-vq-f8"
# verified = ["library", "contract"]
# description = "VQ of latent diffusion: 8×8 pixels an id, 16384 entries of 4 channels, 68 M parameters"
# vocab = 16384
# tokens = 1024
# stride = 8
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
# name = "ldm-vq-f8"
# source = "https://ommer-lab.com/files/latent-diffusion/vq-f8.zip"
# license = "MIT"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "ldm-vq-f8-n256"
# verified = ["library", "contract"]
# description = "VQ of latent diffusion: 8×8 pixels an id, 256 entries of 4 channels, 68 M parameters"
# vocab = 256
# tokens = 1024
# stride = 8
# [tool.tokbench.tokenizers.options.config]
# n_embed = 256
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
# name = "ldm-vq-f8-n256"
# source = "https://ommer-lab.com/files/latent-diffusion/vq-f8-n256.zip"
# license = "MIT"
# inside = "state_dict"
# ///
"""The VQ autoencoders of latent diffusion (Rombach et al., arXiv 2112.10752), on the blocks of diffusers.

Any size that is a multiple of the stride will do. The downloads are archives: unpack one, and pass the ``model.ckpt``
in it as ``--weights NAME=PATH``. If tokbench refuses that file because of objects beside the tensors, and you trust it,
keep its tensors::

    python -c "import torch; torch.save(torch.load('model.ckpt', weights_only=False)['state_dict'], 'vq.pt')"

The links were not reachable when this was written.
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
