# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# kind = "continuous"
# resolution = 256
# license = "Apache-2.0 AND MIT"
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "rae-dinov2-small"
# description = "representation autoencoder: DINOv2 small (frozen) and a ViT-XL decoder, 384 channels"
# stride = 256
# tokens = 256
# source = "https://huggingface.co/nyu-visionx/RAE-dinov2-wReg-small-ViTXL-n08"
# trained_on = ["imagenet-train"]
# channels = 384
# options.class = "AutoencoderRAE"
# options.config.encoder_type = "dinov2"
# options.config.encoder_hidden_size = 384
# options.config.encoder_patch_size = 14
# options.config.encoder_num_hidden_layers = 12
# options.config.encoder_input_size = 224
# options.config.decoder_hidden_size = 1152
# options.config.decoder_intermediate_size = 4096
# options.config.decoder_num_attention_heads = 16
# options.config.decoder_num_hidden_layers = 28
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-dinov2-small"
# source = "hub:nyu-visionx/RAE-dinov2-wReg-small-ViTXL-n08@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-dinov2-small-config"
# source = "hub:nyu-visionx/RAE-dinov2-wReg-small-ViTXL-n08@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "rae-dinov2-base"
# description = "representation autoencoder: DINOv2 base (frozen) and a ViT-XL decoder, 768 channels"
# stride = 256
# tokens = 256
# source = "https://huggingface.co/nyu-visionx/RAE-dinov2-wReg-base-ViTXL-n08"
# trained_on = ["imagenet-train"]
# channels = 768
# options.class = "AutoencoderRAE"
# options.config.encoder_type = "dinov2"
# options.config.encoder_hidden_size = 768
# options.config.encoder_patch_size = 14
# options.config.encoder_num_hidden_layers = 12
# options.config.encoder_input_size = 224
# options.config.decoder_hidden_size = 1152
# options.config.decoder_intermediate_size = 4096
# options.config.decoder_num_attention_heads = 16
# options.config.decoder_num_hidden_layers = 28
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-dinov2-base"
# source = "hub:nyu-visionx/RAE-dinov2-wReg-base-ViTXL-n08@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-dinov2-base-config"
# source = "hub:nyu-visionx/RAE-dinov2-wReg-base-ViTXL-n08@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "rae-dinov2-large"
# description = "representation autoencoder: DINOv2 large (frozen) and a ViT-XL decoder, 1024 channels"
# stride = 256
# tokens = 256
# source = "https://huggingface.co/nyu-visionx/RAE-dinov2-wReg-large-ViTXL-n08"
# trained_on = ["imagenet-train"]
# channels = 1024
# options.class = "AutoencoderRAE"
# options.config.encoder_type = "dinov2"
# options.config.encoder_hidden_size = 1024
# options.config.encoder_patch_size = 14
# options.config.encoder_num_hidden_layers = 24
# options.config.encoder_input_size = 224
# options.config.decoder_hidden_size = 1152
# options.config.decoder_intermediate_size = 4096
# options.config.decoder_num_attention_heads = 16
# options.config.decoder_num_hidden_layers = 28
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-dinov2-large"
# source = "hub:nyu-visionx/RAE-dinov2-wReg-large-ViTXL-n08@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-dinov2-large-config"
# source = "hub:nyu-visionx/RAE-dinov2-wReg-large-ViTXL-n08@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "rae-dinov2-base-512"
# description = "representation autoencoder: DINOv2 base (frozen) and a ViT-XL decoder, 768 channels, 512 pixels"
# resolution = 512
# stride = 512
# tokens = 1024
# source = "https://huggingface.co/nyu-visionx/RAE-dinov2-wReg-base-ViTXL-n08-i512"
# trained_on = ["imagenet-train"]
# channels = 768
# options.class = "AutoencoderRAE"
# options.config.encoder_type = "dinov2"
# options.config.encoder_hidden_size = 768
# options.config.encoder_patch_size = 14
# options.config.encoder_num_hidden_layers = 12
# options.config.encoder_input_size = 448
# options.config.decoder_hidden_size = 1152
# options.config.decoder_intermediate_size = 4096
# options.config.decoder_num_attention_heads = 16
# options.config.decoder_num_hidden_layers = 28
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-dinov2-base-512"
# source = "hub:nyu-visionx/RAE-dinov2-wReg-base-ViTXL-n08-i512@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-dinov2-base-512-config"
# source = "hub:nyu-visionx/RAE-dinov2-wReg-base-ViTXL-n08-i512@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "rae-mae-base"
# description = "representation autoencoder: MAE base (frozen) and a ViT-XL decoder, 768 channels"
# stride = 256
# tokens = 256
# source = "https://huggingface.co/nyu-visionx/RAE-mae-base-p16-ViTXL-n08"
# trained_on = ["imagenet-train"]
# channels = 768
# options.class = "AutoencoderRAE"
# options.config.encoder_type = "mae"
# options.config.encoder_hidden_size = 768
# options.config.encoder_patch_size = 16
# options.config.encoder_num_hidden_layers = 12
# options.config.encoder_input_size = 256
# options.config.decoder_hidden_size = 1152
# options.config.decoder_intermediate_size = 4096
# options.config.decoder_num_attention_heads = 16
# options.config.decoder_num_hidden_layers = 28
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-mae-base"
# source = "hub:nyu-visionx/RAE-mae-base-p16-ViTXL-n08@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "rae-mae-base-config"
# source = "hub:nyu-visionx/RAE-mae-base-p16-ViTXL-n08@main/config.json"
# ///
"""Representation autoencoders (Zheng et al., 2025) through diffusers: a frozen recognition network, a trained decoder.

Pixels are [0, 1] on both sides; the network normalises them itself. Latents are ``[n, channels, 16, 16]`` (32 × 32 at
512). The size is fixed: whatever comes in is shrunk to the encoder's own size inside (224 for DINOv2 at 256, bicubic
without antialiasing), and the decoder's 256 pixels come out, so an image of another size would come back as one of 256.
The adapter therefore takes exactly that size. The repository's ``config.json`` is needed: it holds the statistics the
latents are normalised with, whose shape the weights repeat. ``main`` stands where no revision could be looked up; the
licence of the weights is unchecked. The SigLIP 2 variant is absent: diffusers 0.42 cannot build it with transformers 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.errors import UsageError
from tokbench.nn.library import LatentTokenizer, diffusers_model

if TYPE_CHECKING:
    import torch

    from tokbench.tokenizer import Tokenizer, TokenSpec

_RECOMPUTED = "decoder.decoder_pos_embed"


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build encoder and decoder."""
    return diffusers_model(spec)


def convert(state: dict[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Position embeddings of the decoder are computed, though some files store them."""
    return {name: value for name, value in state.items() if name != _RECOMPUTED}


def wrap(spec: TokenSpec, network: Any) -> Tokenizer:
    """Make a tokenizer of it."""
    side: int = network.decoder_image_size

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        if tuple(pixels.shape[2:]) != (side, side):
            raise UsageError(
                f"tokenizer `{spec.name}` takes {side}×{side}, got {pixels.shape[3]}×{pixels.shape[2]}",
                hint=f"its decoder gives {side}×{side} whatever it was given: choose a protocol of that size",
            )
        latents: torch.Tensor = network.encode(pixels).latent
        return latents

    return LatentTokenizer(
        spec=spec,
        network=network,
        forth=encode,
        back=lambda latents: network.decode(latents).sample,
        range=(0.0, 1.0),
    )
