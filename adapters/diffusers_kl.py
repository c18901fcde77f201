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
# name = "sd15-vae"
# description = "KL autoencoder of Stable Diffusion 1.5 (ft-mse decoder), f8, 4 channels, 83.7 M parameters"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/stabilityai/sd-vae-ft-mse"
# verified = ["library", "contract"]
# channels = 4
# options.class = "AutoencoderKL"
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
# ]
# options.config.up_block_types = ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]
# options.config.block_out_channels = [128, 256, 512, 512]
# options.config.layers_per_block = 2
# options.config.latent_channels = 4
# [[tool.tokbench.tokenizers.weights]]
# name = "sd15-vae"
# source = "hub:stabilityai/sd-vae-ft-mse@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "sd15-vae-config"
# source = "hub:stabilityai/sd-vae-ft-mse@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "sdxl-vae"
# description = "KL autoencoder of Stable Diffusion XL, f8, 4 channels, 83.7 M parameters"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/stabilityai/sdxl-vae"
# channels = 4
# options.class = "AutoencoderKL"
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
# ]
# options.config.up_block_types = ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]
# options.config.block_out_channels = [128, 256, 512, 512]
# options.config.layers_per_block = 2
# options.config.latent_channels = 4
# [[tool.tokbench.tokenizers.weights]]
# name = "sdxl-vae"
# source = "hub:stabilityai/sdxl-vae@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "sdxl-vae-config"
# source = "hub:stabilityai/sdxl-vae@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "sd3-vae"
# description = "KL autoencoder of Stable Diffusion 3, f8, 16 channels, 83.8 M parameters"
# stride = 8
# tokens = 1024
# license = "Apache-2.0 AND LicenseRef-Stability-AI-Community"
# source = "https://huggingface.co/stabilityai/stable-diffusion-3-medium-diffusers"
# channels = 16
# options.class = "AutoencoderKL"
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
# ]
# options.config.up_block_types = ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]
# options.config.block_out_channels = [128, 256, 512, 512]
# options.config.layers_per_block = 2
# options.config.latent_channels = 16
# options.config.use_quant_conv = false
# options.config.use_post_quant_conv = false
# [[tool.tokbench.tokenizers.weights]]
# name = "sd3-vae"
# source = "hub:stabilityai/stable-diffusion-3-medium-diffusers@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "sd3-vae-config"
# source = "hub:stabilityai/stable-diffusion-3-medium-diffusers@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "flux1-vae"
# description = "KL autoencoder of FLUX.1, f8, 16 channels, 83.8 M parameters"
# stride = 8
# tokens = 1024
# license = "Apache-2.0"
# source = "https://huggingface.co/black-forest-labs/FLUX.1-schnell"
# channels = 16
# options.class = "AutoencoderKL"
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
# ]
# options.config.up_block_types = ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]
# options.config.block_out_channels = [128, 256, 512, 512]
# options.config.layers_per_block = 2
# options.config.latent_channels = 16
# options.config.use_quant_conv = false
# options.config.use_post_quant_conv = false
# [[tool.tokbench.tokenizers.weights]]
# name = "flux1-vae"
# source = "hub:black-forest-labs/FLUX.1-schnell@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux1-vae-config"
# source = "hub:black-forest-labs/FLUX.1-schnell@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "flux2-vae"
# description = "KL autoencoder of FLUX.2, f8, 32 channels, 84.0 M parameters"
# stride = 8
# tokens = 1024
# license = "Apache-2.0"
# source = "https://huggingface.co/black-forest-labs/FLUX.2-VAE"
# verified = ["library", "contract"]
# channels = 32
# options.class = "AutoencoderKLFlux2"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae-config"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "asymmetric-vae-x1.5"
# description = "Stable Diffusion encoder with a decoder 1.5 times as wide, f8, 4 channels"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/cross-attention/asymmetric-autoencoder-kl-x-1-5"
# channels = 4
# options.class = "AsymmetricAutoencoderKL"
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
# ]
# options.config.up_block_types = ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]
# options.config.down_block_out_channels = [128, 256, 512, 512]
# options.config.layers_per_down_block = 2
# options.config.up_block_out_channels = [192, 384, 768, 768]
# options.config.layers_per_up_block = 3
# [[tool.tokbench.tokenizers.weights]]
# name = "asymmetric-vae-x1.5"
# source = "hub:cross-attention/asymmetric-autoencoder-kl-x-1-5@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "asymmetric-vae-x1.5-config"
# source = "hub:cross-attention/asymmetric-autoencoder-kl-x-1-5@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "asymmetric-vae-x2"
# description = "Stable Diffusion encoder with a decoder twice as wide and deeper, f8, 4 channels"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/cross-attention/asymmetric-autoencoder-kl-x-2"
# channels = 4
# options.class = "AsymmetricAutoencoderKL"
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
# ]
# options.config.up_block_types = ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]
# options.config.down_block_out_channels = [128, 256, 512, 512]
# options.config.layers_per_down_block = 2
# options.config.up_block_out_channels = [256, 512, 1024, 1024]
# options.config.layers_per_up_block = 5
# [[tool.tokbench.tokenizers.weights]]
# name = "asymmetric-vae-x2"
# source = "hub:cross-attention/asymmetric-autoencoder-kl-x-2@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "asymmetric-vae-x2-config"
# source = "hub:cross-attention/asymmetric-autoencoder-kl-x-2@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "kvae-2d"
# description = "KVAE 2D 1.0 of Kandinsky Lab, f8, 16 channels, 217 M parameters"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/kandinskylab/KVAE-2D-1.0"
# channels = 16
# options.class = "AutoencoderKLKVAE"
# [[tool.tokbench.tokenizers.weights]]
# name = "kvae-2d"
# source = "hub:kandinskylab/KVAE-2D-1.0@main/diffusers/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "kvae-2d-config"
# source = "hub:kandinskylab/KVAE-2D-1.0@main/diffusers/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "hunyuanimage21-vae"
# description = "KL autoencoder of HunyuanImage 2.1, f32, 64 channels"
# stride = 32
# tokens = 64
# license = "Apache-2.0 AND LicenseRef-Tencent-Hunyuan-Community"
# source = "https://huggingface.co/hunyuanvideo-community/HunyuanImage-2.1-Diffusers"
# channels = 64
# options.class = "AutoencoderKLHunyuanImage"
# options.config.in_channels = 3
# options.config.out_channels = 3
# options.config.latent_channels = 64
# options.config.block_out_channels = [128, 256, 512, 512, 1024, 1024]
# options.config.layers_per_block = 2
# options.config.spatial_compression_ratio = 32
# options.config.sample_size = 384
# [[tool.tokbench.tokenizers.weights]]
# name = "hunyuanimage21-vae"
# source = "hub:hunyuanvideo-community/HunyuanImage-2.1-Diffusers@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "hunyuanimage21-vae-config"
# source = "hub:hunyuanvideo-community/HunyuanImage-2.1-Diffusers@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "svd-vae"
# description = "Stable Diffusion encoder, temporal decoder of Stable Video Diffusion at one frame, f8, 4 channels"
# stride = 8
# tokens = 1024
# license = "Apache-2.0 AND LicenseRef-Stability-AI-Community"
# source = "https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt"
# channels = 4
# options.class = "AutoencoderKLTemporalDecoder"
# options.decode = { num_frames = 1 }
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
# ]
# options.config.block_out_channels = [128, 256, 512, 512]
# options.config.layers_per_block = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "svd-vae"
# source = "hub:stabilityai/stable-video-diffusion-img2vid-xt@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "svd-vae-config"
# source = "hub:stabilityai/stable-video-diffusion-img2vid-xt@main/vae/config.json"
# optional = true
# ///
"""KL autoencoders of latent diffusion, through diffusers: the mode of the posterior, never a sample.

Latents are ``[n, channels, h / f, w / f]`` in the network's dtype, not scaled: that serves the diffusion model. They
take any multiple of f; 256 is where their tokens are counted. Where a ``config.json`` is here, its values win over
those above. ``main`` stands where no revision could be looked up. Unchecked, written from memory: the repository of
`svd-vae`, and the licences of all weights but those of FLUX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.nn.library import LatentTokenizer, diffusers_model, present_names

if TYPE_CHECKING:
    import torch

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build the class that the variant names."""
    return diffusers_model(spec)


def convert(state: dict[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Older repositories name the layers of attention otherwise."""
    return present_names(state)


def wrap(spec: TokenSpec, network: Any) -> Tokenizer:
    """Make a tokenizer of it; ``options.decode`` goes to every call of `decode`."""
    asked = spec.options.get("decode", {})
    return LatentTokenizer(
        spec=spec,
        network=network,
        forth=lambda pixels: network.encode(pixels).latent_dist.mode(),
        back=lambda latents: network.decode(latents, **asked).sample,
    )
