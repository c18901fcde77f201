# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# families = ["ta_titok"]
# license = "Apache-2.0 AND LicenseRef-research-purposes"
# source = "https://github.com/bytedance/1d-tokenizer"
# revision = "942a96fbdd873780179d1b78d5462911528bf8c8"
# trained_on = ["datacomp-1b"]
# resolution = 256
# stride = 256
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "tatitok-bl32-vq"
# verified = ["golden", "keys", "contract"]
# description = "TA-TiTok BL-32: 32 ids of 8192 in a row and one caption for all images, 391 M parameters"
# kind = "discrete"
# vocab = 8192
# tokens = 32
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options]
# caption = ""
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# quantize_mode = "vq"
# codebook_size = 8192
# token_size = 64
# use_l2_norm = false
# clustering_vq = false
# vit_enc_model_size = "base"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 32
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "tatitok-bl32-vq"
# source = "hub:fun-research/TA-TiTok@main/tatitok_bl32_vq.bin"
# [[tool.tokbench.tokenizers.weights]]
# name = "clip-l14-336"
# source = """hub:timm/vit_large_patch14_clip_336.openai@81e38efc4637de5023b10e75a7f9bd1c6fa6b010/\
#     open_clip_pytorch_model.bin"""
# license = "MIT"
# prefix = "clip."
#
# [[tool.tokbench.tokenizers]]
# name = "tatitok-bl64-vq"
# description = "TA-TiTok BL-64: 64 ids of 8192 in a row and one caption for all images, 391 M parameters"
# kind = "discrete"
# vocab = 8192
# tokens = 64
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options]
# caption = ""
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# quantize_mode = "vq"
# codebook_size = 8192
# token_size = 64
# use_l2_norm = false
# clustering_vq = false
# vit_enc_model_size = "base"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 64
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "tatitok-bl64-vq"
# source = "hub:fun-research/TA-TiTok@main/tatitok_bl64_vq.bin"
# [[tool.tokbench.tokenizers.weights]]
# name = "clip-l14-336"
# source = """hub:timm/vit_large_patch14_clip_336.openai@81e38efc4637de5023b10e75a7f9bd1c6fa6b010/\
#     open_clip_pytorch_model.bin"""
# license = "MIT"
# prefix = "clip."
#
# [[tool.tokbench.tokenizers]]
# name = "tatitok-bl128-vq"
# description = "TA-TiTok BL-128: 128 ids of 8192 in a row and one caption for all images, 391 M parameters"
# kind = "discrete"
# vocab = 8192
# tokens = 128
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# [tool.tokbench.tokenizers.options]
# caption = ""
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# quantize_mode = "vq"
# codebook_size = 8192
# token_size = 64
# use_l2_norm = false
# clustering_vq = false
# vit_enc_model_size = "base"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 128
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "tatitok-bl128-vq"
# source = "hub:fun-research/TA-TiTok@main/tatitok_bl128_vq.bin"
# [[tool.tokbench.tokenizers.weights]]
# name = "clip-l14-336"
# source = """hub:timm/vit_large_patch14_clip_336.openai@81e38efc4637de5023b10e75a7f9bd1c6fa6b010/\
#     open_clip_pytorch_model.bin"""
# license = "MIT"
# prefix = "clip."
#
# [[tool.tokbench.tokenizers]]
# name = "tatitok-bl32-vae"
# channels = 16
# description = "TA-TiTok BL-32 KL: 32 latents of 16 values in a row and one caption for all images, 390 M parameters"
# kind = "continuous"
# tokens = 32
# [tool.tokbench.tokenizers.options]
# caption = ""
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# quantize_mode = "vae"
# token_size = 16
# vit_enc_model_size = "base"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 32
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "tatitok-bl32-vae"
# source = "hub:fun-research/TA-TiTok@main/tatitok_bl32_vae.bin"
# [[tool.tokbench.tokenizers.weights]]
# name = "clip-l14-336"
# source = """hub:timm/vit_large_patch14_clip_336.openai@81e38efc4637de5023b10e75a7f9bd1c6fa6b010/\
#     open_clip_pytorch_model.bin"""
# license = "MIT"
# prefix = "clip."
#
# [[tool.tokbench.tokenizers]]
# name = "tatitok-bl64-vae"
# channels = 16
# description = "TA-TiTok BL-64 KL: 64 latents of 16 values in a row and one caption for all images, 390 M parameters"
# kind = "continuous"
# tokens = 64
# [tool.tokbench.tokenizers.options]
# caption = ""
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
# name = "tatitok-bl64-vae"
# source = "hub:fun-research/TA-TiTok@main/tatitok_bl64_vae.bin"
# [[tool.tokbench.tokenizers.weights]]
# name = "clip-l14-336"
# source = """hub:timm/vit_large_patch14_clip_336.openai@81e38efc4637de5023b10e75a7f9bd1c6fa6b010/\
#     open_clip_pytorch_model.bin"""
# license = "MIT"
# prefix = "clip."
#
# [[tool.tokbench.tokenizers]]
# name = "tatitok-sl128-vae"
# channels = 16
# description = "TA-TiTok SL-128 KL: 128 latents of 16 values in a row and one caption for all images, 330 M parameters"
# kind = "continuous"
# tokens = 128
# [tool.tokbench.tokenizers.options]
# caption = ""
# [tool.tokbench.tokenizers.options.config.dataset.preprocessing]
# crop_size = 256
# [tool.tokbench.tokenizers.options.config.model.vq_model]
# quantize_mode = "vae"
# token_size = 16
# vit_enc_model_size = "small"
# vit_dec_model_size = "large"
# vit_enc_patch_size = 16
# vit_dec_patch_size = 16
# num_latent_tokens = 128
# finetune_decoder = false
# is_legacy = false
# [[tool.tokbench.tokenizers.weights]]
# name = "tatitok-sl128-vae"
# source = "hub:fun-research/TA-TiTok@main/tatitok_sl128_vae.bin"
# [[tool.tokbench.tokenizers.weights]]
# name = "clip-l14-336"
# source = """hub:timm/vit_large_patch14_clip_336.openai@81e38efc4637de5023b10e75a7f9bd1c6fa6b010/\
#     open_clip_pytorch_model.bin"""
# license = "MIT"
# prefix = "clip."
# ///
"""TA-TiTok (Kim et al., arXiv 2501.07730): TiTok whose decoder reads a caption beside the tokens.

Ids are int64 ``[n, tokens]``, latents of the KL models ``[n, tokens, 16]``: the mean of the posterior.

A caption that differs from image to image carries information that no bit is counted for, so here all images get the
same one, ``options.caption``, empty by default, which costs nothing. The authors' evaluation gives "A photo of a
CLASS." with the class of the image: their published figures are not comparable with what tokbench measures. The
caption's hidden states are computed once, when the weights are loaded, by the text tower of CLIP ViT-L/14 at 336
pixels. With random weights there is no such tower, and seeded random numbers stand in for them.

The files are named in the authors' repository; revision and digest could not be looked up when this was written. The
authors ask that their weights serve research.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tokbench.nn.autoencoders import CodebookTokenizer, LatentTokenizer, discrete_outputs, latent_outputs
from tokbench.nn.clip_text import caption_states
from tokbench.nn.titok import TiTok, in_row, need_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from tokbench.tokenizer import Tokenizer, TokenSpec

_TOWER = "clip."
_UNUSED = ("quantize.embed_prob", "pixel_quantize.", "pixel_decoder.")


class TextAware(TiTok):
    """A network that holds the one caption of all images.

    Args:
        config: the authors' settings, under their names.
        changed: sizes in place of the published ones.
    """

    caption: Tensor

    def __init__(self, config: Mapping[str, object], changed: Mapping[str, object] | None) -> None:
        super().__init__(config, changed, text=True)
        assert self.text is not None
        # Stand-in for a caption's states, which layer norm leaves at deviation one.
        self.register_buffer("caption", torch.randn(self.text))

    def pixels(self, vectors: Tensor) -> Tensor:
        """Decode ``[n, dim, tokens]`` with the caption to images ``[n, 3, h, w]``."""
        return self.painted(vectors, self.caption.expand(len(vectors), -1, -1))


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the network."""
    return TextAware(spec.options["config"], spec.options.get("monkeypatch"))


def convert(state: dict[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Add the caption's hidden states to the published tensors.

    Where the text tower is not among them (golden cases, lists of names) the caption is NaN, so that nothing can be
    decoded with it.
    """
    tower = {name.removeprefix(_TOWER): value for name, value in state.items() if name.startswith(_TOWER)}
    own = {name: value for name, value in state.items() if not name.startswith((_TOWER, *_UNUSED))}
    settings = spec.options["config"]["model"]["vq_model"]
    shape = (settings.get("text_context_length", 77), settings.get("text_embed_dim", 768))
    own["caption"] = (
        caption_states(tower, spec.options.get("caption", "")) if tower else torch.full(shape, torch.nan)
    )
    return own


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    assert isinstance(network, TextAware)
    need_images(spec, network)
    return LatentTokenizer(spec, network) if network.continuous else CodebookTokenizer(spec, network)


def golden(spec: TokenSpec, network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute what golden cases record; ``text_guidance`` takes the caption's place."""
    assert isinstance(network, TextAware)
    network.caption = inputs["text_guidance"]
    return in_row((latent_outputs if network.continuous else discrete_outputs)(network, inputs["images"]))
