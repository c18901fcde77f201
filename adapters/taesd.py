# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# license = "MIT"
# source = "https://github.com/madebyollin/taesd"
# revision = "5cccb12dc72074a4be35680c3b108548a7c69978"
# kind = "continuous"
# tokens = 1024
# resolution = 256
# stride = 8
# any_size = true
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "taesd"
# verified = ["library", "contract"]
# channels = 4
# description = "tiny autoencoder of Stable Diffusion's latents: f8, 4 channels, 2.4 M parameters"
# options = { config = { latent_channels = 4 } }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taesd-encoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taesd_encoder.pth"
# license = "MIT"
# prefix = "encoder."
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taesd-decoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taesd_decoder.pth"
# license = "MIT"
# prefix = "decoder."
#
# [[tool.tokbench.tokenizers]]
# name = "taesdxl"
# verified = ["library", "contract"]
# channels = 4
# description = "tiny autoencoder of SDXL's latents: f8, 4 channels, 2.4 M parameters"
# options = { config = { latent_channels = 4 } }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taesdxl-encoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taesdxl_encoder.pth"
# license = "MIT"
# prefix = "encoder."
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taesdxl-decoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taesdxl_decoder.pth"
# license = "MIT"
# prefix = "decoder."
#
# [[tool.tokbench.tokenizers]]
# name = "taesd3"
# verified = ["library", "contract"]
# channels = 16
# description = "tiny autoencoder of Stable Diffusion 3's latents: f8, 16 channels, 2.4 M parameters"
# options = { config = { latent_channels = 16 } }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taesd3-encoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taesd3_encoder.pth"
# license = "MIT"
# prefix = "encoder."
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taesd3-decoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taesd3_decoder.pth"
# license = "MIT"
# prefix = "decoder."
#
# [[tool.tokbench.tokenizers]]
# name = "taef1"
# verified = ["library", "contract"]
# channels = 16
# description = "tiny autoencoder of FLUX.1's latents: f8, 16 channels, 2.4 M parameters"
# options = { config = { latent_channels = 16 } }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taef1-encoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taef1_encoder.pth"
# license = "MIT"
# prefix = "encoder."
#
# [[tool.tokbench.tokenizers.weights]]
# name = "taef1-decoder"
# source = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/taef1_decoder.pth"
# license = "MIT"
# prefix = "decoder."
# ///
"""TAESD and its sisters: tiny autoencoders of the latents of diffusion models, on diffusers' `AutoencoderTiny`.

Latents are ``[n, channels, h / 8, w / 8]`` in the network's dtype. The published decoder begins with its soft clamp of
latents, which diffusers computes without a layer: the numbers of all others are one less there. The published networks
take and give images in [0, 1]; diffusers' class scales from and to [-1, 1].
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffusers import AutoencoderTiny
from torch import Tensor, nn

from tokbench.nn.autoencoders import Coder
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAYER = re.compile(r"(encoder|decoder)\.(\d+)\.(.*)")


class TinyAutoencoder(nn.Module):
    """Both halves of diffusers' class; images are in [0, 1]."""

    def __init__(self, latent_channels: int) -> None:
        super().__init__()
        whole = AutoencoderTiny(latent_channels=latent_channels)
        self.encoder, self.decoder = whole.encoder, whole.decoder

    def features(self, images: Tensor) -> Tensor:
        """Return the latents ``[n, channels, h / 8, w / 8]`` of ``[n, 3, h, w]``."""
        return self.encoder(images * 2 - 1)

    def pixels(self, vectors: Tensor) -> Tensor:
        """Return the images of latents, not clamped."""
        return (self.decoder(vectors) + 1) / 2


class TinyTokenizer(Coder):
    """Latents are ``[n, channels, h / 8, w / 8]``; any size that is a multiple of 8."""

    def encode(self, images: Tensor) -> Codes:
        """Return the latents; there is no posterior."""
        return Codes(latents=self._features(images))

    def decode(self, codes: Codes) -> Tensor:
        """Rebuild the images, not clamped."""
        assert codes.latents is not None
        return self._pixels(codes.latents)


def architecture(spec: TokenSpec) -> TinyAutoencoder:
    """Build the network; all but the channels of its latents is the same in the family."""
    return TinyAutoencoder(spec.options["config"]["latent_channels"])


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Put the numbered layers under ``layers``, the decoder's one place earlier."""
    return {_renamed(name): value for name, value in state.items()}


def _renamed(name: str) -> str:
    match = _LAYER.match(name)
    if match is None:
        return name
    half, index, rest = match.groups()
    return f"{half}.layers.{int(index) - (half == 'decoder')}.{rest}"


def wrap(spec: TokenSpec, network: TinyAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    return TinyTokenizer(spec, network)
