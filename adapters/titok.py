# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# families = ["titok"]
# license = "Apache-2.0 AND LicenseRef-research-purposes"
# source = "https://github.com/bytedance/1d-tokenizer"
# revision = "942a96fbdd873780179d1b78d5462911528bf8c8"
# trained_on = ["imagenet-train"]
# resolution = 256
# stride = 256
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "titok-l32"
# verified = ["golden", "keys", "contract"]
# description = "TiTok L-32: 32 ids of 4096 in a row, decoded through MaskGIT's VQGAN, 641 M parameters"
# kind = "discrete"
# vocab = 4096
# tokens = 32
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options]
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
# num_latent_tokens = 32
# finetune_decoder = true
# [[tool.tokbench.tokenizers.weights]]
# name = "titok-l32"
# source = "hub:fun-research/TiTok@main/tokenizer_titok_l32.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "titok-b64"
# verified = ["golden", "keys", "contract"]
# description = "TiTok B-64: 64 ids of 4096 in a row, decoded through MaskGIT's VQGAN, 205 M parameters"
# kind = "discrete"
# vocab = 4096
# tokens = 64
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options]
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
# num_latent_tokens = 64
# finetune_decoder = true
# [[tool.tokbench.tokenizers.weights]]
# name = "titok-b64"
# source = "hub:fun-research/TiTok@main/tokenizer_titok_b64.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "titok-s128"
# verified = ["golden", "keys", "contract"]
# description = "TiTok S-128: 128 ids of 4096 in a row, decoded through MaskGIT's VQGAN, 84 M parameters"
# kind = "discrete"
# vocab = 4096
# tokens = 128
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options]
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
# num_latent_tokens = 128
# finetune_decoder = true
# [[tool.tokbench.tokenizers.weights]]
# name = "titok-s128"
# source = "hub:fun-research/TiTok@main/tokenizer_titok_s128.bin"
#
# [[tool.tokbench.tokenizers]]
# name = "titok-bl64"
# description = "TiTok BL-64: 64 ids of 8192 in a row, one stage, 390 M parameters"
# kind = "discrete"
# vocab = 8192
# tokens = 64
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options]
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# codebook_size = 8192
# token_size = 64
# use_l2_norm = false
# vit_enc_model_size = "base"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 64
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "titok-bl64"
# source = "hub:yucornetto/tokenizer_titok_bl64_vq8k_imagenet@main/model.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "titok-bl128"
# description = "TiTok BL-128: 128 ids of 8192 in a row, one stage, 390 M parameters"
# kind = "discrete"
# vocab = 8192
# tokens = 128
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options]
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# codebook_size = 8192
# token_size = 64
# use_l2_norm = false
# vit_enc_model_size = "base"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 128
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "titok-bl128"
# source = "hub:yucornetto/tokenizer_titok_bl128_vq8k_imagenet@main/model.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "titok-sl256"
# verified = ["golden", "keys", "contract"]
# description = "TiTok SL-256: 256 ids of 8192 in a row, one stage, 330 M parameters"
# kind = "discrete"
# vocab = 8192
# tokens = 256
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options]
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# codebook_size = 8192
# token_size = 64
# use_l2_norm = false
# vit_enc_model_size = "small"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 256
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "titok-sl256"
# source = "hub:yucornetto/tokenizer_titok_sl256_vq8k_imagenet@main/model.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "titok-ll32-vae"
# channels = 16
# description = "TiTok LL-32 KL: 32 latents of 16 values in a row, 607 M parameters"
# kind = "continuous"
# tokens = 32
# [tool.tokbench.tokenizers.options]
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# quantize_mode = "vae"
# token_size = 16
# vit_enc_model_size = "large"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 32
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "titok-ll32-vae"
# source = "hub:yucornetto/tokenizer_titok_ll32_vae_c16_imagenet@main/model.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "titok-bl64-vae"
# channels = 16
# description = "TiTok BL-64 KL: 64 latents of 16 values in a row, 389 M parameters"
# kind = "continuous"
# tokens = 64
# [tool.tokbench.tokenizers.options]
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# quantize_mode = "vae"
# token_size = 16
# vit_enc_model_size = "base"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 64
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "titok-bl64-vae"
# source = "hub:yucornetto/tokenizer_titok_bl64_vae_c16_imagenet@main/model.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "titok-bl128-vae"
# channels = 16
# description = "TiTok BL-128 KL: 128 latents of 16 values in a row, 390 M parameters"
# kind = "continuous"
# tokens = 128
# [tool.tokbench.tokenizers.options]
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# quantize_mode = "vae"
# token_size = 16
# vit_enc_model_size = "base"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 128
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "titok-bl128-vae"
# source = "hub:yucornetto/tokenizer_titok_bl128_vae_c16_imagenet@main/model.safetensors"
# ///
"""TiTok (Yu et al., arXiv 2406.07550): an image as 32 to 256 tokens in a row, without a grid.

Ids are int64 ``[n, tokens]``, latents of the KL models ``[n, tokens, 16]``: the mean of the posterior. The models that
decode in one stage are described in arXiv 2501.07730. The authors ask that their weights serve research.

The files in ``fun-research/TiTok`` are named in the authors' README; ``model.safetensors`` is what their loader asks of
the other repositories. Revisions and digests could not be looked up when this was written: all are unchecked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.autoencoders import CodebookTokenizer, LatentTokenizer, discrete_outputs, latent_outputs
from tokbench.nn.titok import TiTok, in_row, need_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the network."""
    return TiTok(spec.options["config"], spec.options.get("monkeypatch"))


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    assert isinstance(network, TiTok)
    need_images(spec, network)
    return LatentTokenizer(spec, network) if network.continuous else CodebookTokenizer(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute what golden cases record."""
    assert isinstance(network, TiTok)
    return in_row((latent_outputs if network.continuous else discrete_outputs)(network, inputs["images"]))
