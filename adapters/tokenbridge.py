# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# families = ["tokenbridge"]
# license = "MIT"
# source = "https://github.com/YuqingWang1029/TokenBridge"
# revision = "3ede2818251c7b47427c470e07da9409afd66f71"
# any_size = true
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "tokenbridge"
# verified = ["golden", "keys", "contract"]
# description = "MAR's KL-16 with each of 16 channels rounded to one of 64 levels: 4096 ids of 6 bits"
# kind = "discrete"
# vocab = 64
# codebooks = 16
# quantizer = "product"
# tokens = 256
# resolution = 256
# stride = 16
# trained_on = ["imagenet-train"]
# capabilities = ["codebook"]
# [tool.tokbench.tokenizers.options]
# latent_scale = 0.2325
# [tool.tokbench.tokenizers.options.config]
# embed_dim = 16
# ch_mult = [1, 1, 2, 2, 4]
# quant_bits = 6
# quant_min = -5.0
# quant_max = 5.0
# std_range = 3.0
#
# [[tool.tokbench.tokenizers.weights]]
# name = "mar-kl16"
# source = "https://www.dropbox.com/scl/fi/hhmuvaiacrarfg28qxhwz/kl16.ckpt?rlkey=l44xipsezc8atcffdp4q7mwmh&dl=1"
# license = "MIT"
# inside = "model"
# ///
"""TokenBridge (Wang et al., arXiv 2503.16430): the continuous latents of MAR's KL-16, rounded after training.

Every channel of a latent is an id of its own. The levels are the means of a normal variable between its quantiles of
equal probability, cut at ±``std_range``; ``[quant_min, quant_max]`` of the latents is mapped onto that range. The
authors scale the latents by 0.2325 first (``options.latent_scale``) and draw them from the posterior in their script;
here they are its mean. Other numbers of bits are another ``quant_bits`` and ``vocab``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tokbench.nn.autoencoders import Coder, latent_outputs, moments
from tokbench.nn.taming import ConvAutoencoder, mar_layout, signed_golden
from tokbench.nn.taming_names import own_parts, to_diffusers
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_EMPTY_CELL = 1e-10  # the authors' probability of a cell whose bounds were cut to the same value


class NormalLevels(nn.Module):
    """Levels of a normal variable for every latent value.

    Args:
        bits: 2 to this power levels.
        low: latent value that stands for ``-std_range``.
        high: latent value that stands for ``std_range``.
        std_range: standard deviations within which levels lie.
        scale: latents are multiplied by this first.
    """

    def __init__(self, bits: int, low: float, high: float, std_range: float, scale: float) -> None:
        super().__init__()
        # Not buffers: those would be rounded to the type of the network.
        self.boundaries, self.means = _levels(bits, std_range)
        self._low, self._span, self._std_range, self._scale = low, high - low, std_range, scale

    def ids(self, latents: torch.Tensor) -> torch.Tensor:
        """Find the nearest level of each value, int64 of the same shape; the first of equals."""
        spread = 2 * self._std_range
        standard = (latents.float() * self._scale - self._low) / self._span * spread - self._std_range
        standard = standard.clamp(-self._std_range, self._std_range)
        means = self.means.to(latents.device)
        return torch.cat([(one.unsqueeze(-1) - means).abs().argmin(dim=-1) for one in standard.split(1)])

    def levels(self) -> torch.Tensor:
        """Return the latent value of each id, float32 ``[2 ** bits]``."""
        standard = (self.means + self._std_range) / (2 * self._std_range)
        return (standard * self._span + self._low) / self._scale


def _levels(bits: int, std_range: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cells' bounds ``[2 ** bits + 1]`` and means ``[2 ** bits]`` of a standard normal variable."""
    shares = torch.linspace(0, 1, 2**bits + 1)
    bounds = torch.special.ndtri(shares.double()).float().clamp(-std_range, std_range)
    density = torch.exp(-0.5 * bounds**2) / math.sqrt(2 * math.pi)
    probability = (0.5 * (1 + torch.erf(bounds / math.sqrt(2)))).diff()
    probability = torch.where(probability == 0, torch.full_like(probability, _EMPTY_CELL), probability)
    return bounds, -density.diff() / probability


class TokenBridgeTokenizer(Coder):
    """Ids are int64 ``[n, channels, h / 16, w / 16]``."""

    def encode(self, images: torch.Tensor) -> Codes:
        """Round the mean of the posterior."""
        mean, _ = moments(self._features(images))
        return Codes(ids=self._network.quantize.ids(mean))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Rebuild the images from the levels."""
        assert codes.ids is not None
        return self._pixels(self._network.quantize.levels()[codes.ids.to("cpu").long()])

    def codebook(self) -> torch.Tensor:
        """Return the levels, the same for each channel: float32 ``[channels, vocab, 1]``."""
        levels: torch.Tensor = self._network.quantize.levels()
        return levels.view(1, -1, 1).repeat(self._network.layout.embed_dim, 1, 1)


def architecture(spec: TokenSpec) -> ConvAutoencoder:
    """Build MAR's KL-16 and the levels."""
    config: Mapping[str, Any] = spec.options["config"]
    levels = NormalLevels(
        config["quant_bits"],
        config["quant_min"],
        config["quant_max"],
        config["std_range"],
        spec.options.get("latent_scale", 1.0),
    )
    return ConvAutoencoder(mar_layout(config), levels)


def convert(state: Mapping[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Rename."""
    return to_diffusers(own_parts(state))


def wrap(spec: TokenSpec, network: ConvAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    return TokenBridgeTokenizer(spec, network)


def golden(
    spec: TokenSpec, network: ConvAutoencoder, inputs: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Compute what the golden cases record; ``decoded`` is the image of the unrounded mean there."""
    got = signed_golden(latent_outputs, network, inputs["images"])
    levels = network.quantize
    tokens = levels.ids(got["mean"])
    quantized = levels.levels()[tokens]
    return got | {
        "tokens": tokens,
        "quantized": quantized,
        "decoded_from_tokens": network.pixels(quantized) * 2 - 1,
        "reconstruction_values": levels.means,
        "boundaries": levels.boundaries,
    }
