# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# families = ["taef2"]
# license = "MIT"
# source = "https://github.com/madebyollin/taesd"
# revision = "5cccb12dc72074a4be35680c3b108548a7c69978"
# kind = "continuous"
# resolution = 256
# any_size = true
#
# [[tool.tokbench.tokenizers]]
# name = "taef2"
# channels = 32
# verified = ["real", "contract"]
# description = "tiny autoencoder of FLUX.2's latents: f8, 32 channels, 2.7 M parameters"
# tokens = 1024
# stride = 8
# options = { config = { latent_channels = 32, arch_variant = "flux_2" } }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taef2-encoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taef2_encoder.pth"
# sha256 = "10a4e1021e89d7551eaf161352da8dbd0b1aa83872ae28b150c1df1ce2f147b6"
# size = 2704692
# license = "MIT"
# prefix = "encoder."
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taef2-decoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taef2_decoder.pth"
# sha256 = "0a44a31e1ae59eb9dbf9359d24942fd3ef5928162c1800d97a28c61d51be0ab5"
# size = 2704756
# license = "MIT"
# prefix = "decoder."
#
# [[tool.tokbench.tokenizers]]
# name = "taesana"
# channels = 32
# verified = ["contract"]
# description = "tiny autoencoder of Sana's DC-AE latents: f32, 32 channels"
# tokens = 64
# stride = 32
# options = { config = { latent_channels = 32, arch_variant = "f32" } }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taesana-encoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taesana_encoder.pth"
# sha256 = "858f4e4cc293f88efaf58107f4154b960b9ced0cb5d9c050dad11f926b618c1f"
# size = 2537004
# license = "MIT"
# prefix = "encoder."
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taesana-decoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taesana_decoder.pth"
# license = "MIT"
# prefix = "decoder."
# ///
"""Two of the TAESD family that no library has: the tiny autoencoders of FLUX.2's and of Sana's latents.

Latents are float32 ``[n, 32, h / f, w / f]``. The others of the family fit diffusers (`adapters/taesd.py`); these
differ by blocks that pool with a group norm (FLUX.2) and by a stride of 32 (Sana). Images are in [0, 1] throughout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 64


class _Block(nn.Module):
    """Three convolutions around a shortcut; `pooled` adds a wide group-normed 1×1 branch before them."""

    def __init__(self, width: int, *, pooled: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width)
        )
        self.pool: nn.Sequential | None = None
        if pooled:
            self.pool = nn.Sequential(
                nn.Conv2d(width, 4 * width, 1, bias=False),
                nn.GroupNorm(4, 4 * width),
                nn.ReLU(),
                nn.Conv2d(4 * width, width, 1, bias=False),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _SoftClamp(nn.Module):
    """Latents beyond ±3 are bent back, as in training."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x / 3) * 3


class _Autoencoder(nn.Module):
    def __init__(self, channels: int, variant: str) -> None:
        super().__init__()
        wide = variant == "f32"
        pooled = variant == "flux_2"
        self.encoder = nn.Sequential(*(_encoder_f32(channels) if wide else _encoder(channels, pooled)))
        self.decoder = nn.Sequential(
            *_decoder(channels, (256, 128, 64, 64, 64) if wide else (64,) * 3, pooled)
        )


class Taef2:
    """Latents are float32 ``[n, 32, h / f, w / f]``.

    Args:
        spec: what the header says.
        network: on its device, in evaluation mode.
    """

    def __init__(self, spec: TokenSpec, network: _Autoencoder) -> None:
        self.spec = spec
        self._network = network
        self._dtype = next(network.parameters()).dtype

    def encode(self, images: torch.Tensor) -> Codes:
        """Return the latents as the encoder gives them."""
        return Codes(latents=self._network.encoder(images.to(self._dtype)))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Rebuild the images."""
        assert codes.latents is not None
        latents = codes.latents.to(next(self._network.parameters()).device, self._dtype)
        images: torch.Tensor = self._network.decoder(latents)
        return images.float()


def architecture(spec: TokenSpec) -> nn.Module:
    """Build both networks."""
    config = spec.options["config"]
    return _Autoencoder(config["latent_channels"], config["arch_variant"])


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of them."""
    assert isinstance(network, _Autoencoder)
    return Taef2(spec, network)


def _conv(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)


def _blocks(count: int, width: int, *, pooled: bool = False) -> Iterator[nn.Module]:
    return (_Block(width, pooled=pooled) for _ in range(count))


def _encoder(channels: int, pooled: bool) -> Iterator[nn.Module]:
    yield _conv(3, _WIDTH)
    yield from _blocks(1, _WIDTH)
    for lowest in (False, False, True):
        yield _conv(_WIDTH, _WIDTH, stride=2, bias=False)
        yield from _blocks(3, _WIDTH, pooled=pooled and lowest)
    yield _conv(_WIDTH, channels)


def _encoder_f32(channels: int) -> Iterator[nn.Module]:
    yield from (_conv(3, _WIDTH // 2, stride=2), nn.ReLU(), _conv(_WIDTH // 2, _WIDTH, stride=2), nn.ReLU())
    yield from _blocks(1, _WIDTH)
    for _ in range(3):
        yield _conv(_WIDTH, _WIDTH, stride=2, bias=False)
        yield from _blocks(3, _WIDTH)
    yield _conv(_WIDTH, channels)


def _decoder(channels: int, widths: tuple[int, ...], pooled: bool) -> Iterator[nn.Module]:
    yield from (_SoftClamp(), _conv(channels, widths[0]), nn.ReLU())
    for level, width in enumerate(widths):
        yield from _blocks(3, width, pooled=pooled and level == 0)
        yield nn.Upsample(scale_factor=2)
        yield _conv(width, (*widths, _WIDTH)[level + 1], bias=False)
    yield from _blocks(1, _WIDTH)
    yield _conv(_WIDTH, 3)
