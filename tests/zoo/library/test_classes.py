"""Every library class that an adapter calls, with small random weights, through the contract."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tokbench.testing import check_tokenizer

pytest.importorskip("diffusers")
pytest.importorskip("transformers")


def two(block: str, other: str) -> dict[str, Any]:
    return {"down_block_types": [block] * 2, "up_block_types": [other] * 2}


KL2 = two("DownEncoderBlock2D", "UpDecoderBlock2D")
CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "AutoencoderKL": ("sd15-vae", {**KL2, "block_out_channels": [8, 16], "norm_num_groups": 4}),
    "AutoencoderKL, no quant conv": (
        "sd3-vae",
        {
            **KL2,
            "block_out_channels": [8, 16],
            "norm_num_groups": 4,
            "latent_channels": 16,
            "use_quant_conv": False,
            "use_post_quant_conv": False,
        },
    ),
    "AutoencoderKLFlux2": (
        "flux2-vae",
        {
            "block_out_channels": [8, 8, 16, 16],
            "layers_per_block": 1,
            "latent_channels": 8,
            "norm_num_groups": 4,
        },
    ),
    "AsymmetricAutoencoderKL": (
        "asymmetric-vae-x2",
        {
            **KL2,
            "down_block_out_channels": [8, 16],
            "up_block_out_channels": [8, 16],
            "layers_per_down_block": 1,
            "layers_per_up_block": 1,
            "norm_num_groups": 4,
        },
    ),
    "AutoencoderKLKVAE": (
        "kvae-2d",
        {"channels": 32, "num_enc_blocks": 1, "num_dec_blocks": 1, "z_channels": 4, "ch_mult": [1, 2]},
    ),
    "AutoencoderKLHunyuanImage": (
        "hunyuanimage21-vae",
        {
            "in_channels": 3,
            "out_channels": 3,
            "latent_channels": 8,
            "block_out_channels": [32, 64, 64],
            "layers_per_block": 1,
            "spatial_compression_ratio": 4,
            "sample_size": 32,
        },
    ),
    "AutoencoderKLTemporalDecoder": (
        "svd-vae",
        {
            "down_block_types": ["DownEncoderBlock2D"] * 2,
            "block_out_channels": [32, 64],
            "layers_per_block": 1,
        },
    ),
    "AutoencoderTiny": (
        "taesd-diffusers",
        {
            "encoder_block_out_channels": [16, 16],
            "decoder_block_out_channels": [16, 16],
            "num_encoder_blocks": [1, 1],
            "num_decoder_blocks": [1, 1],
        },
    ),
    "AutoencoderDC": (
        "dc-ae-f32c32-in",
        {
            "latent_channels": 4,
            "attention_head_dim": 2,
            "encoder_block_types": ["ResBlock", "EfficientViTBlock"],
            "decoder_block_types": ["ResBlock", "EfficientViTBlock"],
            "encoder_block_out_channels": [8, 8],
            "decoder_block_out_channels": [8, 8],
            "encoder_qkv_multiscales": [[], [5]],
            "decoder_qkv_multiscales": [[], [5]],
            "encoder_layers_per_block": [1, 1],
            "decoder_layers_per_block": [1, 1],
        },
    ),
    "AutoencoderKLWan": ("wan21-vae", {"base_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}),
    "AutoencoderKLWan, 2.2": (
        "wan22-vae",
        {
            "base_dim": 8,
            "decoder_base_dim": 8,
            "z_dim": 48,
            "dim_mult": [1, 2, 2, 2],
            "num_res_blocks": 1,
            "is_residual": True,
            "in_channels": 12,
            "out_channels": 12,
            "patch_size": 2,
            "scale_factor_spatial": 16,
        },
    ),
    "AutoencoderKLQwenImage": (
        "qwenimage-vae",
        {"base_dim": 8, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1},
    ),
    "AutoencoderKLQwenImage21": (
        "qwenimage21-vae",
        {"base_dim": 8, "decoder_base_dim": 8, "dim_mult": [1, 1, 1, 1, 1], "num_res_blocks": 1},
    ),
    "AutoencoderKLLTXVideo": (
        "ltx-video-vae",
        {
            "latent_channels": 8,
            "block_out_channels": [8] * 4,
            "decoder_block_out_channels": [8] * 4,
            "layers_per_block": [1] * 5,
            "decoder_layers_per_block": [1] * 5,
            "spatio_temporal_scaling": [True, True, False, False],
            "decoder_spatio_temporal_scaling": [True, True, False, False],
            "patch_size": 1,
        },
    ),
    "AutoencoderKLLTX2Video": (
        "ltx2-vae",
        {
            "latent_channels": 8,
            "block_out_channels": [8] * 4,
            "decoder_block_out_channels": [16, 32, 64],
            "layers_per_block": [1] * 5,
            "decoder_layers_per_block": [1] * 4,
            "patch_size": 1,
            "decoder_causal": False,
        },
    ),
    "AutoencoderKLHunyuanVideo": (
        "hunyuanvideo-vae",
        {"latent_channels": 4, "block_out_channels": [8] * 4, "layers_per_block": 1, "norm_num_groups": 4},
    ),
    "AutoencoderKLHunyuanVideo15": (
        "hunyuanvideo15-vae",
        {"latent_channels": 8, "block_out_channels": [32] * 5, "layers_per_block": 1},
    ),
    "AutoencoderKLHunyuanImageRefiner": (
        "hunyuanimage21-refiner-vae",
        {"latent_channels": 8, "block_out_channels": [32] * 5, "layers_per_block": 1},
    ),
    "AutoencoderKLCogVideoX": (
        "cogvideox-vae",
        {"block_out_channels": [8] * 4, "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 2},
    ),
    "AutoencoderKLMochi": (
        "mochi-vae",
        {
            "latent_channels": 4,
            "encoder_block_out_channels": [32] * 4,
            "decoder_block_out_channels": [32] * 4,
            "layers_per_block": [1] * 5,
        },
    ),
    "AutoencoderKLMagvit": (
        "easyanimate-vae",
        {"latent_channels": 4, "block_out_channels": [8] * 4, "layers_per_block": 1, "norm_num_groups": 8},
    ),
    "AutoencoderKLCosmos": (
        "cosmos-cv8x8x8",
        {
            "latent_channels": 4,
            "encoder_block_out_channels": [8] * 4,
            "decode_block_out_channels": [8] * 4,
            "attention_resolutions": [8],
            "resolution": 64,
            "spatial_compression_ratio": 8,
        },
    ),
    "AutoencoderKLKVAEVideo": (
        "kvae-3d",
        {"ch": 32, "ch_mult": [1, 2], "num_res_blocks": 1, "z_channels": 4, "temporal_compress_times": 2},
    ),
    "Kandinsky6SRVAE": (
        "kandinsky6-sr-vae",
        {
            "latent_channels": 8,
            "encoder_block_out_channels": [16, 32, 32],
            "decoder_block_out_channels": [16, 32, 32],
            "layers_per_block": 1,
        },
    ),
    "VQModel": (
        "amused-vq-256",
        {
            **KL2,
            "block_out_channels": [8, 16],
            "norm_num_groups": 8,
            "num_vq_embeddings": 64,
            "vq_embed_dim": 4,
            "latent_channels": 4,
            "mid_block_add_attention": False,
            "lookup_from_codebook": True,
        },
    ),
    "VQModel, spatial norm": (
        "kandinsky22-movq",
        {
            "down_block_types": ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
            "up_block_types": ["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
            "block_out_channels": [32, 64],
            "latent_channels": 4,
            "num_vq_embeddings": 64,
            "vq_embed_dim": 4,
            "norm_type": "spatial",
        },
    ),
    "PaellaVQModel": (
        "wuerstchen-stage-a",
        {"bottleneck_blocks": 2, "embed_dim": 16, "num_vq_embeddings": 64},
    ),
    "AutoencoderVidTok, FSQ": (
        "vidtok-fsq-488",
        {
            "ch": 16,
            "ch_mult": [1, 1, 1, 1],
            "z_channels": 4,
            "double_z": False,
            "num_res_blocks": 1,
            "regularizer": "fsq",
            "codebook_size": 4096,
        },
    ),
    "AutoencoderVidTok, KL": (
        "vidtok-kl-288",
        {"ch": 16, "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1, "tempo_ds": [1], "tempo_us": [2]},
    ),
    "JanusVQVAE": (
        "janus-pro-vq",
        {"base_channels": 32, "latent_channels": 32, "num_embeddings": 64, "num_res_blocks": 1},
    ),
    "Emu3VQVAE": (
        "emu3-vq",
        {"base_channels": 32, "codebook_size": 64, "hidden_size": 128, "num_res_blocks": 1},
    ),
}
VOCABS = {
    "VQModel": 64,
    "VQModel, spatial norm": 64,
    "PaellaVQModel": 64,
    "AutoencoderVidTok, FSQ": 4096,
    "JanusVQVAE": 64,
    "Emu3VQVAE": 64,
}
SMALLER = {
    "AutoencoderKLKVAE",
    "AutoencoderKLKVAEVideo",
    "AutoencoderKLMochi",
    "AutoencoderKLTemporalDecoder",
    "AutoencoderVidTok, FSQ",
    "AutoencoderVidTok, KL",
    "Emu3VQVAE",
    "VQModel, spatial norm",
}


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_keeps_the_contract(kind: str, tiny: Any) -> None:
    name, config = CLASSES[kind]
    side = 16 if kind in SMALLER else 32
    tokenizer = tiny(name, config, vocab=VOCABS.get(kind), resolution=side)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    wide = torch.rand(1, 3, side, 2 * side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        codes = tokenizer.encode(wide)
        assert tokenizer.decode(codes).shape == wide.shape
    assert (codes.latents is None) == (tokenizer.spec.kind == "discrete")
    assert codes.latents is None or codes.latents.ndim == 4  # the axis of one frame is gone
