# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "vq"
# capabilities = ["codebook", "encoder-features"]
# any_size = true
# resolution = 32
# license = "MIT"
# verified = ["contract", "tests"]
#
# [[tool.tokbench.tokenizers]]
# # unchecked: repository and licence
# name = "imagegpt-colours"
# description = "the 512 colours of ImageGPT at 32×32: one id a pixel, nothing is learned around them"
# tokens = 1024
# vocab = 512
# source = "https://huggingface.co/openai/imagegpt-small"
# [[tool.tokbench.tokenizers.weights]]
# name = "imagegpt-colours"
# source = "hub:openai/imagegpt-small@main/preprocessor_config.json"
# ///
"""ImageGPT's palette (Chen et al., 2020): each pixel becomes the nearest of 512 colours found by k-means.

Ids are ``[n, h, w]``: 1024 at the 32 × 32 it was made for, where the harness, not the adapter, makes the picture small.
Its settings file holds the colours in [-1, 1], under ``clusters``.
"""

from __future__ import annotations

import torch

from tokbench.errors import SetupError
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec


class Palette(torch.nn.Module):
    """Colours in [-1, 1], ``[512, 3]``."""

    clusters: torch.Tensor

    def __init__(self, colours: int) -> None:
        super().__init__()
        self.register_buffer("clusters", torch.rand(colours, 3) * 2 - 1)


class PaletteTokenizer:
    """Ids are int64 ``[n, h, w]``.

    Args:
        spec: what the header says.
        palette: on its device.
    """

    def __init__(self, spec: TokenSpec, palette: Palette) -> None:
        self.spec = spec
        self._colours = palette.clusters.float()

    def encode(self, images: torch.Tensor) -> Codes:
        """Find the nearest colour of each pixel."""
        pixels = self.encoder_features(images)
        # argmin |x - c|² = argmin |c|² - 2 x·c, without the pixels' own length
        distance = self._colours.square().sum(dim=1) - 2 * pixels @ self._colours.T
        return Codes(ids=distance.argmin(dim=-1))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Look the colours up."""
        assert codes.ids is not None
        return (self._colours[codes.ids.to(self._colours.device)].movedim(-1, 1) + 1) / 2

    def codebook(self) -> torch.Tensor:
        """Return the colours in [-1, 1], ``[512, 3]``."""
        return self._colours

    def encoder_features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the pixels in [-1, 1], ``[n, h, w, 3]``."""
        return images.movedim(1, -1).float() * 2 - 1


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build a palette of random colours."""
    assert spec.vocab is not None
    return Palette(spec.vocab)


def convert(state: dict[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Take the colours from the settings; there is no other file.

    Raises:
        SetupError: the settings hold none.
    """
    clusters = spec.options["config"].get("clusters")
    if clusters is None:
        raise SetupError(
            f"settings of `{spec.name}` hold no `clusters`",
            hint="the preprocessor_config.json of openai/imagegpt-small has them",
        )
    return {"clusters": torch.tensor(clusters, dtype=torch.float32)}


def wrap(spec: TokenSpec, network: torch.nn.Module) -> Tokenizer:
    """Make a tokenizer of it."""
    assert isinstance(network, Palette)
    return PaletteTokenizer(spec, network)
