# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# families = ["llamagen"]
# license = "MIT"
# source = "https://github.com/FoundationVision/LlamaGen"
# revision = "ce98ec41803a74a90ce68c40ababa9eaeffeb4ec"
# kind = "discrete"
# vocab = 16384
# resolution = 256
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# any_size = true
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "llamagen-vq16"
# verified = ["golden", "keys", "contract"]
# description = "LlamaGen VQ-16 of ImageNet: 16×16 pixels an id, 16384 unit vectors of 8 channels, 72 M parameters"
# tokens = 256
# stride = 16
# trained_on = ["imagenet-train"]
# [tool.tokbench.tokenizers.options.config]
# codebook_size = 16384
# codebook_embed_dim = 8
# codebook_l2_norm = true
# encoder_ch_mult = [1, 1, 2, 2, 4]
# decoder_ch_mult = [1, 1, 2, 2, 4]
# z_channels = 256
#
# [[tool.tokbench.tokenizers.weights]]
# name = "llamagen-vq16"
# source = "hub:FoundationVision/LlamaGen@main/vq_ds16_c2i.pt"
# license = "MIT"
# inside = "model"
#
# [[tool.tokbench.tokenizers]]
# name = "llamagen-vq8"
# verified = ["golden", "keys", "contract"]
# description = "LlamaGen VQ-8 of ImageNet: 8×8 pixels an id, 16384 unit vectors of 8 channels, 70 M parameters"
# tokens = 1024
# stride = 8
# trained_on = ["imagenet-train"]
# [tool.tokbench.tokenizers.options.config]
# codebook_size = 16384
# codebook_embed_dim = 8
# codebook_l2_norm = true
# encoder_ch_mult = [1, 2, 2, 4]
# decoder_ch_mult = [1, 2, 2, 4]
# z_channels = 256
#
# [[tool.tokbench.tokenizers.weights]]
# name = "llamagen-vq8"
# source = "hub:FoundationVision/LlamaGen@main/vq_ds8_c2i.pt"
# license = "MIT"
# inside = "model"
#
# [[tool.tokbench.tokenizers]]
# name = "llamagen-vq16-t2i"
# verified = ["golden", "keys", "contract"]
# description = "LlamaGen VQ-16 fine-tuned on LAION-COCO and internal pictures, for its text-to-image models"
# tokens = 256
# stride = 16
# trained_on = ["imagenet-train", "laion-coco"]
# [tool.tokbench.tokenizers.options.config]
# codebook_size = 16384
# codebook_embed_dim = 8
# codebook_l2_norm = true
# encoder_ch_mult = [1, 1, 2, 2, 4]
# decoder_ch_mult = [1, 1, 2, 2, 4]
# z_channels = 256
#
# [[tool.tokbench.tokenizers.weights]]
# name = "llamagen-vq16-t2i"
# source = "hub:peizesun/llamagen_t2i@main/vq_ds16_t2i.pt"
# license = "MIT"
# inside = "model"
# ///
"""The image tokenizers of LlamaGen (Sun et al., arXiv 2406.06525), on the blocks of diffusers.

VQGAN's network with attention at the coarsest level. Both the encoder's vectors and the entries are scaled to length 1
before they are compared, and the decoder is given the scaled entries: a class that compares them as they are stored
finds other ids, and nothing tells. Any size that is a multiple of the stride will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.autoencoders import CodebookTokenizer, discrete_outputs
from tokbench.nn.quantize import VectorQuantizer
from tokbench.nn.taming import ConvAutoencoder, Layout, signed_golden
from tokbench.nn.taming_names import llamagen_to_taming, own_parts, to_diffusers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> ConvAutoencoder:
    """Build the network of the official settings; ``ch`` and ``num_res_blocks`` are fixed in the official code."""
    config = spec.options["config"]
    encoder, decoder = tuple(config["encoder_ch_mult"]), tuple(config["decoder_ch_mult"])
    layout = Layout(
        ch=config.get("ch", 128),
        ch_mult=encoder,
        decoder_ch_mult=decoder,
        num_res_blocks=config.get("num_res_blocks", 2),
        z_channels=config["z_channels"],
        embed_dim=config["codebook_embed_dim"],
        encoder_attention=frozenset({len(encoder) - 1}),
        decoder_attention=frozenset({len(decoder) - 1}),
        norm_num_groups=config.get("_norm_num_groups", 32),
    )
    quantize = VectorQuantizer(
        config["codebook_size"], config["codebook_embed_dim"], normalise=config["codebook_l2_norm"]
    )
    return ConvAutoencoder(layout, quantize)


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Rename, and drop the record of which entries training used."""
    kept = own_parts(state)
    kept.pop("quantize.codebook_used", None)
    return to_diffusers(llamagen_to_taming(kept))


def wrap(spec: TokenSpec, network: ConvAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    return CodebookTokenizer(spec, network)


def golden(spec: TokenSpec, network: ConvAutoencoder, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute what the golden cases record."""
    return signed_golden(discrete_outputs, network, inputs["images"])
