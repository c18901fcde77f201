# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# families = ["show_o"]
# kind = "discrete"
# quantizer = "lfq"
# license = "Apache-2.0"
# source = "https://github.com/showlab/Show-o"
# revision = "45a5a2de01d1ebd10cd5864d29310a76476cdf23"
#
# [[tool.tokbench.tokenizers]]
# name = "show-o-magvitv2"
# description = "LFQ CNN of Show-o, f16, 2^13 entries"
# vocab = 8192
# tokens = 256
# resolution = 256
# stride = 16
# any_size = true
# capabilities = ["encoder-features"]
# verified = ["golden", "keys", "contract"]
# [tool.tokbench.tokenizers.options.config]
# ch = 128
# z_channels = 13
# encoder = { ch_mult = [1, 2, 2, 4, 4], num_res_blocks = [4, 3, 4, 3, 4] }
# decoder = { ch_mult = [1, 1, 2, 2, 4], num_res_blocks = [4, 4, 3, 4, 3] }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "show-o-magvitv2"
# source = "hub:showlab/magvitv2@main/pytorch_model.bin"
# license = "Apache-2.0"
# ///
"""The MAGVIT-v2 style tokenizer of Show-o (Xie et al., arXiv 2408.12528): lookup-free quantisation, 13 bits a position.

Its autoencoder is VQGAN's with attention in the middle alone and other numbers of residual blocks at each level, put
together from the blocks of diffusers. The first channel is the highest bit of an id. The file's name inside the hub's
repository follows the publishers' loader and was not checked against the hub.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokbench.nn.autoencoders import DiscreteTokenizer, discrete_outputs
from tokbench.nn.binary import BinaryQuantizer
from tokbench.nn.taming import ConvAutoencoder, Layout, signed_golden
from tokbench.nn.taming_names import own_parts, to_diffusers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec

# The convolutions around the quantiser are published as part of the halves.
_AROUND = re.compile(r"^(?:encoder|decoder)\.(?=(?:post_)?quant_conv\.)")


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the autoencoder."""
    config = spec.options["config"]
    encoder, decoder = config["encoder"], config["decoder"]
    layout = Layout(
        ch=config["ch"],
        ch_mult=tuple(encoder["ch_mult"]),
        decoder_ch_mult=tuple(decoder["ch_mult"]),
        num_res_blocks=max(encoder["num_res_blocks"] + decoder["num_res_blocks"]),
        z_channels=config["z_channels"],
        embed_dim=config["z_channels"],
        norm_num_groups=config.get("_norm_num_groups", 32),
    )
    network = ConvAutoencoder(layout, BinaryQuantizer(layout.z_channels, first="highest"))
    _shorten(network.encoder.down_blocks, encoder["num_res_blocks"])
    _shorten(network.decoder.up_blocks, decoder["num_res_blocks"][::-1])
    return network


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Rename, and leave the codebook behind: it holds all sign patterns."""
    own = {name: value for name, value in own_parts(state).items() if not name.startswith("quantize.")}
    return to_diffusers({_AROUND.sub("", name): value for name, value in own.items()})


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    return DiscreteTokenizer(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute the recorded outputs of a case."""
    assert isinstance(network, ConvAutoencoder)
    return signed_golden(discrete_outputs, network, inputs["images"])


def _shorten(levels: Any, counts: Sequence[int]) -> None:
    """Keep the first residual blocks of each level, which diffusers builds with equal numbers."""
    for level, count in zip(levels, counts, strict=True):
        level.resnets = level.resnets[:count]
