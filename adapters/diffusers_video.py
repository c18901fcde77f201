# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# kind = "continuous"
# any_size = true
# resolution = 256
# license = "Apache-2.0"
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "wan21-vae"
# description = "causal video autoencoder of Wan 2.1 at one frame, f8, 16 channels, 127 M parameters"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
# verified = ["library", "contract"]
# channels = 16
# options.class = "AutoencoderKLWan"
# [[tool.tokbench.tokenizers.weights]]
# name = "wan21-vae"
# source = "hub:Wan-AI/Wan2.1-T2V-1.3B-Diffusers@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "wan21-vae-config"
# source = "hub:Wan-AI/Wan2.1-T2V-1.3B-Diffusers@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "wan22-vae"
# description = "causal video autoencoder of Wan 2.2 (5B) at one frame, f16, 48 channels"
# stride = 16
# tokens = 256
# source = "https://huggingface.co/Wan-AI/Wan2.2-TI2V-5B-Diffusers"
# channels = 48
# options.class = "AutoencoderKLWan"
# options.config.base_dim = 160
# options.config.decoder_base_dim = 256
# options.config.z_dim = 48
# options.config.is_residual = true
# options.config.in_channels = 12
# options.config.out_channels = 12
# options.config.patch_size = 2
# options.config.scale_factor_temporal = 4
# options.config.scale_factor_spatial = 16
# [[tool.tokbench.tokenizers.weights]]
# name = "wan22-vae"
# source = "hub:Wan-AI/Wan2.2-TI2V-5B-Diffusers@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "wan22-vae-config"
# source = "hub:Wan-AI/Wan2.2-TI2V-5B-Diffusers@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "qwenimage-vae"
# description = "autoencoder of Qwen-Image, f8, 16 channels, 127 M parameters"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/Qwen/Qwen-Image"
# channels = 16
# options.class = "AutoencoderKLQwenImage"
# [[tool.tokbench.tokenizers.weights]]
# name = "qwenimage-vae"
# source = "hub:Qwen/Qwen-Image@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "qwenimage-vae-config"
# source = "hub:Qwen/Qwen-Image@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# # unchecked: licence of the weights
# name = "qwenimage21-vae"
# description = "RGBA autoencoder of Qwen-Image 2.1, alpha opaque, f16, 64 channels, 338 M parameters"
# stride = 16
# tokens = 256
# source = "https://huggingface.co/Qwen/Qwen-Image-2.1"
# channels = 64
# options.class = "AutoencoderKLQwenImage21"
# options.alpha = true
# [[tool.tokbench.tokenizers.weights]]
# name = "qwenimage21-vae"
# source = "hub:Qwen/Qwen-Image-2.1@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "qwenimage21-vae-config"
# source = "hub:Qwen/Qwen-Image-2.1@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "ltx-video-vae"
# description = "causal video autoencoder of LTX-Video 0.9.0 at one frame, f32, 128 channels, 419 M parameters"
# stride = 32
# tokens = 64
# license = "Apache-2.0 AND LicenseRef-LTX-Video-Open-Weights"
# source = "https://huggingface.co/Lightricks/LTX-Video"
# channels = 128
# options.class = "AutoencoderKLLTXVideo"
# [[tool.tokbench.tokenizers.weights]]
# name = "ltx-video-vae"
# source = "hub:Lightricks/LTX-Video@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "ltx-video-vae-config"
# source = "hub:Lightricks/LTX-Video@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "ltx2-vae"
# description = "causal video autoencoder of LTX-2 at one frame, f32, 128 channels, 1.2 B parameters"
# stride = 32
# tokens = 64
# license = "Apache-2.0 AND LicenseRef-LTX-2-Community"
# source = "https://huggingface.co/Lightricks/LTX-2"
# channels = 128
# options.class = "AutoencoderKLLTX2Video"
# options.config = { decoder_causal = false }
# [[tool.tokbench.tokenizers.weights]]
# name = "ltx2-vae"
# source = "hub:Lightricks/LTX-2@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "ltx2-vae-config"
# source = "hub:Lightricks/LTX-2@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "hunyuanvideo-vae"
# description = "causal video autoencoder of HunyuanVideo at one frame, f8, 16 channels, 246 M parameters"
# stride = 8
# tokens = 1024
# license = "Apache-2.0 AND LicenseRef-Tencent-Hunyuan-Community"
# source = "https://huggingface.co/hunyuanvideo-community/HunyuanVideo"
# channels = 16
# options.class = "AutoencoderKLHunyuanVideo"
# [[tool.tokbench.tokenizers.weights]]
# name = "hunyuanvideo-vae"
# source = "hub:hunyuanvideo-community/HunyuanVideo@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "hunyuanvideo-vae-config"
# source = "hub:hunyuanvideo-community/HunyuanVideo@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "hunyuanvideo15-vae"
# description = "causal video autoencoder of HunyuanVideo 1.5 at one frame, f16, 32 channels, 1.3 B parameters"
# stride = 16
# tokens = 256
# license = "Apache-2.0 AND LicenseRef-Tencent-Hunyuan-Community"
# source = "https://huggingface.co/hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v"
# channels = 32
# options.class = "AutoencoderKLHunyuanVideo15"
# options.one_by_one = true
# [[tool.tokbench.tokenizers.weights]]
# name = "hunyuanvideo15-vae"
# source = "hub:hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "hunyuanvideo15-vae-config"
# source = "hub:hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "hunyuanimage21-refiner-vae"
# description = "autoencoder of the refiner of HunyuanImage 2.1, f16, 32 channels, 1.3 B parameters"
# stride = 16
# tokens = 256
# license = "Apache-2.0 AND LicenseRef-Tencent-Hunyuan-Community"
# source = "https://huggingface.co/hunyuanvideo-community/HunyuanImage-2.1-Refiner-Diffusers"
# channels = 32
# options.class = "AutoencoderKLHunyuanImageRefiner"
# [[tool.tokbench.tokenizers.weights]]
# name = "hunyuanimage21-refiner-vae"
# source = "hub:hunyuanvideo-community/HunyuanImage-2.1-Refiner-Diffusers@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "hunyuanimage21-refiner-vae-config"
# source = "hub:hunyuanvideo-community/HunyuanImage-2.1-Refiner-Diffusers@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "cogvideox-vae"
# description = "causal video autoencoder of CogVideoX 2B at one frame, f8, 16 channels, 216 M parameters"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/THUDM/CogVideoX-2b"
# channels = 16
# options.class = "AutoencoderKLCogVideoX"
# [[tool.tokbench.tokenizers.weights]]
# name = "cogvideox-vae"
# source = "hub:THUDM/CogVideoX-2b@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "cogvideox-vae-config"
# source = "hub:THUDM/CogVideoX-2b@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "mochi-vae"
# description = "causal video autoencoder of Mochi 1 at one frame, f8, 12 channels, 460 M parameters"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/genmo/mochi-1-preview"
# channels = 12
# options.class = "AutoencoderKLMochi"
# [[tool.tokbench.tokenizers.weights]]
# name = "mochi-vae"
# source = "hub:genmo/mochi-1-preview@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "mochi-vae-config"
# source = "hub:genmo/mochi-1-preview@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "allegro-vae"
# description = "video autoencoder of Allegro on 24 copies of the picture, f8, 4 channels × 6 frames"
# resolution = 320
# stride = 320
# tokens = 9600
# source = "https://huggingface.co/rhymes-ai/Allegro"
# any_size = false
# channels = 4
# options.class = "AutoencoderKLAllegro"
# options.frames = 24
# options.frames_first = true
# options.tiling = true
# options.one_by_one = true
# [[tool.tokbench.tokenizers.weights]]
# name = "allegro-vae"
# source = "hub:rhymes-ai/Allegro@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "allegro-vae-config"
# source = "hub:rhymes-ai/Allegro@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "easyanimate-vae"
# description = "MAGVIT-like video autoencoder of EasyAnimate 5.1 at one frame, f8, 16 channels"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/alibaba-pai/EasyAnimateV5.1-12b-zh"
# channels = 16
# options.class = "AutoencoderKLMagvit"
# [[tool.tokbench.tokenizers.weights]]
# name = "easyanimate-vae"
# source = "hub:alibaba-pai/EasyAnimateV5.1-12b-zh@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "easyanimate-vae-config"
# source = "hub:alibaba-pai/EasyAnimateV5.1-12b-zh@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "cosmos-cv8x8x8"
# description = "continuous video tokenizer Cosmos 1.0 CV8×8×8 at one frame, f8, 16 channels"
# stride = 8
# tokens = 1024
# license = "Apache-2.0 AND LicenseRef-NVIDIA-Open-Model"
# source = "https://huggingface.co/nvidia/Cosmos-1.0-Tokenizer-CV8x8x8"
# channels = 16
# options.class = "AutoencoderKLCosmos"
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-cv8x8x8"
# source = "hub:nvidia/Cosmos-1.0-Tokenizer-CV8x8x8@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-cv8x8x8-config"
# source = "hub:nvidia/Cosmos-1.0-Tokenizer-CV8x8x8@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# # unchecked: licence of the weights
# name = "kvae-3d"
# description = "KVAE 3D 1.0 of Kandinsky Lab at one frame, f8, 16 channels"
# stride = 8
# tokens = 1024
# license = "Apache-2.0 AND MIT"
# source = "https://huggingface.co/kandinskylab/KVAE-3D-1.0"
# channels = 16
# options.class = "AutoencoderKLKVAEVideo"
# [[tool.tokbench.tokenizers.weights]]
# name = "kvae-3d"
# source = "hub:kandinskylab/KVAE-3D-1.0@main/diffusers/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "kvae-3d-config"
# source = "hub:kandinskylab/KVAE-3D-1.0@main/diffusers/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# # unchecked: licence of the weights, and whether they lie in one file or in several
# name = "minimax-h3-vae"
# description = "video autoencoder of MiniMax-H3 on 22 copies of the picture, f16, 24 channels × 7 frames, 2.6 B"
# stride = 16
# tokens = 1792
# license = "Apache-2.0 AND LicenseRef-MiniMax-H3"
# source = "https://huggingface.co/MiniMaxAI/MiniMax-H3"
# channels = 24
# options.class = "AutoencoderKLMiniMaxH3"
# options.frames = 22
# [[tool.tokbench.tokenizers.weights]]
# name = "minimax-h3-vae"
# source = "hub:MiniMaxAI/MiniMax-H3@main/vae/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "minimax-h3-vae-config"
# source = "hub:MiniMaxAI/MiniMax-H3@main/vae/config.json"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# # unchecked: licence of the weights. Made for levels / 128 - 1, as its pipeline scales them: white is 127 / 128
# name = "kandinsky6-sr-vae"
# description = "causal video autoencoder of Kandinsky 6 SR at one frame, f16, 64 channels, 1.7 B parameters"
# stride = 16
# tokens = 256
# license = "Apache-2.0 AND MIT"
# source = "https://huggingface.co/kandinskylab/Kandinsky-6.0-VSR-distilled2steps-5s-Diffusers"
# channels = 64
# options.class = "Kandinsky6SRVAE"
# options.white = 0.9921875
# [[tool.tokbench.tokenizers.weights]]
# name = "kandinsky6-sr-vae"
# source = "hub:kandinskylab/Kandinsky-6.0-VSR-distilled2steps-5s-Diffusers@main/vae/diffusion_pytorch_model.safetensors"  # noqa: E501
# [[tool.tokbench.tokenizers.weights]]
# name = "kandinsky6-sr-vae-config"
# source = "hub:kandinskylab/Kandinsky-6.0-VSR-distilled2steps-5s-Diffusers@main/vae/config.json"
# optional = true
# ///
"""Video autoencoders on a still picture, through diffusers: the mode of the posterior of one frame.

Latents are ``[n, channels, h / f, w / f]``, the frame axis dropped; `allegro-vae` and `minimax-h3-vae` cannot decode a
single frame, so the picture is repeated, the first frame is what counts, and all latent frames are kept and paid for:
``[n, channels, frames, h / f, w / f]``. Allegro works by tiles of 320 pixels only. Any other takes every multiple of f;
256 is where tokens are counted. Latents are not scaled: that serves the diffusion model. Where a repository has a
``config.json``, its values win over those above, which are the library's defaults where nothing is stated.
``main`` stands where no revision could be looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from tokbench.nn.library import LatentTokenizer, diffusers_model

if TYPE_CHECKING:
    from tokbench.tokenizer import Tokenizer, TokenSpec


class Still:
    """How a video network is called with pictures.

    Args:
        spec: ``options`` may ask for ``frames`` copies of the picture, an opaque ``alpha`` channel, ``tiling``, one
            picture a call (``one_by_one``), or say that decoded frames come before channels (``frames_first``).
        network: on its device, in evaluation mode.
    """

    def __init__(self, spec: TokenSpec, network: Any) -> None:
        self._frames: int = spec.options.get("frames", 1)
        self._alpha: bool = spec.options.get("alpha", False)
        self._one_by_one: bool = spec.options.get("one_by_one", False)
        self._frame_axis = 1 if spec.options.get("frames_first", False) else 2
        self._network = network
        if spec.options.get("tiling", False):
            network.enable_tiling()

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return latents ``[n, channels, h / f, w / f]``, with an axis of frames when there are several."""
        if self._alpha:
            pixels = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)
        video = pixels.unsqueeze(2).expand(-1, -1, self._frames, -1, -1)
        latents = torch.cat([self._network.encode(part).latent_dist.mode() for part in self._parts(video)])
        return latents.squeeze(2)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the first frame, ``[n, 3, h, w]``."""
        video = latents.unsqueeze(2) if latents.ndim == 4 else latents
        frames = [self._network.decode(part).sample for part in self._parts(video)]
        return torch.cat(frames).select(self._frame_axis, 0)[:, :3]

    def _parts(self, videos: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return videos.split(1 if self._one_by_one else max(len(videos), 1))


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build the class that the variant names."""
    return diffusers_model(spec)


def wrap(spec: TokenSpec, network: Any) -> Tokenizer:
    """Make a tokenizer of it; ``options.white`` is what white pixels are to the network, 1 unless stated."""
    still = Still(spec, network)
    return LatentTokenizer(
        spec=spec,
        network=network,
        forth=still.encode,
        back=still.decode,
        range=(-1.0, spec.options.get("white", 1.0)),
    )
