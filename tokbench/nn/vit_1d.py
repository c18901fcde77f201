"""Blocks of one-dimensional tokenizers: a vision transformer that reads and writes a short sequence of latent tokens.

TiTok (Yu et al., arXiv 2406.07550) appends latent tokens to the patches and keeps nothing but them; its decoder appends
them to a grid of mask tokens and keeps nothing but the grid. Parameter names are those of the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tokbench.errors import ContractError
from tokbench.nn.transformer import ResidualAttentionBlock


@dataclass(frozen=True)
class Size:
    """A transformer's size.

    Attributes:
        width: channels.
        layers: blocks.
        heads: attention heads.
    """

    width: int
    layers: int
    heads: int


class Transformer(nn.Module):
    """What the encoder and the decoder share: a class token, a grid of `side`² positions and latent positions.

    Args:
        size: the transformer's size.
        side: positions along a side of the grid.
        latents: latent tokens.
    """

    def __init__(self, size: Size, side: int, latents: int) -> None:
        super().__init__()
        self.side = side
        self.class_embedding = _embedding(1, size.width)
        self.positional_embedding = _embedding(side**2 + 1, size.width)
        self.latent_token_positional_embedding = _embedding(latents, size.width)
        self.ln_pre = nn.LayerNorm(size.width)
        self.transformer = nn.ModuleList(
            ResidualAttentionBlock(size.width, size.heads) for _ in range(size.layers)
        )
        self.ln_post = nn.LayerNorm(size.width)

    def attend(self, grid: Tensor, latents: Tensor, *more: Tensor) -> Tensor:
        """Run the transformer.

        Args:
            grid: ``[n, side², width]``.
            latents: ``[n, up to all latents, width]``, without their positions.
            more: appended as it is, ``[n, tokens, width]``.

        Returns:
            ``[n, all tokens, width]``: class token, grid, latents and what was appended.
        """
        head = self.class_embedding.expand(len(grid), -1, -1)
        start = torch.cat([head, grid], dim=1) + self.positional_embedding
        latents = latents + self.latent_token_positional_embedding[: latents.shape[1]]
        x: Tensor = self.ln_pre(torch.cat([start, latents, *more], dim=1))
        for block in self.transformer:
            x = block(x)
        return x


class Encoder1d(Transformer):
    """Images ``[n, 3, h, w]`` to ``[n, channels, latents]``.

    Args:
        size: the transformer's size.
        side: patches along a side.
        latents: latent tokens.
        patch: side of a patch in pixels.
        channels: values a latent token.
        scrambled: take ``[latents, width]`` for ``[width, latents]`` before the last projection, without transposing,
            as the first release of TiTok did: each token then mixes channels of several tokens.
    """

    def __init__(
        self, size: Size, side: int, latents: int, *, patch: int, channels: int, scrambled: bool
    ) -> None:
        super().__init__(size, side, latents)
        self.scrambled = scrambled
        self.patch_embed = nn.Conv2d(3, size.width, patch, stride=patch)
        self.conv_out = nn.Conv2d(size.width, channels, 1)

    def forward(self, images: Tensor, latent_tokens: Tensor) -> Tensor:
        """Encode; `latent_tokens` are ``[latents, width]``.

        Raises:
            ContractError: the images have another number of patches than the network.
        """
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)
        if patches.shape[1] != self.side**2:
            height, width = images.shape[2:]
            raise ContractError(
                f"images of {height}×{width} pixels are {patches.shape[1]} patches, wanted {self.side**2}",
                hint="this network has one image size",
            )
        x = self.attend(patches, latent_tokens.expand(len(images), -1, -1))
        x = self.ln_post(x[:, 1 + self.side**2 :])
        x = x.reshape(len(x), x.shape[2], x.shape[1]) if self.scrambled else x.transpose(1, 2)
        features: Tensor = self.conv_out(x[..., None])[..., 0]
        return features


class Decoder1d(Transformer):
    """Vectors ``[n, channels, up to all latents]`` to a grid.

    Args:
        size: the transformer's size.
        side: positions along a side of the grid.
        latents: latent tokens.
        channels: values a latent token.
        text: tokens and channels of the text that is appended, or None.
    """

    def __init__(
        self, size: Size, side: int, latents: int, *, channels: int, text: tuple[int, int] | None = None
    ) -> None:
        super().__init__(size, side, latents)
        self.decoder_embed = nn.Linear(channels, size.width)
        self.mask_token = _embedding(1, 1, size.width)
        if text is not None:
            self.text_guidance_proj = nn.Linear(text[1], size.width)
            self.text_guidance_positional_embedding = _embedding(text[0], size.width)

    def grid(self, vectors: Tensor, text: Tensor | None) -> Tensor:
        """Return ``[n, width, side, side]``; `text` is ``[n, tokens, channels]`` for those that are given any."""
        masks = self.mask_token.expand(len(vectors), self.side**2, -1)
        appended = []
        if text is not None:
            appended.append(self.text_guidance_proj(text) + self.text_guidance_positional_embedding)
        x = self.attend(masks, self.decoder_embed(vectors.transpose(1, 2)), *appended)
        x = self.ln_post(x[:, 1 : 1 + self.side**2])
        grid: Tensor = x.transpose(1, 2).unflatten(2, (self.side, self.side))
        return grid


class PixelDecoder1d(Decoder1d):
    """A decoder whose grid is patches of pixels, smoothed by one convolution across their borders."""

    def __init__(
        self,
        size: Size,
        side: int,
        latents: int,
        *,
        channels: int,
        patch: int,
        text: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(size, side, latents, channels=channels, text=text)
        self.patch = patch
        self.ffn = nn.Sequential(nn.Conv2d(size.width, 3 * patch**2, 1))
        self.conv_out = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, vectors: Tensor, text: Tensor | None = None) -> Tensor:
        """Decode to ``[n, 3, h, w]``."""
        x = self.ffn(self.grid(vectors, text)).unflatten(1, (self.patch, self.patch, 3))
        # [n, row in patch, column in patch, colour, row, column]
        x = x.permute(0, 3, 4, 1, 5, 2).flatten(2, 3).flatten(3, 4)
        images: Tensor = self.conv_out(x)
        return images


class CodeDecoder1d(Decoder1d):
    """A decoder whose grid is the logits of another tokenizer's ids."""

    def __init__(
        self,
        size: Size,
        side: int,
        latents: int,
        *,
        channels: int,
        vocab: int,
        text: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(size, side, latents, channels=channels, text=text)
        self.ffn = nn.Sequential(
            nn.Conv2d(size.width, 2 * size.width, 1), nn.Tanh(), nn.Conv2d(2 * size.width, vocab, 1)
        )

    def forward(self, vectors: Tensor, text: Tensor | None = None) -> Tensor:
        """Decode to ``[n, vocab, side, side]``."""
        logits: Tensor = self.ffn(self.grid(vectors, text))
        return logits


def _embedding(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape) * shape[-1] ** -0.5)
