"""Lookup-free tokenizers on the autoencoder of `lfq_cnn`: Open-MAGVIT2 and, with several ids a position, WeTok."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from tokbench.nn.binary import BinaryQuantizer
from tokbench.nn.lfq_cnn import Decoder, Encoder, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping


class LookupFree(nn.Module):
    """Encoder, signs, decoder.

    Args:
        config: the publishers' settings: ``ddconfig``, ``num_codebooks`` (ids a position, 1), ``gan_decoder`` (noise
            at the decoder, False), ``_norm_num_groups`` (32).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        shape = Shape.of(config["ddconfig"], config.get("_norm_num_groups", 32))
        groups = config.get("num_codebooks", 1)
        self.encoder = Encoder(shape)
        self.quantize = BinaryQuantizer(shape.latent // groups, groups=groups)
        self.decoder = Decoder(shape, noise=config.get("gan_decoder", False))

    def features(self, images: Tensor) -> Tensor:
        """Return what is quantised, ``[n, channels, h / f, w / f]``, of images ``[n, 3, h, w]`` in [0, 1]."""
        features: Tensor = self.encoder(images * 2 - 1)
        return features

    def pixels(self, vectors: Tensor) -> Tensor:
        """Return images in [0, 1], not clamped, of signs ``[n, channels, h / f, w / f]``."""
        images: Tensor = self.decoder(vectors)
        return (images + 1) / 2


def outputs(network: LookupFree, images: Tensor) -> dict[str, Tensor]:
    """Compute what golden cases record, for images in [-1, 1]; ``tokens`` are ``[n, h * w, ids a position]``."""
    features = network.encoder(images)
    ids = network.quantize.ids(features)
    quantized = network.quantize.lookup(ids)
    return {
        "pre_quant": features,
        "tokens": ids.reshape(len(ids), network.quantize.groups, -1).transpose(1, 2),
        "quantized": quantized,
        "decoded": network.decoder(quantized),
    }
