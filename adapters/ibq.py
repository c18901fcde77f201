# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# families = ["ibq"]
# license = "Apache-2.0"
# source = "https://github.com/TencentARC/SEED-Voken"
# revision = "b9a17eac8e2c0779c12a5429b0bfd6c502788484"
# kind = "discrete"
# tokens = 256
# resolution = 256
# stride = 16
# quantizer = "vq"
# trained_on = ["imagenet-train"]
# capabilities = ["codebook", "encoder-features"]
# any_size = true
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "ibq-1024"
# verified = ["golden", "keys", "contract"]
# description = "IBQ of ImageNet: 16×16 pixels an id, 1024 entries, found by scalar product"
# vocab = 1024
# [tool.tokbench.tokenizers.options.config]
# n_embed = 1024
# embed_dim = 256
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 256
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 4
# attn_resolutions = [16]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "ibq-1024"
# source = "hub:TencentARC/IBQ-Tokenizer-1024@main/imagenet256_1024.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "ibq-8192"
# verified = ["golden", "keys", "contract"]
# description = "IBQ of ImageNet: 16×16 pixels an id, 8192 entries, found by scalar product"
# vocab = 8192
# [tool.tokbench.tokenizers.options.config]
# n_embed = 8192
# embed_dim = 256
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 256
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 4
# attn_resolutions = [16]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "ibq-8192"
# source = "hub:TencentARC/IBQ-Tokenizer-8192@main/imagenet256_8192.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "ibq-16384"
# verified = ["golden", "keys", "contract"]
# description = "IBQ of ImageNet: 16×16 pixels an id, 16384 entries, found by scalar product"
# vocab = 16384
# [tool.tokbench.tokenizers.options.config]
# n_embed = 16384
# embed_dim = 256
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 256
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 4
# attn_resolutions = [16]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "ibq-16384"
# source = "hub:TencentARC/IBQ-Tokenizer-16384@main/imagenet256_16384.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "ibq-262144"
# verified = ["golden", "keys", "contract"]
# description = "IBQ of ImageNet: 16×16 pixels an id, 262144 entries, found by scalar product"
# vocab = 262144
# [tool.tokbench.tokenizers.options.config]
# n_embed = 262144
# embed_dim = 256
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# double_z = false
# z_channels = 256
# resolution = 256
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 4
# attn_resolutions = [16]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "ibq-262144"
# source = "hub:TencentARC/IBQ-Tokenizer-262144@main/imagenet256_262144.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
# ///
"""IBQ, index backpropagation quantisation (Shi et al., arXiv 2412.02692), on the blocks of diffusers.

VQGAN's network with twice the blocks. The id of a vector is the entry of the largest scalar product with it; the
nearest entry is often another one. The files hold moving averages of all weights, and the authors evaluate those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tokbench.nn.autoencoders import CodebookTokenizer, discrete_outputs
from tokbench.nn.quantize import VectorQuantizer
from tokbench.nn.taming import ConvAutoencoder, read_layout, signed_golden
from tokbench.nn.taming_names import average_weights, own_parts, to_diffusers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokbench.tokenizer import Tokenizer, TokenSpec


class ScalarProductQuantizer(VectorQuantizer):
    """A codebook whose best entry has the largest scalar product; neither side is normalised."""

    def ids(self, vectors: torch.Tensor) -> torch.Tensor:
        """Find the ids ``[n, h, w]`` of ``[n, dim, h, w]``, one image at a time: 262144 scores are many."""
        entries = self.entries()
        return torch.cat(
            [
                torch.einsum("ndhw,vd->nvhw", one, entries).argmax(dim=1)
                for one in self.prepare(vectors).split(1)
            ]
        )


def architecture(spec: TokenSpec) -> ConvAutoencoder:
    """Build the network of the official settings."""
    config = spec.options["config"]
    return ConvAutoencoder(
        read_layout(config), ScalarProductQuantizer(config["n_embed"], config["embed_dim"])
    )


def convert(state: Mapping[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Take the moving averages that the authors evaluate, rename, and drop the losses."""
    if spec.options["config"].get("use_ema"):
        state = average_weights(state)
    return to_diffusers(own_parts(state))


def wrap(spec: TokenSpec, network: ConvAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    return CodebookTokenizer(spec, network)


def golden(
    spec: TokenSpec, network: ConvAutoencoder, inputs: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Compute what the golden cases record."""
    return signed_golden(discrete_outputs, network, inputs["images"])
