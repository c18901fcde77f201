"""The transformer autoencoder of BSQ-ViT and binary spherical quantisation (Zhao et al., arXiv 2406.07548).

Each square patch is one position. Its latent vector, scaled to length 1, is replaced by the corner of the cube on the
unit sphere that lies in the same orthant; an id is the number the signs spell, channel 0 the highest bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tokbench.errors import SetupError
from tokbench.nn.binary import BinaryQuantizer
from tokbench.nn.transformer import ResidualAttentionBlock

if TYPE_CHECKING:
    from collections.abc import Mapping

_FFN_OUTPUT = 3072


class _Blocks(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(
            *(
                ResidualAttentionBlock(
                    config["width"], config["heads"], config["mlp_ratio"], config.get("ls_init_value")
                )
                for _ in range(config["layers"])
            )
        )


class _Transformer(nn.Module):
    """What encoder and decoder share: learned positions, layer norms and blocks.

    Args:
        config: the publishers' ``vitconfig``.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        for key, value, only in (("mask_type", "none", "no mask"), ("num_frames", 1, "single images")):
            if config.get(key, value) != value:
                raise SetupError(
                    f"BSQ-ViT with {key} = {config[key]!r} is not supported", hint=f"only {only} is"
                )
        self.patch = _pair(config["patch_size"])
        self.grid = tuple(
            side // part for side, part in zip(_pair(config["image_size"]), self.patch, strict=True)
        )
        width = config["width"]
        before = config.get("ln_pre", True)
        self.positional_embedding = nn.Parameter(torch.empty(self.grid[0] * self.grid[1], width))
        nn.init.normal_(self.positional_embedding, std=0.02)
        self.ln_pre = nn.LayerNorm(width) if before else nn.Identity()
        self.transformer = _Blocks(config)

    def inner(self, x: Tensor) -> Tensor:
        """Run ``[n, positions, width]`` through everything but the last layer norm."""
        mixed: Tensor = self.transformer.resblocks(self.ln_pre(x + self.positional_embedding))
        return mixed

    @property
    def patch_values(self) -> int:
        """Numbers in one patch of an image."""
        return 3 * self.patch[0] * self.patch[1]


class Encoder(_Transformer):
    """Image ``[n, 3, h, w]`` in [-1, 1], of the configured size, to ``[n, positions, width]``."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        width = config["width"]
        self.conv1 = nn.Linear(self.patch_values, width, bias=not config.get("ln_pre", True))
        self.ln_post = nn.LayerNorm(width)

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        n = len(images)
        (rows, columns), (height, width) = self.grid, self.patch
        patches = images.reshape(n, 3, rows, height, columns, width).permute(0, 2, 4, 1, 3, 5)
        features: Tensor = self.ln_post(self.inner(self.conv1(patches.reshape(n, rows * columns, -1))))
        return features


class Decoder(_Transformer):
    """``[n, positions, width]`` to an image ``[n, 3, h, w]`` in [-1, 1], not clamped."""

    def __init__(self, config: Mapping[str, Any], *, logit_laplace: bool) -> None:
        super().__init__(config)
        width = config["width"]
        self.ln_post = nn.LayerNorm(width) if config.get("ln_post", True) else nn.Identity()
        last = width
        self.ffn: nn.Module = nn.Identity()
        if config.get("use_ffn_output", True):
            last = config.get("dim_ffn_output", _FFN_OUTPUT)
            self.ffn = nn.Sequential(nn.Linear(width, last), nn.Tanh())
        self.channels = 6 if logit_laplace else 3
        self.conv_out = nn.Linear(last, self.patch_values * self.channels // 3)

    def forward(self, x: Tensor) -> Tensor:
        """Decode."""
        values = self.conv_out(self.ffn(self.ln_post(self.inner(x))))
        n = len(values)
        (rows, columns), (height, width) = self.grid, self.patch
        patches = values.reshape(n, rows, columns, self.channels, height, width).permute(0, 3, 1, 4, 2, 5)
        images: Tensor = patches.reshape(n, self.channels, rows * height, columns * width)
        return images


class BSQViT(nn.Module):
    """Encoder, quantiser and decoder.

    Args:
        config: the publishers' settings: ``embed_dim`` (bits), ``vitconfig``, ``dvitconfig`` (the decoder's, when it
            differs), ``l2_norm``, ``post_q_l2_norm``, ``logit_laplace``.

    Raises:
        SetupError: a setting for video.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        encoder, decoder = config["vitconfig"], config.get("dvitconfig") or config["vitconfig"]
        bits = config["embed_dim"]
        self.encoder = Encoder(encoder)
        self.decoder = Decoder(decoder, logit_laplace=config.get("logit_laplace", False))
        self.quant_embed = nn.Linear(encoder["width"], bits)
        self.quantize = BinaryQuantizer(
            bits,
            first="highest",
            normalise=config.get("l2_norm", False),
            scale=bits**-0.5 if config.get("post_q_l2_norm", False) else 1.0,
        )
        self.post_quant_embed = nn.Linear(bits, decoder["width"])

    def features(self, images: Tensor) -> Tensor:
        """Return what is quantised, ``[n, bits, positions]``, of images ``[n, 3, h, w]`` in [0, 1]."""
        features: Tensor = self.quant_embed(self.encoder(images * 2 - 1))
        return features.transpose(1, 2)

    def pixels(self, vectors: Tensor) -> Tensor:
        """Return images in [0, 1], not clamped, of corners ``[n, bits, positions]``."""
        images: Tensor = self.decoder(self.post_quant_embed(vectors.transpose(1, 2)))
        return (images + 1) / 2


def _pair(value: int | list[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
