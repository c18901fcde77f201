# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# families = ["maskbit"]
# license = "Apache-2.0 AND LicenseRef-research-purposes"
# source = "https://github.com/markweberdev/maskbit"
# revision = "5ea3d733c62625eaf86dab8364bdb7e6e71def99"
# trained_on = ["imagenet-train"]
# kind = "discrete"
# tokens = 256
# resolution = 256
# any_size = true
# stride = 16
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "maskbit-10bit"
# description = "MaskBit's tokenizer: 16×16 pixels are 10 signs, without a codebook, 54 M parameters"
# vocab = 1024
# quantizer = "lfq"
# capabilities = ["encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# quantizer_type = "lookup-free"
# token_size = 10
# sample_with_conv = true
# num_channels = 3
# hidden_channels = 128
# channel_mult = [1, 1, 2, 2, 4]
# num_resolutions = 5
# num_res_blocks = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "maskbit-10bit"
# source = "hub:markweber/maskbit_tokenizer_10bit@main/maskbit_tokenizer_10bit.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "maskbit-12bit"
# description = "MaskBit's tokenizer: 16×16 pixels are 12 signs, without a codebook, 54 M parameters"
# vocab = 4096
# quantizer = "lfq"
# capabilities = ["encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# quantizer_type = "lookup-free"
# token_size = 12
# sample_with_conv = true
# num_channels = 3
# hidden_channels = 128
# channel_mult = [1, 1, 2, 2, 4]
# num_resolutions = 5
# num_res_blocks = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "maskbit-12bit"
# source = "hub:markweber/maskbit_tokenizer_12bit@main/maskbit_tokenizer_12bit.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "maskbit-14bit"
# description = "MaskBit's tokenizer: 16×16 pixels are 14 signs, without a codebook, 54 M parameters"
# vocab = 16384
# quantizer = "lfq"
# capabilities = ["encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# quantizer_type = "lookup-free"
# token_size = 14
# sample_with_conv = true
# num_channels = 3
# hidden_channels = 128
# channel_mult = [1, 1, 2, 2, 4]
# num_resolutions = 5
# num_res_blocks = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "maskbit-14bit"
# source = "hub:markweber/maskbit_tokenizer_14bit@main/maskbit_tokenizer_14bit.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "maskbit-16bit"
# description = "MaskBit's tokenizer: 16×16 pixels are 16 signs, without a codebook, 54 M parameters"
# vocab = 65536
# quantizer = "lfq"
# capabilities = ["encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# quantizer_type = "lookup-free"
# token_size = 16
# sample_with_conv = true
# num_channels = 3
# hidden_channels = 128
# channel_mult = [1, 1, 2, 2, 4]
# num_resolutions = 5
# num_res_blocks = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "maskbit-16bit"
# source = "hub:markweber/maskbit_tokenizer_16bit@main/maskbit_tokenizer_16bit.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "maskbit-18bit"
# verified = ["golden", "keys", "contract"]
# description = "MaskBit's tokenizer: 16×16 pixels are 18 signs, without a codebook, 54 M parameters"
# vocab = 262144
# quantizer = "lfq"
# capabilities = ["encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# quantizer_type = "lookup-free"
# token_size = 18
# sample_with_conv = true
# num_channels = 3
# hidden_channels = 128
# channel_mult = [1, 1, 2, 2, 4]
# num_resolutions = 5
# num_res_blocks = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "maskbit-18bit"
# source = "hub:markweber/maskbit_tokenizer_18bit@main/maskbit_tokenizer_18bit.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "vqgan-plus-10bit"
# description = "VQGAN+: 16×16 pixels an id of 1024, 56 M parameters"
# vocab = 1024
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# quantizer_type = "lookup"
# codebook_size = 1024
# token_size = 256
# sample_with_conv = true
# num_channels = 3
# hidden_channels = 128
# channel_mult = [1, 1, 2, 2, 4]
# num_resolutions = 5
# num_res_blocks = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "vqgan-plus-10bit"
# source = "hub:markweber/vqgan_plus_paper@main/vqgan_plus_10bit.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "vqgan-plus-12bit"
# description = "VQGAN+: 16×16 pixels an id of 4096, 55 M parameters"
# vocab = 4096
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options.config]
# quantizer_type = "lookup"
# codebook_size = 4096
# token_size = 64
# sample_with_conv = true
# num_channels = 3
# hidden_channels = 128
# channel_mult = [1, 1, 2, 2, 4]
# num_resolutions = 5
# num_res_blocks = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "vqgan-plus-12bit"
# source = "hub:markweber/vqgan_plus_12bit@main/vqgan_plus_12bit.bin"
# ///
"""MaskBit's tokenizer and VQGAN+ (Weber et al., arXiv 2409.16211): a VQGAN without attention, coded in bits or entries.

Ids are int64 ``[n, h / 16, w / 16]``; of the 18 bits of the largest only 17 ever change, as the authors say. The
authors ask that their weights serve research. Their README names the repositories; the file names are those of its
commands, and revisions and digests could not be looked up when this was written: all are unchecked.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tokbench.nn.autoencoders import CodebookTokenizer, DiscreteTokenizer, discrete_outputs
from tokbench.nn.binary import BinaryQuantizer
from tokbench.nn.maskgit_vqgan import ConvConfig, ConvVQGAN
from tokbench.nn.quantize import VectorQuantizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec

_CONSTANTS = ("quantize.bits_to_indices", "quantize.codebook")


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the network."""
    config = spec.options["config"]
    dim = config["token_size"]
    sizes = ConvConfig.of(config, latent=dim)
    blocks = sizes.blocks if _legacy(spec) else config.get("num_res_blocks_decoder", sizes.blocks)
    quantize: nn.Module = (
        VectorQuantizer(config["codebook_size"], dim, normalise=config.get("use_l2_normalisation", False))
        if config["quantizer_type"] == "lookup"
        else BinaryQuantizer(dim)
    )
    return ConvVQGAN(sizes, replace(sizes, blocks=blocks), quantize)


def convert(state: dict[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Name residual blocks as MaskGIT's ports do, and number the decoder's levels from full resolution down."""
    last = spec.options["config"]["num_resolutions"] - 1
    renamed = {}
    for name, value in state.items():
        if name in _CONSTANTS:
            continue
        new = name.replace("mid.res_blocks.", "mid.").replace(".res_blocks.", ".block.")
        if not _legacy(spec):
            new = re.sub(r"^decoder\.up\.(\d+)", lambda found: f"decoder.up.{last - int(found[1])}", new)
        renamed[new] = value
    return renamed


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    assert isinstance(network, ConvVQGAN)
    stored = isinstance(network.quantize, VectorQuantizer)
    return (CodebookTokenizer if stored else DiscreteTokenizer)(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute what golden cases record."""
    return discrete_outputs(network, inputs["images"])


def _legacy(spec: TokenSpec) -> bool:
    """Say whether the decoder's levels are numbered from full resolution down, as for MaskGIT's weights."""
    config = spec.options["config"]
    return bool(config.get("_legacy", config.get("model_class") == "maskgit"))
