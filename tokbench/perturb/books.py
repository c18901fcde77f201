"""The codebooks of a tokenizer, whatever its kind of quantiser, as neighbourhoods of ids."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from tokbench.errors import ContractError
from tokbench.tokenizer import HasCodebook

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tokbench.tokenizer import Tokenizer, TokenSpec


class Book(Protocol):
    """One codebook.

    Attributes:
        size: number of entries.
        tie_draws: uniform numbers that one look-up takes to break ties; 0 where ties are broken by index.
    """

    size: int
    tie_draws: int

    def neighbours(self, ids: Tensor, ranks: Tensor, ties: Tensor, delta: int) -> Tensor:
        """Return the neighbours of given ranks of given ids.

        Args:
            ids: int64 ``[n]``.
            ranks: int64 ``[n]`` in [0, delta); 0 is the entry itself.
            ties: float64 ``[n, tie_draws]`` in [0, 1).
            delta: how many neighbours may be asked for, at most `size`.

        Returns:
            int64 ``[n]``.
        """
        ...

    def mean_change(self, delta: int) -> float:
        """Return the mean squared distance to the `delta` nearest, the entry included, over the entries' variance."""
        ...


def quantizer(spec: TokenSpec) -> str:
    """Return the kind of quantiser, "" when a spec with several codebooks does not state it."""
    return spec.quantizer or ("vq" if spec.codebooks == 1 else "")


def unsupported(spec: TokenSpec) -> str:
    """Return why ids of a tokenizer cannot be moved to neighbours, or ""."""
    kind = quantizer(spec)
    if spec.kind != "discrete" or spec.vocab is None:
        return "needs a codebook"
    if kind == "" or (kind == "vq" and spec.codebooks > 1):
        return f"its spec does not state the quantizer of {spec.codebooks} codebooks (product, residual, …)"
    if kind in {"lfq", "bsq"}:
        bits = (spec.vocab - 1).bit_length()
        return (
            ""
            if 1 <= bits <= 62 and spec.vocab == 2**bits
            else f"{kind} with vocab {spec.vocab}, no power of 2"
        )
    if kind == "fsq":
        return _wrong_levels(spec)
    return "" if "codebook" in spec.capabilities else "needs a codebook"


def books_of(
    tokenizer: Tokenizer, *, codebook_norm: bool = False, device: torch.device | None = None
) -> tuple[Book, ...]:
    """Return the codebooks of a tokenizer for which `unsupported` is "", one for each of ``spec.codebooks``.

    Args:
        tokenizer: the tokenizer.
        codebook_norm: scale stored entries to length 1 first.
        device: where the ids will be; by default where the codebook is.

    Raises:
        ContractError: the codebook does not have the shape that the spec states.
    """
    from tokbench.perturb.explicit import ExplicitBook
    from tokbench.perturb.grid import GridBook
    from tokbench.perturb.hamming import HammingBook

    spec = tokenizer.spec
    vocab, kind = spec.vocab or 0, quantizer(spec)
    if kind in {"lfq", "bsq"}:
        return (HammingBook(vocab.bit_length() - 1),) * spec.codebooks
    if kind == "fsq":
        return (GridBook(spec.options["levels"]),) * spec.codebooks
    assert isinstance(tokenizer, HasCodebook)
    entries = tokenizer.codebook().to(device)
    shared = entries.ndim == 2
    wanted = (vocab,) if shared else (spec.codebooks, vocab)
    if entries.ndim not in {2, 3} or tuple(entries.shape[:-1]) != wanted:
        raise ContractError(
            f"tokenizer `{spec.name}`: codebook() returned shape {tuple(entries.shape)}; "
            f"wanted [{vocab}, dim] or [{spec.codebooks}, {vocab}, dim]",
            hint=f"`tokbench check {spec.name}` runs the whole contract on it",
        )
    if shared:
        return (ExplicitBook(entries, normalise=codebook_norm),) * spec.codebooks
    return tuple(ExplicitBook(each, normalise=codebook_norm) for each in entries)


def _wrong_levels(spec: TokenSpec) -> str:
    levels = spec.options.get("levels", ())
    if not isinstance(levels, list | tuple) or not levels or not all(isinstance(n, int) for n in levels):
        return "fsq without `levels`, a list of integers, in its spec's options"
    if min(levels) < 1 or math.prod(levels) != spec.vocab:
        return f"fsq with levels {list(levels)}, whose product is not vocab {spec.vocab}"
    return ""
