"""Published autoencoders as tokenizers: what is between their encoder and decoder decides which of these wraps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tokbench.errors import ContractError
from tokbench.nn.dtype import floating_dtype
from tokbench.tokenizer import Codes

if TYPE_CHECKING:
    from torch import Tensor

    from tokbench.tokenizer import TokenSpec

_LOWEST_LOG_VARIANCE, _HIGHEST_LOG_VARIANCE = -30.0, 20.0


class Quantizer(Protocol):
    """A bottleneck of ids: `VectorQuantizer`, `BinaryQuantizer`."""

    def prepare(self, vectors: Tensor) -> Tensor:
        """Return ``[n, dim, *positions]`` as they are quantised, float32."""
        ...

    def ids(self, vectors: Tensor) -> Tensor:
        """Quantise ``[n, dim, *positions]``: int64 ``[n, *positions]``."""
        ...

    def lookup(self, ids: Tensor) -> Tensor:
        """Return what the decoder is given for ids ``[n, *positions]``: float32 ``[n, dim, *positions]``."""
        ...


class Coder:
    """Gives a network its own device and type.

    Args:
        spec: what the header says.
        network: on its device, in evaluation mode. Images are in [0, 1] on both sides of it: ``features(images)``
            returns what enters the bottleneck, ``[n, dim, *positions]``; ``pixels(vectors)`` the images of what leaves
            it; ``quantize``, a `Quantizer`, is the bottleneck of a discrete one.
    """

    def __init__(self, spec: TokenSpec, network: Any) -> None:
        self.spec = spec
        self._network = network

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self._network.features(self._cast(images))
        return features

    def _pixels(self, vectors: Tensor) -> Tensor:
        images: Tensor = self._network.pixels(self._cast(vectors))
        return images.float()

    def _cast(self, values: Tensor) -> Tensor:
        return values.to(next(self._network.parameters()).device, floating_dtype(self._network))


class DiscreteTokenizer(Coder):
    """Ids are int64 ``[n, *positions]``."""

    def encode(self, images: Tensor) -> Codes:
        """Encode and quantise."""
        return Codes(ids=self._quantize.ids(self._features(images)))

    def decode(self, codes: Codes) -> Tensor:
        """Rebuild the images from ids alone, not clamped."""
        assert codes.ids is not None
        device = next(self._network.parameters()).device
        return self._pixels(self._quantize.lookup(codes.ids.to(device).long()))

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return what is quantised, float32 ``[n, *positions, dim]``."""
        return self._quantize.prepare(self._features(images)).movedim(1, -1)

    @property
    def _quantize(self) -> Quantizer:
        quantize: Quantizer = self._network.quantize
        return quantize


class CodebookTokenizer(DiscreteTokenizer):
    """Ids name entries of a stored codebook."""

    def codebook(self) -> Tensor:
        """Return the entries as they are searched and decoded, float32 ``[vocab, dim]``."""
        entries: Tensor = self._network.quantize.entries()
        return entries


class PrefixTokenizer(CodebookTokenizer):
    """Ids ``[n, tokens]`` of which any number from the front can be decoded; ``options.lengths`` announces some."""

    def lengths(self) -> tuple[int, ...]:
        """Return the announced lengths."""
        return tuple(self.spec.options["lengths"])

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Return the first `length` ids.

        Raises:
            ContractError: fewer than one, or more than there are.
        """
        assert codes.ids is not None
        if not 1 <= length <= codes.ids.shape[1]:
            raise ContractError(
                f"`{self.spec.name}`: cannot cut {codes.ids.shape[1]} ids to {length}",
                hint=f"lengths go from 1 to {codes.ids.shape[1]}",
            )
        return Codes(ids=codes.ids[:, :length])


class LatentTokenizer(Coder):
    """Latents are ``[n, *positions, dim]``, the mean of the posterior, in the network's type."""

    def encode(self, images: Tensor) -> Codes:
        """Return the mean, never a sample."""
        mean, _ = moments(self._features(images))
        return Codes(latents=mean.movedim(1, -1).contiguous())

    def decode(self, codes: Codes) -> Tensor:
        """Rebuild the images, not clamped."""
        assert codes.latents is not None
        return self._pixels(codes.latents.movedim(-1, 1))


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Split ``[n, 2 dim, *positions]`` into the mean and the bounded logarithm of the variance, ``[n, dim, ...]``."""
    mean, log_variance = features.chunk(2, dim=1)
    return mean, log_variance.clamp(_LOWEST_LOG_VARIANCE, _HIGHEST_LOG_VARIANCE)


def discrete_outputs(network: Any, images: Tensor) -> dict[str, Tensor]:
    """Return what golden cases of discrete tokenizers record, under their names; images as `network` takes them."""
    features = network.features(images)
    tokens = network.quantize.ids(features)
    quantized = network.quantize.lookup(tokens)
    return {
        "pre_quant": features,
        "tokens": tokens,
        "quantized": quantized,
        "decoded": network.pixels(quantized),
    }


def latent_outputs(network: Any, images: Tensor) -> dict[str, Tensor]:
    """Return what golden cases of continuous tokenizers record, under their names; images as `network` takes them."""
    mean, log_variance = moments(network.features(images))
    return {"mean": mean, "logvar": log_variance, "decoded": network.pixels(mean)}
