# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# families = ["maskgit_vqgan"]
# license = "Apache-2.0"
# source = "https://github.com/google-research/maskgit"
# revision = "1"
# trained_on = ["imagenet-train"]
# kind = "discrete"
# tokens = 256
# resolution = 256
# any_size = true
# stride = 16
# verified = ["keys", "contract"]
#
# [[tool.tokbench.tokenizers]]
# name = "maskgit-vqgan"
# description = "MaskGIT's VQGAN without attention: 16×16 pixels an id of 1024, 54 M parameters"
# vocab = 1024
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# num_embeddings = 1024
# embedding_dim = 256
# z_channels = 256
# num_channels = 3
# hidden_channels = 128
# channel_mult = [1, 1, 2, 2, 4]
# num_resolutions = 5
# num_res_blocks = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "maskgit-vqgan"
# source = "hub:fun-research/TiTok@main/maskgit-vqgan-imagenet-f16-256.bin"
# ///
"""MaskGIT's VQGAN (Chang et al., arXiv 2202.04200), the tokenizer of MaskGIT, TiTok's teacher and RAR.

Ids are int64 ``[n, h / 16, w / 16]``. The file is TiTok's authors' copy of the PyTorch port of the weights that Google
published; revision and digest could not be looked up when this was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.autoencoders import CodebookTokenizer, discrete_outputs
from tokbench.nn.maskgit_vqgan import ConvConfig, ConvVQGAN
from tokbench.nn.quantize import VectorQuantizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the network."""
    config = spec.options["config"]
    sizes = ConvConfig.of(config, latent=config["z_channels"])
    return ConvVQGAN(sizes, sizes, VectorQuantizer(config["num_embeddings"], config["embedding_dim"]))


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    return CodebookTokenizer(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute what golden cases record."""
    return discrete_outputs(network, inputs["images"])
