# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# kind = "continuous"
# any_size = true
# resolution = 256
# license = "Apache-2.0 AND MIT"
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "taesd-diffusers"
# description = "tiny autoencoder for the latents of Stable Diffusion 1.5, f8, 4 channels, diffusers files"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/madebyollin/taesd"
# verified = ["library", "contract"]
# channels = 4
# options.class = "AutoencoderTiny"
# options.config = { latent_channels = 4 }
# [[tool.tokbench.tokenizers.weights]]
# name = "taesd-diffusers"
# source = "hub:madebyollin/taesd@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "taesd-diffusers-config"
# source = "hub:madebyollin/taesd@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "taesdxl-diffusers"
# description = "tiny autoencoder for the latents of Stable Diffusion XL, f8, 4 channels, diffusers files"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/madebyollin/taesdxl"
# channels = 4
# options.class = "AutoencoderTiny"
# options.config = { latent_channels = 4 }
# [[tool.tokbench.tokenizers.weights]]
# name = "taesdxl-diffusers"
# source = "hub:madebyollin/taesdxl@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "taesdxl-diffusers-config"
# source = "hub:madebyollin/taesdxl@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "taesd3-diffusers"
# description = "tiny autoencoder for the latents of Stable Diffusion 3, f8, 16 channels, diffusers files"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/madebyollin/taesd3"
# channels = 16
# options.class = "AutoencoderTiny"
# options.config = { latent_channels = 16 }
# [[tool.tokbench.tokenizers.weights]]
# name = "taesd3-diffusers"
# source = "hub:madebyollin/taesd3@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "taesd3-diffusers-config"
# source = "hub:madebyollin/taesd3@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "taef1-diffusers"
# description = "tiny autoencoder for the latents of FLUX.1, f8, 16 channels, diffusers files"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/madebyollin/taef1"
# channels = 16
# options.class = "AutoencoderTiny"
# options.config = { latent_channels = 16 }
# [[tool.tokbench.tokenizers.weights]]
# name = "taef1-diffusers"
# source = "hub:madebyollin/taef1@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "taef1-diffusers-config"
# source = "hub:madebyollin/taef1@main/config.json"
# optional = true
# ///
"""The tiny autoencoders of Ollin Boer Bohan as diffusers stores them: the same weights as in their own repository.

Latents are ``[n, channels, h / 8, w / 8]``. Any multiple of 8 will do; 256 is where tokens are counted. Where a
``config.json`` is here, its values win over those above. ``main`` stands where no revision could be looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.nn.library import LatentTokenizer, diffusers_model

if TYPE_CHECKING:
    import torch

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build encoder and decoder."""
    return diffusers_model(spec)


def wrap(spec: TokenSpec, network: Any) -> Tokenizer:
    """Make a tokenizer of it."""
    return LatentTokenizer(
        spec=spec,
        network=network,
        forth=lambda pixels: network.encode(pixels).latents,
        back=lambda latents: network.decode(latents).sample,
    )
