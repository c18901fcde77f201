# /// script
# requires-python = ">=3.9"
# dependencies = [
#   "torch>=2.5", "torchvision", "numpy", "scipy", "timm>=1.0", "einops", "huggingface_hub", "safetensors",
# ]
#
# [tool.tokbench]
# kind = "continuous"
# channels = 32
# resolution = 256
# stride = 256
# license = "Apache-2.0 AND LicenseRef-none-stated"
# source = "https://github.com/Hhhhhhao/continuous_tokenizer"
# revision = "7cc3e962cb4185e0f40a007ff140c059a6f6e84f"
# trained_on = ["imagenet-train"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/Hhhhhhao/continuous_tokenizer"
# commit = "7cc3e962cb4185e0f40a007ff140c059a6f6e84f"
#
# [[tool.tokbench.tokenizers]]
# name = "softvq-b-32"
# description = "SoftVQ-VAE B: 32 latents of 32 channels"
# tokens = 32
# verified = ["contract"]
# options.model = "SoftVQModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 256
# codebook_embed_dim = 32
# codebook_size = 8192
# num_codebooks = 4
# tau = 0.07
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_base_patch14_dinov2.lvd142m"
# decoder_model = "vit_base_patch14_dinov2.lvd142m"
# num_latent_tokens = 32
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-b-32"
# source = "hub:SoftVQVAE/softvq-b-32@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-b-32-config"
# source = "hub:SoftVQVAE/softvq-b-32@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "softvq-b-64"
# description = "SoftVQ-VAE B: 64 latents of 32 channels"
# tokens = 64
# options.model = "SoftVQModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 256
# codebook_embed_dim = 32
# codebook_size = 8192
# num_codebooks = 4
# tau = 0.07
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_base_patch14_dinov2.lvd142m"
# decoder_model = "vit_base_patch14_dinov2.lvd142m"
# num_latent_tokens = 64
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-b-64"
# source = "hub:SoftVQVAE/softvq-b-64@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-b-64-config"
# source = "hub:SoftVQVAE/softvq-b-64@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "softvq-bl-32"
# description = "SoftVQ-VAE BL: 32 latents of 32 channels"
# tokens = 32
# options.model = "SoftVQModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 256
# codebook_embed_dim = 32
# codebook_size = 8192
# num_codebooks = 4
# tau = 0.07
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_base_patch14_dinov2.lvd142m"
# decoder_model = "vit_large_patch14_dinov2.lvd142m"
# num_latent_tokens = 32
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-bl-32"
# source = "hub:SoftVQVAE/softvq-bl-32@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-bl-32-config"
# source = "hub:SoftVQVAE/softvq-bl-32@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "softvq-bl-64"
# description = "SoftVQ-VAE BL: 64 latents of 32 channels"
# tokens = 64
# options.model = "SoftVQModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 256
# codebook_embed_dim = 32
# codebook_size = 8192
# num_codebooks = 4
# tau = 0.07
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_base_patch14_dinov2.lvd142m"
# decoder_model = "vit_large_patch14_dinov2.lvd142m"
# num_latent_tokens = 64
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-bl-64"
# source = "hub:SoftVQVAE/softvq-bl-64@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-bl-64-config"
# source = "hub:SoftVQVAE/softvq-bl-64@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "softvq-l-32"
# description = "SoftVQ-VAE L: 32 latents of 32 channels"
# tokens = 32
# options.model = "SoftVQModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 256
# codebook_embed_dim = 32
# codebook_size = 8192
# num_codebooks = 4
# tau = 0.07
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_large_patch14_dinov2.lvd142m"
# decoder_model = "vit_large_patch14_dinov2.lvd142m"
# num_latent_tokens = 32
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-l-32"
# source = "hub:SoftVQVAE/softvq-l-32@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-l-32-config"
# source = "hub:SoftVQVAE/softvq-l-32@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "softvq-l-64"
# description = "SoftVQ-VAE L: 64 latents of 32 channels"
# tokens = 64
# options.model = "SoftVQModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 256
# codebook_embed_dim = 32
# codebook_size = 8192
# num_codebooks = 4
# tau = 0.07
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_large_patch14_dinov2.lvd142m"
# decoder_model = "vit_large_patch14_dinov2.lvd142m"
# num_latent_tokens = 64
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-l-64"
# source = "hub:SoftVQVAE/softvq-l-64@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-l-64-config"
# source = "hub:SoftVQVAE/softvq-l-64@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "softvq-bl-64-512"
# description = "SoftVQ-VAE BL at 512 pixels: 64 latents of 32 channels"
# tokens = 64
# resolution = 512
# stride = 512
# options.model = "SoftVQModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 512
# codebook_embed_dim = 32
# codebook_size = 8192
# num_codebooks = 4
# tau = 0.07
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_base_patch14_dinov2.lvd142m"
# decoder_model = "vit_large_patch14_dinov2.lvd142m"
# num_latent_tokens = 64
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-bl-64-512"
# source = "hub:SoftVQVAE/softvq-bl-64-512@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-bl-64-512-config"
# source = "hub:SoftVQVAE/softvq-bl-64-512@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "softvq-l-32-512"
# description = "SoftVQ-VAE L at 512 pixels: 32 latents of 32 channels"
# tokens = 32
# resolution = 512
# stride = 512
# options.model = "SoftVQModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 512
# codebook_embed_dim = 32
# codebook_size = 8192
# num_codebooks = 4
# tau = 0.07
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_large_patch14_dinov2.lvd142m"
# decoder_model = "vit_large_patch14_dinov2.lvd142m"
# num_latent_tokens = 32
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-l-32-512"
# source = "hub:SoftVQVAE/softvq-l-32-512@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "softvq-l-32-512-config"
# source = "hub:SoftVQVAE/softvq-l-32-512@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "maetok-b-128"
# description = "MAETok B: 128 latents of 32 channels"
# tokens = 128
# options.model = "AEModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 256
# codebook_embed_dim = 32
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_base_patch14_dinov2.lvd142m"
# decoder_model = "vit_base_patch14_dinov2.lvd142m"
# num_latent_tokens = 128
# [[tool.tokbench.tokenizers.weights]]
# name = "maetok-b-128"
# source = "hub:MAETok/maetok-b-128@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "maetok-b-128-config"
# source = "hub:MAETok/maetok-b-128@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "maetok-b-128-512"
# description = "MAETok B at 512 pixels: 128 latents of 32 channels"
# tokens = 128
# resolution = 512
# stride = 512
# options.model = "AEModel"
# [tool.tokbench.tokenizers.options.config]
# image_size = 512
# codebook_embed_dim = 32
# enc_type = "vit"
# dec_type = "vit"
# encoder_model = "vit_base_patch14_dinov2.lvd142m"
# decoder_model = "vit_base_patch14_dinov2.lvd142m"
# num_latent_tokens = 128
# [[tool.tokbench.tokenizers.weights]]
# name = "maetok-b-128-512"
# source = "hub:MAETok/maetok-b-512@main/model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "maetok-b-128-512-config"
# source = "hub:MAETok/maetok-b-512@main/config.json"
# ///
"""SoftVQ-VAE and MAETok (Chen et al., arXiv 2412.10958 and 2502.03444): 32 to 128 latents of a vision transformer.

SoftVQ's latents are soft mixtures of codebook entries, so they are counted as numbers. The published ``config.json``
wins over the header's settings, which are those of the repository's file for SoftVQ-L-64 and serve random weights.
The models say Apache-2.0; the repository has no licence file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_OF_TRAINING = {"enc_pretrained": False, "dec_pretrained": False, "repa": False}


class ContinuousTokenizer:
    """Latents ``[n, tokens, 32]``."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return the latents of the bottleneck."""
        return Codes(latents=self.model.encode((images * 2 - 1).to(self.kind))[0])

    def decode(self, codes: Codes) -> Tensor:
        """Return images of the model's size."""
        return (self.model.decode(codes.latents.to(self.kind)).float() + 1) / 2


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model without the network that its training aligned it with."""
    stand_in("peft")
    from modelling import tokenizer

    settings = dict(spec.options["config"])
    if weights:
        published = json.loads(weights[f"{spec.name}-config"].read_text())
        settings |= published.get("config", published)
    known = tokenizer.ModelArgs.__dataclass_fields__
    settings = {name: value for name, value in (settings | _OF_TRAINING).items() if name in known}
    model = getattr(tokenizer, spec.options["model"])(tokenizer.ModelArgs(**settings))
    if weights:
        path = weights[spec.name]
        load_needed(model, load_checkpoint(path), path, unused=("repa_model.", "projection.", "quantize."))
    return ContinuousTokenizer(spec, model.to(device, dtype).eval(), dtype)
