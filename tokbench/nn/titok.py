"""TiTok, TA-TiTok and One-D-Piece: images as 32 to 256 tokens in a row (arXiv 2406.07550, 2501.07730, 2501.10064).

The first release ("legacy": L-32, B-64, S-128, and all of One-D-Piece) decodes in two stages: the tokens give logits of
the 1024 ids of MaskGIT's VQGAN, their probabilities mix its codebook, and its convolutional decoder paints the image.
Later ones decode to pixels directly. Settings keep the authors' names, so that their files describe a network here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tokbench.errors import SetupError
from tokbench.nn.maskgit_vqgan import ConvConfig, ConvDecoder
from tokbench.nn.quantize import VectorQuantizer
from tokbench.nn.vit_1d import CodeDecoder1d, Encoder1d, PixelDecoder1d, Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokbench.tokenizer import TokenSpec

SIZES = {
    "small": {"width": 512, "num_layers": 8, "num_heads": 8},
    "base": {"width": 768, "num_layers": 12, "num_heads": 12},
    "large": {"width": 1024, "num_layers": 24, "num_heads": 16},
}
"""The published sizes of the transformers."""

PIXEL_DECODER = {
    "hidden_channels": 128,
    "channel_mult": [1, 1, 2, 2, 4],
    "num_resolutions": 5,
    "num_res_blocks": 2,
    "num_channels": 3,
    "z_channels": 256,
}
"""The published settings of the two-stage models' second decoder: MaskGIT's VQGAN."""

PIXEL_CODEBOOK = {"num_embeddings": 1024, "embedding_dim": 256}
"""Its codebook."""

TEXT = (77, 768)
"""Tokens and channels of CLIP ViT-L/14's text tower."""


class TiTok(nn.Module):
    """The network of the whole family.

    Args:
        config: the authors' settings, under their names.
        changed: ``model_size_tables``, ``pixel_decoder`` and ``pixel_codebook`` in place of the published ones.
        legacy: the first release's layout, whatever the settings say; by default they say it.
        text: a decoder that is given text (TA-TiTok).
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        changed: Mapping[str, Any] | None = None,
        *,
        legacy: bool | None = None,
        text: bool = False,
    ) -> None:
        super().__init__()
        settings = config["model"]["vq_model"]
        side = config["dataset"]["preprocessing"]["crop_size"]
        changed = {name: value for name, value in (changed or {}).items() if value is not None}
        sizes = changed.get("model_size_tables", SIZES)
        legacy = settings.get("is_legacy", True) if legacy is None else legacy
        latents, dim = settings["num_latent_tokens"], settings["token_size"]
        self.continuous = settings.get("quantize_mode", "vq") == "vae"
        patch = settings["vit_enc_patch_size"]
        size = _size(sizes[settings["vit_enc_model_size"]])
        self.latent_tokens = nn.Parameter(torch.randn(latents, size.width) * size.width**-0.5)
        self.encoder = Encoder1d(
            size,
            side // patch,
            latents,
            patch=patch,
            channels=2 * dim if self.continuous else dim,
            scrambled=legacy,
        )
        if not self.continuous:
            self.quantize = VectorQuantizer(settings["codebook_size"], dim, normalise=settings["use_l2_norm"])
        self.text = (
            (settings.get("text_context_length", TEXT[0]), settings.get("text_embed_dim", TEXT[1]))
            if text
            else None
        )
        patch = settings["vit_dec_patch_size"]
        size = _size(sizes[settings["vit_dec_model_size"]])
        codebook = changed.get("pixel_codebook", PIXEL_CODEBOOK)
        self.decoder: nn.Module = (
            CodeDecoder1d(
                size,
                side // patch,
                latents,
                channels=dim,
                vocab=codebook["num_embeddings"],
                text=self.text,
            )
            if legacy
            else PixelDecoder1d(size, side // patch, latents, channels=dim, patch=patch, text=self.text)
        )
        # TA-TiTok never runs a second stage: its repository passes the first decoder's output on.
        self.two_stages = bool(settings.get("finetune_decoder", True)) and not text
        if self.two_stages:
            pixel = changed.get("pixel_decoder", PIXEL_DECODER)
            self.pixel_quantize = VectorQuantizer(codebook["num_embeddings"], codebook["embedding_dim"])
            self.pixel_decoder = ConvDecoder(ConvConfig.of(pixel, latent=pixel["z_channels"]))
        self.paints = self.two_stages or not legacy

    def features(self, images: Tensor) -> Tensor:
        """Return what enters the bottleneck, ``[n, dim, latents]``, or ``[n, 2 dim, latents]`` of a posterior."""
        features: Tensor = self.encoder(images, self.latent_tokens)
        return features

    def pixels(self, vectors: Tensor) -> Tensor:
        """Decode ``[n, dim, tokens]`` to images ``[n, 3, h, w]``."""
        return self.painted(vectors)

    def painted(self, vectors: Tensor, text: Tensor | None = None) -> Tensor:
        """Decode ``[n, dim, tokens]``.

        Args:
            vectors: entries or latents; fewer tokens than there are latents is a prefix.
            text: hidden states ``[n, tokens, channels]`` of a caption, for TA-TiTok.

        Returns:
            Images ``[n, 3, h, w]``, nominally in [0, 1]; logits ``[n, vocab, side, side]`` when not `paints`.
        """
        out: Tensor = self.decoder(vectors, text)
        if self.two_stages:
            mixed = torch.einsum("nkhw,kd->ndhw", out.softmax(1), self.pixel_quantize.embedding.weight)
            out = self.pixel_decoder(mixed)
        return out


def in_row(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give vectors ``[n, dim, tokens]`` of golden outputs the authors' shape ``[n, dim, 1, tokens]``."""
    return {name: value.unsqueeze(2) if value.ndim == 3 else value for name, value in outputs.items()}


def need_images(spec: TokenSpec, network: TiTok) -> None:
    """Refuse a network that decodes to logits.

    Raises:
        SetupError: it is the first of two stages alone.
    """
    if not network.paints:
        raise SetupError(
            f"tokenizer `{spec.name}` ends in logits of another tokenizer's ids, not in images",
            hint="its settings say finetune_decoder = false: load the weights of the second stage",
        )


def _size(table: Mapping[str, int]) -> Size:
    return Size(table["width"], table["num_layers"], table["num_heads"])
