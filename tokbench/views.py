"""Views: what is done to the codes between `encode` and `decode`. One encode serves every view of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tokbench.tokenizer import Codes, Tokenizer, TokenSpec


@dataclass(frozen=True)
class Encoded:
    """A batch after `encode`, as a view sees it.

    Attributes:
        tokenizer: the tokenizer, for its capabilities.
        images: float32 ``[n, 3, h, w]`` in [0, 1], what was encoded.
        codes: the codes, after a round trip through bytes.
        image_ids: the n image ids, which seed random views so that batch size and order do not matter.
        seed: the run's seed.
        cache: a place where views of one batch leave what they share, by name.
        kept: likewise, for what depends on the tokenizer alone and outlives the batch.
    """

    tokenizer: Tokenizer
    images: Tensor
    codes: Codes
    image_ids: tuple[str, ...]
    seed: int
    cache: dict[str, Any]
    kept: dict[str, Any] = field(default_factory=dict)


def unchanged(encoded: Encoded) -> Codes:
    """Return the codes as they are."""
    return encoded.codes


def always(spec: TokenSpec) -> str:
    """Say that a view makes sense for every tokenizer."""
    return ""


@dataclass(frozen=True)
class View:
    """One way to look at a tokenizer.

    Attributes:
        name: short name that enters rows and columns, e.g. ``a=0.5 d=200``; "" for the clean round trip.
        transform: ``transform(encoded) -> codes`` that `decode` is given.
        needs: names of the capabilities it asks for (`tokbench.tokenizer.CAPABILITIES`).
        applies: returns "" or the reason why it makes no sense for a tokenizer.
    """

    name: str
    transform: Callable[[Encoded], Codes] = unchanged
    needs: tuple[str, ...] = ()
    applies: Callable[[TokenSpec], str] = always


CLEAN = View("")
