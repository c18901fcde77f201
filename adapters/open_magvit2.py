# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# families = ["open_magvit2"]
# kind = "discrete"
# quantizer = "lfq"
# license = "Apache-2.0"
# source = "https://github.com/TencentARC/SEED-Voken"
# revision = "b9a17eac8e2c0779c12a5429b0bfd6c502788484"
# any_size = true
# capabilities = ["encoder-features"]
# verified = ["golden", "keys", "contract"]
#
# [[tool.tokbench.tokenizers]]
# name = "open-magvit2-256"
# description = "LFQ CNN, f16, 2^18 entries, trained on ImageNet at 256×256"
# vocab = 262144
# tokens = 256
# resolution = 256
# stride = 16
# trained_on = ["imagenet-train"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 262144
# embed_dim = 18
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 18
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "open-magvit2-256"
# source = "hub:TencentARC/Open-MAGVIT2-Tokenizer-256-resolution@main/imagenet_256_L.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "open-magvit2-128"
# description = "LFQ CNN, f8, 2^18 entries, trained on ImageNet at 128×128"
# vocab = 262144
# tokens = 256
# resolution = 128
# stride = 8
# trained_on = ["imagenet-train"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 262144
# embed_dim = 18
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 18
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 2, 2, 4]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "open-magvit2-128"
# source = "hub:TencentARC/Open-MAGVIT2-Tokenizer-128-resolution@main/imagenet_128_L.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "open-magvit2-pretrain-16384"
# description = "LFQ CNN, f16, 2^14 entries, trained on 100 M web images"
# vocab = 16384
# tokens = 256
# resolution = 256
# stride = 16
# trained_on = ["laion-coco", "cc12m", "cc3m", "laion-hd", "laion-aesthetic-umap", "laion-aesthetic-v2", "journeydb"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 16384
# embed_dim = 14
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 14
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "open-magvit2-pretrain-16384"
# source = "hub:TencentARC/Open-MAGVIT2-Tokenizer-16384-Pretrain@main/pretrain256_16384.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "open-magvit2-pretrain-262144"
# description = "LFQ CNN, f16, 2^18 entries, trained on 100 M web images"
# vocab = 262144
# tokens = 256
# resolution = 256
# stride = 16
# trained_on = ["laion-coco", "cc12m", "cc3m", "laion-hd", "laion-aesthetic-umap", "laion-aesthetic-v2", "journeydb"]
# [tool.tokbench.tokenizers.options.config]
# n_embed = 262144
# embed_dim = 18
# use_ema = true
# [tool.tokbench.tokenizers.options.config.ddconfig]
# z_channels = 18
# in_channels = 3
# out_ch = 3
# ch = 128
# ch_mult = [1, 1, 2, 2, 4]
# num_res_blocks = 4
#
# [[tool.tokbench.tokenizers.weights]]
# name = "open-magvit2-pretrain-262144"
# source = "hub:TencentARC/Open-MAGVIT2-Tokenizer-262144-Pretrain@main/pretrain256_262144.ckpt"
# license = "Apache-2.0"
# inside = "state_dict"
# ///
"""Open-MAGVIT2 (Luo et al., arXiv 2409.04410): lookup-free quantisation of a convolutional autoencoder's latents.

The publishers evaluate the moving average of the parameters, which their checkpoints hold beside the parameters; so
does this adapter. Any image size that is a multiple of the stride will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.autoencoders import DiscreteTokenizer
from tokbench.nn.lfq import LookupFree, outputs
from tokbench.nn.taming_names import average_weights, own_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the autoencoder."""
    return LookupFree(spec.options["config"])


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Take the averaged parameters, and leave losses and discriminators behind."""
    return own_parts(average_weights(state))


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    assert isinstance(network, LookupFree)
    return DiscreteTokenizer(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute the recorded outputs of a case."""
    assert isinstance(network, LookupFree)
    return outputs(network, inputs["images"])
