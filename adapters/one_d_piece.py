# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# families = ["one_d_piece"]
# license = "Apache-2.0"
# source = "https://github.com/turingmotors/One-D-Piece"
# revision = "473665d1ec5d4f96e07f1c379166f668ee17b961"
# trained_on = ["imagenet-train"]
# kind = "discrete"
# vocab = 4096
# tokens = 256
# quantizer = "vq"
# resolution = 256
# stride = 256
# capabilities = ["codebook", "encoder-features", "variable-length"]
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "one-d-piece-s256"
# verified = ["golden", "keys", "contract"]
# description = "One-D-Piece S-256: the first 1 to 256 ids of 4096 in a row, 84 M parameters"
# [tool.tokbench.tokenizers.options]
# lengths = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# codebook_size = 4096
# token_size = 12
# use_l2_norm = true
# vit_enc_model_size = "small"
# vit_dec_model_size = "small"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 256
# finetune_decoder = true
# strict_length_assertion = false
# [[tool.tokbench.tokenizers.weights]]
# name = "one-d-piece-s256"
# source = "hub:turing-motors/One-D-Piece-S-256@main/pytorch_model.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "one-d-piece-b256"
# description = "One-D-Piece B-256: the first 1 to 256 ids of 4096 in a row, 205 M parameters"
# [tool.tokbench.tokenizers.options]
# lengths = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# codebook_size = 4096
# token_size = 12
# use_l2_norm = true
# vit_enc_model_size = "base"
# vit_dec_model_size = "base"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 256
# finetune_decoder = true
# strict_length_assertion = false
# [[tool.tokbench.tokenizers.weights]]
# name = "one-d-piece-b256"
# source = "hub:turing-motors/One-D-Piece-B-256@main/pytorch_model.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "one-d-piece-l256"
# description = "One-D-Piece L-256: the first 1 to 256 ids of 4096 in a row, 642 M parameters"
# [tool.tokbench.tokenizers.options]
# lengths = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# codebook_size = 4096
# token_size = 12
# use_l2_norm = true
# vit_enc_model_size = "large"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 256
# finetune_decoder = true
# strict_length_assertion = false
# [[tool.tokbench.tokenizers.weights]]
# name = "one-d-piece-l256"
# source = "hub:turing-motors/One-D-Piece-L-256@main/pytorch_model.bin"
# ///
"""One-D-Piece (Miwa et al., arXiv 2501.10064): TiTok trained so that the first tokens alone give an image too.

Ids are int64 ``[n, 256]``, or fewer of them from the front: any number from 1 to 256 can be decoded, and the decoder is
told nothing about those that are missing. The file name is that of the authors' notebook; revision and digest could not
be looked up when this was written, nor the licence of the weights apart from the code's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.autoencoders import PrefixTokenizer, discrete_outputs
from tokbench.nn.titok import TiTok, in_row, need_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the network; the authors' code knows the first release's layout only."""
    return TiTok(spec.options["config"], spec.options.get("monkeypatch"), legacy=True)


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    assert isinstance(network, TiTok)
    need_images(spec, network)
    return PrefixTokenizer(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute what golden cases record, ``decoded_lenN`` for every N."""
    assert isinstance(network, TiTok)
    outputs = discrete_outputs(network, inputs["images"])
    entries = outputs["quantized"]
    return in_row(outputs) | {
        f"decoded_len{length}": network.pixels(entries[..., :length])
        for length in range(1, entries.shape[2] + 1)
    }
