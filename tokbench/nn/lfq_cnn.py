"""The convolutional autoencoder of Open-MAGVIT2 (Luo et al., arXiv 2409.04410) and WeTok (Zhuang et al., 2508.05599).

Residual blocks without attention, a stride-2 convolution between levels of the encoder, depth to space between levels
of the decoder, and before each of its levels a group normalisation whose scale and offset follow the spread and the
mean of the quantised latents over the image. Module names are the publishers', so that their files load as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

_EPSILON = 1e-6


@dataclass(frozen=True)
class Shape:
    """Sizes of an encoder and its decoder.

    Attributes:
        width: channels at full resolution.
        multipliers: channels of each level as multiples of `width`, fine to coarse; each further level halves the side.
        blocks: residual blocks of a level.
        latent: channels of the latents.
        image: channels of the image.
        groups: groups of every normalisation.
    """

    width: int
    multipliers: tuple[int, ...]
    blocks: int
    latent: int
    image: int = 3
    groups: int = 32

    @classmethod
    def of(cls, ddconfig: Mapping[str, Any], groups: int = 32) -> Shape:
        """Read the publishers' ``ddconfig``."""
        return cls(
            width=ddconfig["ch"],
            multipliers=tuple(ddconfig["ch_mult"]),
            blocks=ddconfig["num_res_blocks"],
            latent=ddconfig["z_channels"],
            image=ddconfig.get("in_channels", 3),
            groups=groups,
        )

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each level, fine to coarse."""
        return tuple(self.width * each for each in self.multipliers)


def _norm(shape: Shape, channels: int, *, affine: bool = True) -> nn.GroupNorm:
    return nn.GroupNorm(shape.groups, channels, eps=_EPSILON, affine=affine)


class ResidualBlock(nn.Module):
    """``shortcut(x) + conv(silu(norm(conv(silu(norm(x))))))``, 3×3 without bias."""

    def __init__(self, shape: Shape, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = _norm(shape, inputs)
        self.norm2 = _norm(shape, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.nin_shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, inputs, h, w]`` to ``[n, outputs, h, w]``."""
        inner = self.conv1(F.silu(self.norm1(x)))
        outer: Tensor = self.nin_shortcut(x) + self.conv2(F.silu(self.norm2(inner)))
        return outer


def _blocks(shape: Shape, inputs: int, outputs: int) -> nn.Sequential:
    widths = (inputs, *[outputs] * shape.blocks)
    return nn.Sequential(*(ResidualBlock(shape, *pair) for pair in pairwise(widths)))


class _Down(nn.Module):
    """The blocks of one level, and half the side after them."""

    def __init__(self, shape: Shape, inputs: int, outputs: int, *, halve: bool) -> None:
        super().__init__()
        self.block = _blocks(shape, inputs, outputs)
        self.downsample = nn.Conv2d(outputs, outputs, 3, stride=2, padding=1) if halve else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.downsample(self.block(x))
        return halved


class _Up(nn.Module):
    """The blocks of one level, and double the side after them."""

    def __init__(self, shape: Shape, inputs: int, outputs: int, *, double: bool) -> None:
        super().__init__()
        self.block = _blocks(shape, inputs, outputs)
        self.upsample = _DepthToSpace(outputs) if double else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.upsample(self.block(x))
        return doubled


class _DepthToSpace(nn.Module):
    """Double the side: a 3×3 convolution to four times the channels, the sub-pixel being the slow index."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        n, channels, height, width = x.shape
        # torch's pixel_shuffle reads the sub-pixel as the fast index of the channels.
        x = x.view(n, 4, channels // 4, height, width).transpose(1, 2)
        return F.pixel_shuffle(x.reshape(n, channels, height, width), 2)


class _AdaptiveNorm(nn.Module):
    """Group normalisation; scale and offset are linear in the latents' deviation and mean over the image."""

    def __init__(self, shape: Shape, channels: int) -> None:
        super().__init__()
        self.gn = _norm(shape, channels, affine=False)
        self.gamma = nn.Linear(shape.latent, channels)
        self.beta = nn.Linear(shape.latent, channels)

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        flat = latents.flatten(2)
        scale = self.gamma((flat.var(dim=-1) + _EPSILON).sqrt())
        offset = self.beta(flat.mean(dim=-1))
        normed: Tensor = scale[..., None, None] * self.gn(x) + offset[..., None, None]
        return normed


class Encoder(nn.Module):
    """Image ``[n, 3, h, w]`` in [-1, 1] to latents ``[n, latent, h / f, w / f]``, f being 2 to the levels less one."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels = shape.channels
        self.conv_in = nn.Conv2d(shape.image, shape.width, 3, padding=1, bias=False)
        last = len(channels) - 1
        steps = pairwise((shape.width, *channels))
        self.down = nn.Sequential(*(_Down(shape, *step, halve=i < last) for i, step in enumerate(steps)))
        self.mid_block = _blocks(shape, channels[-1], channels[-1])
        self.norm_out = _norm(shape, channels[-1])
        self.conv_out = nn.Conv2d(channels[-1], shape.latent, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Encode; h and w are multiples of f."""
        x = self.mid_block(self.down(self.conv_in(images)))
        latents: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return latents


class Decoder(nn.Module):
    """Quantised latents ``[n, latent, h, w]`` to an image in [-1, 1], not clamped.

    Args:
        shape: sizes.
        noise: whether as many channels of normal noise join the latents at the start (WeTok's generative decoder).
            It comes from torch's global generator, as the publishers draw it.
    """

    def __init__(self, shape: Shape, *, noise: bool = False) -> None:
        super().__init__()
        channels = shape.channels
        self.noise = noise
        self.conv_in = nn.Conv2d(shape.latent * (2 if noise else 1), channels[-1], 3, padding=1)
        self.mid_block = _blocks(shape, channels[-1], channels[-1])
        inputs = (*channels[1:], channels[-1])
        steps = zip(inputs, channels, strict=True)
        self.up = nn.ModuleList(_Up(shape, *step, double=i > 0) for i, step in enumerate(steps))
        self.adaptive = nn.ModuleList(_AdaptiveNorm(shape, width) for width in inputs)
        self.norm_out = _norm(shape, channels[0])
        self.conv_out = nn.Conv2d(channels[0], shape.image, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """Decode; h and w are 2 or more together, for the deviation over the image needs two values."""
        x = latents
        if self.noise:
            # Not randn_like, which draws in the order of the strides.
            drawn = torch.randn(latents.shape, dtype=latents.dtype, device=latents.device)
            x = torch.cat([latents, drawn], dim=1)
        x = self.mid_block(self.conv_in(x))
        for level, adapt in zip(reversed(self.up), reversed(self.adaptive), strict=True):
            x = level(adapt(x, latents))
        images: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return images
