"""How large the neighbourhood of an entry is: a number, a share of the codebook, or a stated distortion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokbench.perturb.books import Book
    from tokbench.tokenizer import TokenSpec


@dataclass(frozen=True, order=True)
class Nearest:
    """The `delta` nearest entries, the entry itself included; the δ of pFID."""

    delta: int

    @property
    def label(self) -> str:
        """How views name it."""
        return f"d={self.delta}"

    def unsupported(self, spec: TokenSpec) -> str:
        """Return why it makes no sense for a tokenizer, or ""."""
        vocab = spec.vocab or 0
        return (
            "" if self.delta <= vocab else f"delta {self.delta} exceeds the {vocab} entries of the codebook"
        )

    def count(self, book: Book) -> int:
        """Return the number of neighbours."""
        return self.delta


@dataclass(frozen=True, order=True)
class Share:
    """A share of the codebook, in (0, 1]: the same relative radius for codebooks of any size."""

    share: float

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        if not 0 < self.share <= 1:
            raise ValueError(f"share {self.share} is not in (0, 1]")

    @property
    def label(self) -> str:
        """How views name it."""
        return f"d={self.share:g}K"

    def unsupported(self, spec: TokenSpec) -> str:
        """Return "": it makes sense for every codebook."""
        return ""

    def count(self, book: Book) -> int:
        """Return the number of neighbours, rounded half up, at least 1."""
        return max(1, int(self.share * book.size + 0.5))


@dataclass(frozen=True, order=True)
class Matched:
    """As many nearest entries as it takes to move an entry by a stated amount on average.

    With e an entry and S its δ nearest, itself included, the relative distortion of δ is the mean over all entries
    and over S of |s - e|², divided by the variance of the entries, Σ|e - ē|² / K. It grows with δ from 0 to 2; `count`
    is the least δ that reaches `level`. It follows from the codebook alone, not from images: every entry counts alike.
    """

    level: float

    def __post_init__(self) -> None:
        """Refuse levels that no codebook reaches."""
        if not 0 < self.level < 2:
            raise ValueError(f"level {self.level} is not in (0, 2)")

    @property
    def label(self) -> str:
        """How views name it."""
        return f"m={self.level:g}"

    def unsupported(self, spec: TokenSpec) -> str:
        """Return why it makes no sense for a tokenizer, or ""."""
        return "" if (spec.vocab or 0) > 1 else "a codebook of one entry has no variance"

    def count(self, book: Book) -> int:
        """Return the least number of neighbours whose mean change reaches the level; all entries at most."""
        low, high = 1, book.size
        while low < high:
            middle = (low + high) // 2
            if book.mean_change(middle) >= self.level:
                high = middle
            else:
                low = middle + 1
        return low


Size = Nearest | Share | Matched
