# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# resolution = 256
# license = "Apache-2.0 AND MIT"
# source = "https://github.com/microsoft/VidTok"
# any_size = true
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "vidtok-fsq-488"
# description = "VidTok 1.1 at one frame, FSQ of 8^5 levels, f8, 157 M parameters"
# kind = "discrete"
# vocab = 32768
# quantizer = "fsq"
# capabilities = ["codebook"]
# tokens = 1024
# stride = 8
# options.levels = [8, 8, 8, 8, 8]
# options.class = "AutoencoderVidTok"
# options.config = { z_channels = 5, double_z = false, regularizer = "fsq", codebook_size = 32768 }
# [[tool.tokbench.tokenizers.weights]]
# name = "vidtok-fsq-488"
# source = "hub:microsoft/VidTok@main/checkpoints/vidtok_v1_1/vidtok_fsq_causal_488_32768_v1_1.ckpt"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "vidtok-fsq-888"
# description = "VidTok 1.1 (eightfold in time) at one frame, FSQ of 8^5 levels, f8"
# kind = "discrete"
# vocab = 32768
# quantizer = "fsq"
# capabilities = ["codebook"]
# tokens = 1024
# stride = 8
# options.levels = [8, 8, 8, 8, 8]
# options.class = "AutoencoderVidTok"
# options.config.z_channels = 5
# options.config.double_z = false
# options.config.regularizer = "fsq"
# options.config.codebook_size = 32768
# options.config.tempo_ds = [0, 1, 2]
# options.config.tempo_us = [1, 2, 3]
# [[tool.tokbench.tokenizers.weights]]
# name = "vidtok-fsq-888"
# source = "hub:microsoft/VidTok@main/checkpoints/vidtok_v1_1/vidtok_fsq_causal_888_32768_v1_1.ckpt"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "vidtok-kl-488"
# description = "VidTok 1.1 at one frame, KL, f8, 16 channels"
# kind = "continuous"
# tokens = 1024
# stride = 8
# channels = 16
# options.class = "AutoencoderVidTok"
# options.config = { z_channels = 16 }
# [[tool.tokbench.tokenizers.weights]]
# name = "vidtok-kl-488"
# source = "hub:microsoft/VidTok@main/checkpoints/vidtok_v1_1/vidtok_kl_causal_488_16chn_v1_1.ckpt"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "vidtok-kl-288"
# description = "VidTok 1.1 (twofold in time) at one frame, KL, f8, 8 channels"
# kind = "continuous"
# tokens = 1024
# stride = 8
# channels = 8
# options.class = "AutoencoderVidTok"
# options.config = { z_channels = 8, tempo_ds = [1], tempo_us = [2] }
# [[tool.tokbench.tokenizers.weights]]
# name = "vidtok-kl-288"
# source = "hub:microsoft/VidTok@main/checkpoints/vidtok_v1_1/vidtok_kl_causal_288_8chn_v1_1.ckpt"
# inside = "state_dict"
#
# [[tool.tokbench.tokenizers]]
# name = "vidtok-kl-41616"
# description = "VidTok 1.1 at one frame, KL, f16, 16 channels"
# kind = "continuous"
# tokens = 256
# stride = 16
# channels = 16
# options.class = "AutoencoderVidTok"
# options.config = { ch_mult = [1, 2, 4, 4, 4], z_channels = 16 }
# [[tool.tokbench.tokenizers.weights]]
# name = "vidtok-kl-41616"
# source = "hub:microsoft/VidTok@main/checkpoints/vidtok_v1_1/vidtok_kl_causal_41616_16chn_v1_1.ckpt"
# inside = "state_dict"
# ///
"""VidTok 1.1 (Microsoft) on a still picture, through diffusers.

Ids are ``[n, h / f, w / f]``, latents ``[n, channels, h / f, w / f]`` and the mode of the posterior; any multiple of f
will do. The causal encoder wants one frame less than its factor in time before the first one; the library's `encode`
does not add them, so copies of the picture stand there. Checkpoints of VidTok 1.0 have the very same names and shapes,
load, and give other pictures, because they were trained with zeros there: they are refused, by their file name, the one
thing that tells them apart. The settings are those of the authors' ``configs/vidtok_v1_1``; ``main`` stands where no
revision could be looked up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch

from tokbench.errors import SetupError
from tokbench.nn.library import CodebookTokenizer, LatentTokenizer, diffusers_model

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench.tokenizer import Tokenizer, TokenSpec

_PARTS = ("encoder.", "decoder.", "regularization.")


def accept(path: Path, spec: TokenSpec) -> None:
    """Refuse files of VidTok 1.0.

    Raises:
        SetupError: the file name does not say ``v1_1``.
    """
    if "v1_1" not in path.name:
        raise SetupError(
            f"weights {path} refused: `{spec.name}` is VidTok 1.1, whose files have `v1_1` in their names",
            hint="files of VidTok 1.0 would load and give wrong pictures; if it is 1.1, give it its published name",
        )


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build encoder, quantiser and decoder."""
    config = dict(spec.options["config"])
    if config.get("regularizer") != "fsq":
        return diffusers_model(spec)
    from diffusers.models.autoencoders.autoencoder_vidtok import FSQRegularizer

    # The quantiser has no parameters, but reads its own buffers while it is built, which cannot be on the meta device.
    network: Any = diffusers_model(
        replace(spec, options={**spec.options, "config": {**config, "regularizer": "kl"}})
    )
    with torch.device("cpu"):
        network.regularization = FSQRegularizer(levels=[8] * config["z_channels"])
    network.regularizer = "fsq"
    return cast("torch.nn.Module", network)


def convert(state: dict[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Leave out what served the training: the discriminator and the perceptual network."""
    return {name: value for name, value in state.items() if name.startswith(_PARTS)}


def wrap(spec: TokenSpec, network: Any) -> Tokenizer:
    """Make a tokenizer of it."""

    def padded(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.unsqueeze(2).expand(-1, -1, network.temporal_compression_ratio, -1, -1)

    if spec.kind == "continuous":
        return LatentTokenizer(
            spec=spec,
            network=network,
            forth=lambda pixels: network.encode(padded(pixels)).latent_dist.mode().squeeze(2),
            back=lambda latents: network.decode(latents.unsqueeze(2))[:, :, 0],
        )
    return CodebookTokenizer(
        spec=spec,
        network=network,
        forth=lambda pixels: network.encode(padded(pixels))[1].squeeze(1),
        back=lambda ids: network.decode(ids.unsqueeze(1), decode_from_indices=True)[:, :, 0],
        entries=lambda: network.regularization.implicit_codebook,
    )
