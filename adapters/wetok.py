# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# families = ["wetok"]
# kind = "discrete"
# quantizer = "lfq"
# vocab = 256
# resolution = 256
# license = "Apache-2.0"
# source = "https://github.com/zhuangshaobin/WeTok"
# revision = "caa2ad7e709cdabe8432bead448f7514def13919"
# any_size = true
# capabilities = ["encoder-features"]
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "wetok-ds16"
# description = "grouped LFQ CNN, f16, 4 ids of 8 bits a position, trained on ImageNet"
# verified = ["golden", "keys", "contract"]
# codebooks = 4
# tokens = 256
# stride = 16
# trained_on = ["imagenet-train"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 256
# embed_dim = 32
# num_codebooks = 4
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 32
# in_channels = 3
# out_ch = 3
# ch = 256
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "wetok-ds16"
# source = "hub:GrayShine/WeTok@main/ImageNet/downsample16/WeTok.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "wetok-ds8"
# description = "grouped LFQ CNN, f8, 4 ids of 8 bits a position, trained on ImageNet"
# codebooks = 4
# tokens = 1024
# stride = 8
# trained_on = ["imagenet-train"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 256
# embed_dim = 32
# num_codebooks = 4
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 32
# in_channels = 3
# out_ch = 3
# ch = 256
# ch_mult = [1, 2, 2, 4]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "wetok-ds8"
# source = "hub:GrayShine/WeTok@main/ImageNet/downsample8/WeTok.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "wetok-comp24"
# description = "grouped LFQ CNN, f8, 8 ids of 8 bits a position"
# codebooks = 8
# tokens = 1024
# stride = 8
# [tool.tokbench.tokenizers.options.config]
# n_embed = 256
# embed_dim = 64
# num_codebooks = 8
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 64
# in_channels = 3
# out_ch = 3
# ch = 256
# ch_mult = [1, 2, 2, 4]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "wetok-comp24"
# source = "hub:GrayShine/WeTok@main/GeneralDomain/compratio24/WeTok.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "wetok-comp48"
# description = "grouped LFQ CNN, f8, 4 ids of 8 bits a position"
# codebooks = 4
# tokens = 1024
# stride = 8
# [tool.tokbench.tokenizers.options.config]
# n_embed = 256
# embed_dim = 32
# num_codebooks = 4
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 32
# in_channels = 3
# out_ch = 3
# ch = 256
# ch_mult = [1, 2, 2, 4]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "wetok-comp48"
# source = "hub:GrayShine/WeTok@main/GeneralDomain/compratio48/WeTok.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "wetok-comp192"
# description = "grouped LFQ CNN, f16, 4 ids of 8 bits a position"
# codebooks = 4
# tokens = 256
# stride = 16
# [tool.tokbench.tokenizers.options.config]
# n_embed = 256
# embed_dim = 32
# num_codebooks = 4
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 32
# in_channels = 3
# out_ch = 3
# ch = 256
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "wetok-comp192"
# source = "hub:GrayShine/WeTok@main/GeneralDomain/compratio192/WeTok.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "wetok-comp768"
# description = "grouped LFQ CNN, f32, 4 ids of 8 bits a position, decoder that draws noise"
# codebooks = 4
# tokens = 64
# stride = 32
# deterministic = false
# [tool.tokbench.tokenizers.options.config]
# n_embed = 256
# embed_dim = 32
# num_codebooks = 4
# use_ema = true
# gan_decoder = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 32
# in_channels = 3
# out_ch = 3
# ch = 256
# ch_mult = [1, 1, 2, 2, 4, 8]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "wetok-comp768"
# source = "hub:GrayShine/WeTok@main/GeneralDomain/compratio768/WeTok.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
# ///
"""WeTok (Zhuang et al., arXiv 2508.05599): Open-MAGVIT2's autoencoder, its latents quantised in groups of 8 channels.

Ids are int64 ``[n, groups, h / f, w / f]``. As in the publishers' evaluation, the moving average of the parameters is
taken. The paths inside the hub's repository are those of the publishers' scripts; they were not checked against the
hub. Any image size that is a multiple of the stride will do.

`wetok-comp768` has a generative decoder: it draws normal noise from torch's global generator, as the publishers do, so
it says ``deterministic = false`` and the harness seeds that generator for each image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tokbench.nn.autoencoders import DiscreteTokenizer
from tokbench.nn.lfq import LookupFree, outputs
from tokbench.nn.taming_names import average_weights, own_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec


class GroupedTokenizer(DiscreteTokenizer):
    """Ids are int64 ``[n, groups, h / f, w / f]``."""

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return the latents whose signs are the first group's id, float32 ``[n, h / f, w / f, 8]``."""
        return super().encoder_features(images)[..., : self._network.quantize.bits]


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the autoencoder."""
    return LookupFree(spec.options["config"])


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Take the averaged parameters, and leave losses and discriminators behind."""
    return own_parts(average_weights(state))


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    return GroupedTokenizer(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute the recorded outputs of a case; a generative decoder's noise is drawn with the recorded seed."""
    assert isinstance(network, LookupFree)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.options["monkeypatch"].get("seed", 0))
        return outputs(network, inputs["images"])
