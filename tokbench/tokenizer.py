"""What a visual tokenizer is to tokbench: a spec, `encode`, `decode`, and optional capabilities.

The protocol is structural: an adapter inherits nothing. The harness owns everything around it: reading, resizing,
padding, clamping, rounding to uint8, serialising the codes and counting their bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

Kind = Literal["discrete", "continuous", "codec", "images"]

QUANTIZERS = ("vq", "product", "residual", "lfq", "bsq", "fsq")
"""Kinds of quantiser a spec may state.

``vq``: each id names an entry of its codebook. ``product``: several ids a position, each for a part of the vector (also
called grouped or multi-codebook). ``residual``: several levels that add up, stacked or, for multi-scale codes, in one
sequence. ``lfq``, ``bsq``: the bits of an id are the signs of the vector; no codebook is stored. ``fsq``: an id is a
number of mixed radix whose digits are grid coordinates; the first of ``options.levels`` changes fastest.
"""


VERIFIED = {
    "real": "its published weights ran here and gave the figures published for them",
    "golden": "tokens equal and images within 1e-4 of the authors' own code on small random weights",
    "official": "equal to the authors' own code at full size with random weights",
    "keys": "published parameter names and shapes equal the architecture's",
    "library": "the architecture is a maintained library's class; sizes compared with published parameter counts",
    "contract": "passes `tokbench check` at full size with random weights",
    "tests": "exact by construction, or its weights bring their own program; tested so",
}
"""What `TokenSpec.verified` may state, strongest first."""


@dataclass(frozen=True)
class TokenSpec:
    """What is known of a tokenizer before its weights are loaded.

    Attributes:
        name: the name used on the command line, e.g. ``vq-conv-f8``.
        kind: ``discrete`` (ids from codebooks), ``continuous`` (float latents) or ``codec`` (bytes, or sample values
            that are no codebook entries). ``images`` is kept for reconstructions read from disk, which have no codes.
        vocab: entries of each codebook (ids lie in ``[0, vocab)``); None for bytes and latents.
        codebooks: how many ids share one position; when above 1, `Codes.ids` is ``[n, codebooks, *positions]``.
        tokens: positions of one image at `resolution`, each with `codebooks` ids or `channels` numbers; None when it
            varies.
        resolution: side in pixels the tokenizer was made for; None when it was made for none in particular.
        any_size: whether other sides that are multiples of `stride` work too; always so without a `resolution`.
        stride: image sides must be multiples of this; the protocol pads or refuses.
        description: one line for `tokbench list`.
        license: SPDX expression of code and weights.
        source: where it comes from (URL, paper, repository).
        revision: version of code and weights, part of the result key.
        trained_on: names of image sets it was fitted on, so that evaluation can flag or avoid them.
        capabilities: names of the optional protocols below that it fulfils, so that tasks know before it is built.
        deterministic: False for tokenizers that draw random numbers; those get a seed per image batch.
        options: adapter-specific settings of this variant, from the header; ``fsq`` states its ``levels`` here.
        channels: numbers that one latent position holds, for continuous tokenizers.
        verified: how the adapter was shown to be right, any of `VERIFIED`.
        quantizer: how ids and entries hang together, one of `QUANTIZERS`; "" stands for ``vq`` with one codebook and
            for unknown with several.
    """

    name: str
    kind: Kind
    vocab: int | None = None
    codebooks: int = 1
    tokens: int | None = None
    resolution: int | None = None
    any_size: bool = False
    stride: int = 1
    description: str = ""
    license: str = ""
    source: str = ""
    revision: str = "1"
    trained_on: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    deterministic: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    quantizer: str = ""
    channels: int | None = None
    verified: tuple[str, ...] = ()


@dataclass(frozen=True)
class Codes:
    """What `encode` returns for a batch of n images; exactly one of the three forms is set.

    Attributes:
        ids: integer tensor ``[n, *positions]``, or ``[n, codebooks, *positions]`` when the spec has several codebooks.
        latents: floating tensor ``[n, *shape]``; its dtype decides the bits it costs.
        payloads: n byte strings, for codecs; every byte counts.
    """

    ids: Tensor | None = None
    latents: Tensor | None = None
    payloads: tuple[bytes, ...] | None = None

    def select(self, rows: Sequence[int]) -> Codes:
        """Return the codes of some of the images, by their positions; what is not set stays so."""
        chosen = list(rows)
        return Codes(
            ids=None if self.ids is None else self.ids[chosen],
            latents=None if self.latents is None else self.latents[chosen],
            payloads=None if self.payloads is None else tuple(self.payloads[row] for row in chosen),
        )


@runtime_checkable
class Tokenizer(Protocol):
    """The contract every adapter fulfils."""

    spec: TokenSpec

    def encode(self, images: Tensor) -> Codes:
        """Turn images into codes.

        Args:
            images: float32 ``[n, 3, h, w]`` in [0, 1], on the tokenizer's device, gradients off; h and w are
                multiples of ``spec.stride``.

        Returns:
            Codes of the n images, in order. The same images give the same codes, whatever else is in the batch.
        """
        ...

    def decode(self, codes: Codes) -> Tensor:
        """Turn codes back into images.

        Args:
            codes: what `encode` returned, after a round trip through bytes; nothing else passes between the two.

        Returns:
            Floating ``[n, 3, h, w]``, nominally in [0, 1] (the harness clamps and rounds), of the encoded size.
        """
        ...


@runtime_checkable
class HasCodebook(Protocol):
    """A tokenizer whose ids index vectors: needed to perturb tokens towards their neighbours (pFID)."""

    def codebook(self) -> Tensor:
        """Return the entries, float ``[vocab, dim]``, or ``[codebooks, vocab, dim]`` when there are several."""
        ...


@runtime_checkable
class HasEncoderFeatures(Protocol):
    """A tokenizer that shows what its quantiser was given: needed to anchor perturbations at the encoder's output."""

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return the vectors before quantisation.

        Args:
            images: as for `Tokenizer.encode`.

        Returns:
            Float ``[n, *positions, dim]``, one vector per position of the ids (for several codebooks, what the first
            one is given).
        """
        ...


@runtime_checkable
class VariableLength(Protocol):
    """A tokenizer whose codes can be cut short and still decoded.

    The spec repeats `lengths` under ``options.lengths``, so that tasks know them before it is built.
    """

    def lengths(self) -> tuple[int, ...]:
        """Return the lengths `truncate` accepts, ascending; the last one is the full length."""
        ...

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Return the first `length` of the codes (tokens or quantiser levels), which `decode` accepts."""
        ...


CAPABILITIES: Mapping[str, type] = {
    "codebook": HasCodebook,
    "encoder-features": HasEncoderFeatures,
    "variable-length": VariableLength,
}


def capabilities(tokenizer: object) -> tuple[str, ...]:
    """Return the names of the capabilities that `tokenizer` has, sorted."""
    return tuple(sorted(name for name, kind in CAPABILITIES.items() if isinstance(tokenizer, kind)))
