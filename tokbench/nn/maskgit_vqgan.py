"""The convolutional autoencoder of MaskGIT (Chang et al., arXiv 2202.04200): a VQGAN without attention.

Two things differ from the VQGAN that it came from: convolutions of the residual blocks have no bias, and where a block
changes the number of channels, its 1×1 shortcut sees the block's *output*, not its input. MaskBit's VQGAN+ (Weber et
al., arXiv 2409.16211) is the same network with strided convolutions instead of average pooling. Parameter names are
those of the PyTorch port in open-muse, which TiTok shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ConvConfig:
    """Sizes of the encoder or the decoder.

    Attributes:
        latent: channels at the bottleneck.
        channels: channels at full resolution.
        multipliers: channels at each level over `channels`, from full resolution down.
        blocks: residual blocks a level and in the middle.
        images: channels of an image.
        groups: groups of the group norms.
        strided: halve the resolution by a convolution, not by averages.
    """

    latent: int = 256
    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    blocks: int = 2
    images: int = 3
    groups: int = 32
    strided: bool = False
    widths: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Compute the channels of each level."""
        object.__setattr__(self, "widths", tuple(self.channels * each for each in self.multipliers))

    @classmethod
    def of(cls, config: Mapping[str, Any], *, latent: int) -> ConvConfig:
        """Read the authors' settings; their names are the same in MaskGIT's ports, TiTok and MaskBit."""
        return cls(
            latent=latent,
            channels=config["hidden_channels"],
            multipliers=tuple(config["channel_mult"][: config["num_resolutions"]]),
            blocks=config["num_res_blocks"],
            images=config["num_channels"],
            groups=config.get("_norm_num_groups", 32),
            strided=config.get("sample_with_conv", False),
        )

    def norm(self, channels: int) -> nn.GroupNorm:
        """Make a group norm."""
        return nn.GroupNorm(self.groups, channels, eps=1e-6)


class ResidualBlock(nn.Module):
    """Two normalised 3×3 convolutions without bias, and a shortcut."""

    def __init__(self, config: ConvConfig, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = config.norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm2 = config.norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        if inputs != outputs:
            self.nin_shortcut = nn.Conv2d(outputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, inputs, h, w]`` to ``[n, outputs, h, w]``."""
        y: Tensor = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        # The published weights were trained with this slip: the projection is of the branch, the input is not added.
        return y + (self.nin_shortcut(y) if hasattr(self, "nin_shortcut") else x)


class StridedConv(nn.Conv2d):
    """A 3×3 convolution of stride 2, padded like TensorFlow's ``SAME``: an even side gets its zeros at the end only."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve ``[n, channels, h, w]``, rounding up."""
        height, width = (side % 2 for side in x.shape[2:])
        return super().forward(F.pad(x, (width, 1, height, 1)))


class Level(nn.Module):
    """The residual blocks of one resolution, and the way to the next one."""

    def __init__(self, config: ConvConfig, inputs: int, outputs: int, step: str) -> None:
        super().__init__()
        self.block = _blocks(config, inputs, outputs)
        self.step = step
        if step == "down" and config.strided:
            self.down_conv = StridedConv(outputs)
        elif step == "up":
            self.upsample_conv = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, inputs, h, w]`` to ``[n, outputs, ...]``, h and w halved, doubled or kept."""
        for block in self.block:
            x = block(x)
        if self.step == "down":
            return self.down_conv(x) if hasattr(self, "down_conv") else F.avg_pool2d(x, 2)
        return self.upsample_conv(F.interpolate(x, scale_factor=2.0)) if self.step == "up" else x


class ConvEncoder(nn.Module):
    """Image ``[n, 3, h, w]`` in [0, 1] to ``[n, latent, h / f, w / f]``; f doubles with each level after the first."""

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = nn.Conv2d(config.images, config.channels, 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            Level(config, inputs, outputs, "down" if level + 1 < len(widths) else "")
            for level, (inputs, outputs) in enumerate(
                zip((config.channels, *widths[:-1]), widths, strict=True)
            )
        )
        self.mid = _blocks(config, widths[-1], widths[-1])
        self.norm_out = config.norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], config.latent, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        x: Tensor = self.conv_in(images)
        for part in (*self.down, *self.mid):
            x = part(x)
        features: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return features


class ConvDecoder(nn.Module):
    """The way back, nominally to [0, 1]; levels are numbered from full resolution down and run from the last one up."""

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = nn.Conv2d(config.latent, widths[-1], 3, padding=1)
        self.mid = _blocks(config, widths[-1], widths[-1])
        self.up = nn.ModuleList(
            Level(config, inputs, outputs, "up" if level else "")
            for level, (inputs, outputs) in enumerate(zip((*widths[1:], widths[-1]), widths, strict=True))
        )
        self.norm_out = config.norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], config.images, 3, padding=1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Decode."""
        x: Tensor = self.conv_in(vectors)
        for part in (*self.mid, *reversed(self.up)):
            x = part(x)
        images: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return images


class ConvVQGAN(nn.Module):
    """Encoder, quantiser and decoder.

    Args:
        encoder: sizes of the encoder.
        decoder: sizes of the decoder.
        quantize: the quantiser.
    """

    def __init__(self, encoder: ConvConfig, decoder: ConvConfig, quantize: nn.Module) -> None:
        super().__init__()
        self.encoder = ConvEncoder(encoder)
        self.decoder = ConvDecoder(decoder)
        self.quantize = quantize

    def features(self, images: Tensor) -> Tensor:
        """Return what is quantised, ``[n, dim, h / f, w / f]``."""
        features: Tensor = self.encoder(images)
        return features

    def pixels(self, vectors: Tensor) -> Tensor:
        """Return the images ``[n, 3, h, w]`` of entries ``[n, dim, h / f, w / f]``."""
        images: Tensor = self.decoder(vectors)
        return images


def _blocks(config: ConvConfig, inputs: int, outputs: int) -> nn.ModuleList:
    return nn.ModuleList(
        ResidualBlock(config, outputs if index else inputs, outputs) for index in range(config.blocks)
    )
