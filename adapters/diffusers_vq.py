# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# any_size = true
# resolution = 256
# license = "Apache-2.0 AND MIT"
# verified = ["library", "contract"]
#
# [[tool.tokbench.tokenizers]]
# # unchecked: repository and licence of the weights
# name = "amused-vq-256"
# description = "VQ of aMUSEd, f16, 8192 entries of 64, 146 M parameters"
# vocab = 8192
# tokens = 256
# stride = 16
# license = "Apache-2.0 AND LicenseRef-OpenRAIL-PlusPlus"
# source = "https://huggingface.co/amused/amused-256"
# options.class = "VQModel"
# options.signed = false
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
#   "DownEncoderBlock2D",
# ]
# options.config.up_block_types = [
#   "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D",
# ]
# options.config.block_out_channels = [128, 256, 256, 512, 768]
# options.config.layers_per_block = 2
# options.config.latent_channels = 64
# options.config.num_vq_embeddings = 8192
# options.config.mid_block_add_attention = false
# [[tool.tokbench.tokenizers.weights]]
# name = "amused-vq-256"
# source = "hub:amused/amused-256@main/vqvae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "amused-vq-256-config"
# source = "hub:amused/amused-256@main/vqvae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# # unchecked: repository and licence of the weights
# name = "amused-vq-512"
# description = "VQ of aMUSEd, f16, 8192 entries of 64, 146 M parameters, the 512 pixel model's file"
# vocab = 8192
# tokens = 1024
# resolution = 512
# stride = 16
# license = "Apache-2.0 AND LicenseRef-OpenRAIL-PlusPlus"
# source = "https://huggingface.co/amused/amused-512"
# verified = ["library"]
# options.class = "VQModel"
# options.signed = false
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
#   "DownEncoderBlock2D",
# ]
# options.config.up_block_types = [
#   "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D",
# ]
# options.config.block_out_channels = [128, 256, 256, 512, 768]
# options.config.layers_per_block = 2
# options.config.latent_channels = 64
# options.config.num_vq_embeddings = 8192
# options.config.mid_block_add_attention = false
# [[tool.tokbench.tokenizers.weights]]
# name = "amused-vq-512"
# source = "hub:amused/amused-512@main/vqvae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "amused-vq-512-config"
# source = "hub:amused/amused-512@main/vqvae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# # unchecked: repository and licence of the weights
# name = "kandinsky22-movq"
# description = "MoVQ of Kandinsky 2.2, f8, 16384 entries of 4, 67.8 M parameters"
# vocab = 16384
# tokens = 1024
# stride = 8
# license = "Apache-2.0"
# source = "https://huggingface.co/kandinsky-community/kandinsky-2-2-decoder"
# options.class = "VQModel"
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "AttnDownEncoderBlock2D",
# ]
# options.config.up_block_types = [
#   "AttnUpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D",
# ]
# options.config.block_out_channels = [128, 256, 256, 512]
# options.config.layers_per_block = 2
# options.config.latent_channels = 4
# options.config.num_vq_embeddings = 16384
# options.config.vq_embed_dim = 4
# options.config.norm_type = "spatial"
# [[tool.tokbench.tokenizers.weights]]
# name = "kandinsky22-movq"
# source = "hub:kandinsky-community/kandinsky-2-2-decoder@main/movq/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "kandinsky22-movq-config"
# source = "hub:kandinsky-community/kandinsky-2-2-decoder@main/movq/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# # unchecked: settings and file are from memory; the repository's config.json is needed and wins
# name = "vq-diffusion-ithq-vq"
# description = "VQ of VQ-Diffusion (ITHQ), f8, 4096 entries of 256"
# vocab = 4096
# tokens = 1024
# stride = 8
# source = "https://huggingface.co/microsoft/vq-diffusion-ithq"
# verified = ["library"]
# options.class = "VQModel"
# options.config.down_block_types = [
#   "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "AttnDownEncoderBlock2D",
# ]
# options.config.up_block_types = [
#   "AttnUpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D",
# ]
# options.config.block_out_channels = [128, 128, 256, 512]
# options.config.layers_per_block = 2
# options.config.latent_channels = 256
# options.config.num_vq_embeddings = 4096
# options.config.vq_embed_dim = 256
# [[tool.tokbench.tokenizers.weights]]
# name = "vq-diffusion-ithq-vq"
# source = "hub:microsoft/vq-diffusion-ithq@main/vqvae/diffusion_pytorch_model.bin"
# [[tool.tokbench.tokenizers.weights]]
# name = "vq-diffusion-ithq-vq-config"
# source = "hub:microsoft/vq-diffusion-ithq@main/vqvae/config.json"
#
# [[tool.tokbench.tokenizers]]
# # unchecked: repository and licence of the weights
# name = "ldm-superres-vq"
# description = "VQ of latent-diffusion super-resolution (Open Images), f4, 8192 entries of 3, 55.3 M parameters"
# vocab = 8192
# tokens = 4096
# stride = 4
# source = "https://huggingface.co/CompVis/ldm-super-resolution-4x-openimages"
# verified = ["library"]
# options.class = "VQModel"
# options.config.down_block_types = ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"]
# options.config.up_block_types = ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]
# options.config.block_out_channels = [128, 256, 512]
# options.config.layers_per_block = 2
# options.config.latent_channels = 3
# options.config.num_vq_embeddings = 8192
# options.config.vq_embed_dim = 3
# [[tool.tokbench.tokenizers.weights]]
# name = "ldm-superres-vq"
# source = "hub:CompVis/ldm-super-resolution-4x-openimages@main/vqvae/diffusion_pytorch_model.bin"
# [[tool.tokbench.tokenizers.weights]]
# name = "ldm-superres-vq-config"
# source = "hub:CompVis/ldm-super-resolution-4x-openimages@main/vqvae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# # unchecked: repository and licence of the weights
# name = "wuerstchen-stage-a"
# description = "Paella VQ, stage A of Würstchen, f4, 8192 entries of 4"
# vocab = 8192
# tokens = 4096
# stride = 4
# source = "https://huggingface.co/warp-ai/wuerstchen"
# options.class = "PaellaVQModel"
# options.module = "diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model"
# options.signed = false
# [[tool.tokbench.tokenizers.weights]]
# name = "wuerstchen-stage-a"
# source = "hub:warp-ai/wuerstchen@main/vqgan/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "wuerstchen-stage-a-config"
# source = "hub:warp-ai/wuerstchen@main/vqgan/config.json"
# optional = true
# ///
"""VQ autoencoders through diffusers: ids are the nearest entries, and the entries of those ids are decoded.

Ids are ``[n, h / f, w / f]``; any multiple of f will do, and ``resolution`` is where tokens are counted. aMUSEd and
Paella work on [0, 1], the others on [-1, 1]. `PaellaVQModel` lies in a folder of diffusers called deprecated. Where a
``config.json`` is here, its values win over those above. ``main`` stands where no revision could be looked up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokbench.nn.library import VectorTokenizer, diffusers_model, present_names

if TYPE_CHECKING:
    import torch

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build the class that the variant names; its `decode` takes vectors, whatever the checkpoint says."""
    if spec.options["class"] == "VQModel":
        config = {**spec.options["config"], "lookup_from_codebook": False}
        spec = replace(spec, options={**spec.options, "config": config})
    return diffusers_model(spec)


def convert(state: dict[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Older files name the layers of attention otherwise."""
    return present_names(state)


def wrap(spec: TokenSpec, network: Any) -> Tokenizer:
    """Make a tokenizer of it; ``options.signed = false`` stands for pixels in [0, 1]."""
    quantiser = network.quantize if hasattr(network, "quantize") else network.vquantizer

    def to_ids(pixels: torch.Tensor) -> torch.Tensor:
        vectors = network.encode(pixels).latents
        ids: torch.Tensor = quantiser(vectors)[2][2]
        return ids.view(len(vectors), *vectors.shape[2:])

    def to_pixels(ids: torch.Tensor) -> torch.Tensor:
        vectors = quantiser.embedding(ids).movedim(-1, 1)
        pixels: torch.Tensor = network.decode(vectors, force_not_quantize=True).sample
        return pixels

    return VectorTokenizer(
        spec=spec,
        network=network,
        forth=to_ids,
        back=to_pixels,
        range=(-1.0, 1.0) if spec.options.get("signed", True) else (0.0, 1.0),
        entries=lambda: quantiser.embedding.weight,
        vectors=lambda pixels: network.encode(pixels).latents.movedim(1, -1),
    )
