# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# families = ["infinity"]
# kind = "discrete"
# quantizer = "bsq"
# vocab = 2
# resolution = 256
# stride = 16
# license = "MIT"
# source = "https://github.com/FoundationVision/Infinity"
# revision = "4c27bbb54a9918847a2fe56b0fbe31a8523791a1"
# capabilities = ["encoder-features", "variable-length"]
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "infinity-d16"
# description = "multi-scale binary CNN, f16, 7 scales of 16 bits a position"
# codebooks = 16
# tokens = 521
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 21, 57, 121, 265, 521]
# [tool.tokbench.tokenizers.options.config]
# codebook_dim = 16
# patch_size = 16
# base_ch = 128
# num_res_blocks = 2
# encoder_ch_mult = [1, 2, 4, 4, 4]
# decoder_ch_mult = [1, 2, 4, 4, 4]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "infinity-d16"
# source = "hub:FoundationVision/infinity@main/infinity_vae_d16.pth"
# license = "MIT"
# inside = "vae"
#
# [[tool.tokbench.tokenizers]]
# name = "infinity-d24"
# description = "multi-scale binary CNN, f16, 7 scales of 24 bits a position"
# codebooks = 24
# tokens = 521
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 21, 57, 121, 265, 521]
# [tool.tokbench.tokenizers.options.config]
# codebook_dim = 24
# patch_size = 16
# base_ch = 128
# num_res_blocks = 2
# encoder_ch_mult = [1, 2, 4, 4, 4]
# decoder_ch_mult = [1, 2, 4, 4, 4]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "infinity-d24"
# source = "hub:FoundationVision/infinity@main/infinity_vae_d24.pth"
# license = "MIT"
# inside = "vae"
#
# [[tool.tokbench.tokenizers]]
# name = "infinity-d32"
# description = "multi-scale binary CNN, f16, 7 scales of 32 bits a position"
# codebooks = 32
# tokens = 521
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 21, 57, 121, 265, 521]
# [tool.tokbench.tokenizers.options.config]
# codebook_dim = 32
# patch_size = 16
# base_ch = 128
# num_res_blocks = 2
# encoder_ch_mult = [1, 2, 4, 4, 4]
# decoder_ch_mult = [1, 2, 4, 4, 4]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "infinity-d32"
# source = "hub:FoundationVision/infinity@main/infinity_vae_d32.pth"
# license = "MIT"
# inside = "vae"
#
# [[tool.tokbench.tokenizers]]
# name = "infinity-d32reg"
# description = "multi-scale binary CNN, f16, 7 scales of 32 bits a position, trained with regularisation"
# codebooks = 32
# tokens = 521
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 21, 57, 121, 265, 521]
# [tool.tokbench.tokenizers.options.config]
# codebook_dim = 32
# patch_size = 16
# base_ch = 128
# num_res_blocks = 2
# encoder_ch_mult = [1, 2, 4, 4, 4]
# decoder_ch_mult = [1, 2, 4, 4, 4]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "infinity-d32reg"
# source = "hub:FoundationVision/infinity@main/infinity_vae_d32reg.pth"
# license = "MIT"
# inside = "vae"
#
# [[tool.tokbench.tokenizers]]
# name = "infinity-d64"
# description = "multi-scale binary CNN, f16, 7 scales of 64 bits a position"
# codebooks = 64
# tokens = 521
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 21, 57, 121, 265, 521]
# [tool.tokbench.tokenizers.options.config]
# codebook_dim = 64
# patch_size = 16
# base_ch = 128
# num_res_blocks = 2
# encoder_ch_mult = [1, 2, 4, 4, 4]
# decoder_ch_mult = [1, 2, 4, 4, 4]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "infinity-d64"
# source = "hub:FoundationVision/infinity@main/infinity_vae_d64.pth"
# license = "MIT"
# inside = "vae"
# ///
"""The bitwise tokenizer of Infinity (Han et al., arXiv 2412.04431): residual scales of binary spherical codes.

Ids are the bits themselves, int64 ``[n, bits, positions]`` of 0 and 1, for 64 of them fit no integer: the scales follow
each other coarse to fine, each row by row. Any number of whole scales can be decoded. The autoencoder is the one of
latent diffusion without attention, on the blocks of diffusers. Images are square, 256×256 in these variants.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from tokbench.errors import ContractError, SetupError
from tokbench.nn.autoencoders import DiscreteTokenizer
from tokbench.nn.multiscale_binary import MultiScaleBinary
from tokbench.nn.taming import ConvAutoencoder, Layout, signed_golden
from tokbench.nn.taming_names import to_diffusers
from tokbench.tokenizer import Codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec

# The publishers' layers wrap torch's; those of a resampling step hold a wrapped one called `conv`.
_WRAPPED = re.compile(r"(?<!sample)\.(?:conv|norm)(?=\.(?:weight|bias)$)")
_SIDE = 16


class Autoencoder(ConvAutoencoder):
    """The autoencoder without convolutions around its quantiser."""

    quantize: MultiScaleBinary


class InfinityTokenizer(DiscreteTokenizer):
    """Ids are int64 ``[n, bits, positions]`` of 0 and 1."""

    def lengths(self) -> tuple[int, ...]:
        """Return the positions of the first scale, of the first two, and so on."""
        lengths: tuple[int, ...] = self._network.quantize.lengths
        return lengths

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Keep the scales that make up the first `length` positions.

        Raises:
            ContractError: these are no whole number of scales.
        """
        assert codes.ids is not None
        if length not in self.lengths():
            raise ContractError(
                f"`{self.spec.name}`: cannot cut scales at {length} positions",
                hint=f"lengths are {', '.join(map(str, self.lengths()))}",
            )
        return Codes(ids=codes.ids[:, :, :length])


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the autoencoder."""
    config = spec.options["config"]
    channels, patch = config["codebook_dim"], config["patch_size"]
    multipliers, back = tuple(config["encoder_ch_mult"]), tuple(config["decoder_ch_mult"])
    if patch != 2 ** (len(multipliers) - 1) or len(back) != len(multipliers):
        raise SetupError(
            f"{len(multipliers)} and {len(back)} levels do not fit a patch of {patch} pixels",
            hint="each level but the coarsest halves the side",
        )
    layout = Layout(
        ch=config["base_ch"],
        ch_mult=multipliers,
        decoder_ch_mult=back,
        num_res_blocks=config["num_res_blocks"],
        z_channels=channels,
        embed_dim=channels,
        mid_attention=False,
        norm_num_groups=config.get("_norm_num_groups", 32),
        quant_conv_ks=0,
    )
    side = spec.resolution // patch if spec.resolution else _SIDE
    return Autoencoder(layout, MultiScaleBinary(channels, side))


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Unwrap names, and leave the powers of two behind that the publishers' quantiser stores."""
    own = {name: value for name, value in state.items() if name.startswith(("encoder.", "decoder."))}
    return to_diffusers({_WRAPPED.sub("", name): value for name, value in own.items()})


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    return InfinityTokenizer(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute the recorded outputs of a case; ``fhat_sN`` is the sum of scales up to N."""
    assert isinstance(network, Autoencoder)
    return signed_golden(_outputs, network, inputs["images"])


def _outputs(network: ConvAutoencoder, images: Tensor) -> dict[str, Tensor]:
    assert isinstance(network, Autoencoder)
    quantize = network.quantize
    features = network.features(images)
    ids = quantize.ids(features)
    sums = {length: quantize.lookup(ids[:, :, :length]) for length in quantize.lengths}
    starts = (0, *quantize.lengths)
    return {
        "pre_quant": features,
        "quantized": sums[quantize.lengths[-1]],
        **{
            f"tokens_s{i}": ids[:, :, start:end].transpose(1, 2)
            for i, (start, end) in enumerate(pairwise(starts))
        },
        **{f"fhat_s{i}": value for i, value in enumerate(sums.values())},
        "decoded": network.pixels(sums[quantize.lengths[-1]]),
        **{f"decoded_len{length}": network.pixels(value) for length, value in sums.items()},
    }
