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
# name = "dc-ae-f32c32-sana"
# description = "deep compression autoencoder of SANA, f32, 32 channels"
# stride = 32
# tokens = 64
# source = "https://huggingface.co/mit-han-lab/dc-ae-f32c32-sana-1.0-diffusers"
# channels = 32
# options.class = "AutoencoderDC"
# options.config.latent_channels = 32
# options.config.encoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.decoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.encoder_block_out_channels = [128, 256, 512, 512, 1024, 1024]
# options.config.decoder_block_out_channels = [128, 256, 512, 512, 1024, 1024]
# options.config.encoder_layers_per_block = [2, 2, 2, 3, 3, 3]
# options.config.decoder_layers_per_block = [3, 3, 3, 3, 3, 3]
# options.config.encoder_qkv_multiscales = [[], [], [], [5], [5], [5]]
# options.config.decoder_qkv_multiscales = [[], [], [], [5], [5], [5]]
# options.config.downsample_block_type = "conv"
# options.config.upsample_block_type = "interpolate"
# options.config.decoder_norm_types = "rms_norm"
# options.config.decoder_act_fns = "silu"
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f32c32-sana"
# source = "hub:mit-han-lab/dc-ae-f32c32-sana-1.0-diffusers@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f32c32-sana-config"
# source = "hub:mit-han-lab/dc-ae-f32c32-sana-1.0-diffusers@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "dc-ae-f32c32-in"
# description = "deep compression autoencoder, f32, 32 channels, trained on ImageNet"
# stride = 32
# tokens = 64
# source = "https://huggingface.co/mit-han-lab/dc-ae-f32c32-in-1.0-diffusers"
# trained_on = ["imagenet-train"]
# channels = 32
# options.class = "AutoencoderDC"
# options.config.latent_channels = 32
# options.config.encoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.decoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.encoder_block_out_channels = [128, 256, 512, 512, 1024, 1024]
# options.config.decoder_block_out_channels = [128, 256, 512, 512, 1024, 1024]
# options.config.encoder_layers_per_block = [0, 4, 8, 2, 2, 2]
# options.config.decoder_layers_per_block = [0, 5, 10, 2, 2, 2]
# options.config.encoder_qkv_multiscales = [[], [], [], [], [], []]
# options.config.decoder_qkv_multiscales = [[], [], [], [], [], []]
# options.config.decoder_norm_types = [
#   "batch_norm", "batch_norm", "batch_norm", "rms_norm", "rms_norm", "rms_norm",
# ]
# options.config.decoder_act_fns = ["relu", "relu", "relu", "silu", "silu", "silu"]
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f32c32-in"
# source = "hub:mit-han-lab/dc-ae-f32c32-in-1.0-diffusers@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f32c32-in-config"
# source = "hub:mit-han-lab/dc-ae-f32c32-in-1.0-diffusers@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "dc-ae-f64c128-in"
# description = "deep compression autoencoder, f64, 128 channels, trained on ImageNet"
# stride = 64
# tokens = 16
# source = "https://huggingface.co/mit-han-lab/dc-ae-f64c128-in-1.0-diffusers"
# trained_on = ["imagenet-train"]
# channels = 128
# options.class = "AutoencoderDC"
# options.config.latent_channels = 128
# options.config.encoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
#   "EfficientViTBlock",
# ]
# options.config.decoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
#   "EfficientViTBlock",
# ]
# options.config.encoder_block_out_channels = [128, 256, 512, 512, 1024, 1024, 2048]
# options.config.decoder_block_out_channels = [128, 256, 512, 512, 1024, 1024, 2048]
# options.config.encoder_layers_per_block = [0, 4, 8, 2, 2, 2, 2]
# options.config.decoder_layers_per_block = [0, 5, 10, 2, 2, 2, 2]
# options.config.encoder_qkv_multiscales = [[], [], [], [], [], [], []]
# options.config.decoder_qkv_multiscales = [[], [], [], [], [], [], []]
# options.config.decoder_norm_types = [
#   "batch_norm", "batch_norm", "batch_norm", "rms_norm", "rms_norm", "rms_norm", "rms_norm",
# ]
# options.config.decoder_act_fns = ["relu", "relu", "relu", "silu", "silu", "silu", "silu"]
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f64c128-in"
# source = "hub:mit-han-lab/dc-ae-f64c128-in-1.0-diffusers@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f64c128-in-config"
# source = "hub:mit-han-lab/dc-ae-f64c128-in-1.0-diffusers@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "dc-ae-f128c512-in"
# description = "deep compression autoencoder, f128, 512 channels, trained on ImageNet"
# resolution = 512
# stride = 128
# tokens = 16
# source = "https://huggingface.co/mit-han-lab/dc-ae-f128c512-in-1.0-diffusers"
# trained_on = ["imagenet-train"]
# channels = 512
# options.class = "AutoencoderDC"
# options.config.latent_channels = 512
# options.config.encoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
#   "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.decoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
#   "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.encoder_block_out_channels = [128, 256, 512, 512, 1024, 1024, 2048, 2048]
# options.config.decoder_block_out_channels = [128, 256, 512, 512, 1024, 1024, 2048, 2048]
# options.config.encoder_layers_per_block = [0, 4, 8, 2, 2, 2, 2, 2]
# options.config.decoder_layers_per_block = [0, 5, 10, 2, 2, 2, 2, 2]
# options.config.encoder_qkv_multiscales = [[], [], [], [], [], [], [], []]
# options.config.decoder_qkv_multiscales = [[], [], [], [], [], [], [], []]
# options.config.decoder_norm_types = [
#   "batch_norm", "batch_norm", "batch_norm", "rms_norm", "rms_norm", "rms_norm", "rms_norm", "rms_norm",
# ]
# options.config.decoder_act_fns = ["relu", "relu", "relu", "silu", "silu", "silu", "silu", "silu"]
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f128c512-in"
# source = "hub:mit-han-lab/dc-ae-f128c512-in-1.0-diffusers@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f128c512-in-config"
# source = "hub:mit-han-lab/dc-ae-f128c512-in-1.0-diffusers@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "dc-ae-f32c32-mix"
# description = "deep compression autoencoder, f32, 32 channels, trained on a mixture"
# stride = 32
# tokens = 64
# source = "https://huggingface.co/mit-han-lab/dc-ae-f32c32-mix-1.0-diffusers"
# channels = 32
# options.class = "AutoencoderDC"
# options.config.latent_channels = 32
# options.config.encoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.decoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.encoder_block_out_channels = [128, 256, 512, 512, 1024, 1024]
# options.config.decoder_block_out_channels = [128, 256, 512, 512, 1024, 1024]
# options.config.encoder_layers_per_block = [0, 4, 8, 2, 2, 2]
# options.config.decoder_layers_per_block = [0, 5, 10, 2, 2, 2]
# options.config.encoder_qkv_multiscales = [[], [], [], [], [], []]
# options.config.decoder_qkv_multiscales = [[], [], [], [], [], []]
# options.config.decoder_norm_types = [
#   "batch_norm", "batch_norm", "batch_norm", "rms_norm", "rms_norm", "rms_norm",
# ]
# options.config.decoder_act_fns = ["relu", "relu", "relu", "silu", "silu", "silu"]
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f32c32-mix"
# source = "hub:mit-han-lab/dc-ae-f32c32-mix-1.0-diffusers@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f32c32-mix-config"
# source = "hub:mit-han-lab/dc-ae-f32c32-mix-1.0-diffusers@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "dc-ae-f64c128-mix"
# description = "deep compression autoencoder, f64, 128 channels, trained on a mixture"
# stride = 64
# tokens = 16
# source = "https://huggingface.co/mit-han-lab/dc-ae-f64c128-mix-1.0-diffusers"
# channels = 128
# options.class = "AutoencoderDC"
# options.config.latent_channels = 128
# options.config.encoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
#   "EfficientViTBlock",
# ]
# options.config.decoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
#   "EfficientViTBlock",
# ]
# options.config.encoder_block_out_channels = [128, 256, 512, 512, 1024, 1024, 2048]
# options.config.decoder_block_out_channels = [128, 256, 512, 512, 1024, 1024, 2048]
# options.config.encoder_layers_per_block = [0, 4, 8, 2, 2, 2, 2]
# options.config.decoder_layers_per_block = [0, 5, 10, 2, 2, 2, 2]
# options.config.encoder_qkv_multiscales = [[], [], [], [], [], [], []]
# options.config.decoder_qkv_multiscales = [[], [], [], [], [], [], []]
# options.config.decoder_norm_types = [
#   "batch_norm", "batch_norm", "batch_norm", "rms_norm", "rms_norm", "rms_norm", "rms_norm",
# ]
# options.config.decoder_act_fns = ["relu", "relu", "relu", "silu", "silu", "silu", "silu"]
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f64c128-mix"
# source = "hub:mit-han-lab/dc-ae-f64c128-mix-1.0-diffusers@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f64c128-mix-config"
# source = "hub:mit-han-lab/dc-ae-f64c128-mix-1.0-diffusers@main/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "dc-ae-f128c512-mix"
# description = "deep compression autoencoder, f128, 512 channels, trained on a mixture"
# resolution = 512
# stride = 128
# tokens = 16
# source = "https://huggingface.co/mit-han-lab/dc-ae-f128c512-mix-1.0-diffusers"
# channels = 512
# options.class = "AutoencoderDC"
# options.config.latent_channels = 512
# options.config.encoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
#   "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.decoder_block_types = [
#   "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock", "EfficientViTBlock",
#   "EfficientViTBlock", "EfficientViTBlock",
# ]
# options.config.encoder_block_out_channels = [128, 256, 512, 512, 1024, 1024, 2048, 2048]
# options.config.decoder_block_out_channels = [128, 256, 512, 512, 1024, 1024, 2048, 2048]
# options.config.encoder_layers_per_block = [0, 4, 8, 2, 2, 2, 2, 2]
# options.config.decoder_layers_per_block = [0, 5, 10, 2, 2, 2, 2, 2]
# options.config.encoder_qkv_multiscales = [[], [], [], [], [], [], [], []]
# options.config.decoder_qkv_multiscales = [[], [], [], [], [], [], [], []]
# options.config.decoder_norm_types = [
#   "batch_norm", "batch_norm", "batch_norm", "rms_norm", "rms_norm", "rms_norm", "rms_norm", "rms_norm",
# ]
# options.config.decoder_act_fns = ["relu", "relu", "relu", "silu", "silu", "silu", "silu", "silu"]
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f128c512-mix"
# source = "hub:mit-han-lab/dc-ae-f128c512-mix-1.0-diffusers@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "dc-ae-f128c512-mix-config"
# source = "hub:mit-han-lab/dc-ae-f128c512-mix-1.0-diffusers@main/config.json"
# optional = true
# ///
"""Deep compression autoencoders (Chen et al., ICLR 2025) through diffusers: plain latents, no posterior.

Latents are ``[n, channels, h / f, w / f]``, not scaled. They take any multiple of f. The settings are those of the
library's own conversion script; where a ``config.json`` is here, its values win. ``main`` stands where no revision
could be looked up, and the licence of the weights is unchecked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.nn.library import LatentTokenizer, diffusers_model

if TYPE_CHECKING:
    import torch

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build the class that the variant names."""
    return diffusers_model(spec)


def wrap(spec: TokenSpec, network: Any) -> Tokenizer:
    """Make a tokenizer of it."""
    return LatentTokenizer(
        spec=spec,
        network=network,
        forth=lambda pixels: network.encode(pixels).latent,
        back=lambda latents: network.decode(latents).sample,
    )
