"""How much of its codebooks a tokenizer uses: usage, perplexity, and the bits of an ideal order-0 code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Collector, Estimate, SetMetric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch
    from tokbench.tokenizer import TokenSpec

    Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TokenCounts:
    """How often each entry of each codebook was used in each jackknife group; a commutative monoid.

    Attributes:
        vocab: entries of each codebook; 0 in the empty state.
        codebooks: how many there are; 0 in the empty state.
        cells: ``(group · codebooks + codebook) · vocab + id`` of the entries used, int64, ascending.
        counts: how often, int64, one for each cell.
        pixels: pixels of the originals in each group, int64 ``[20]``.
    """

    vocab: int
    codebooks: int
    cells: Counts
    counts: Counts
    pixels: Counts

    @classmethod
    def empty(cls) -> Self:
        """Return the state of no image."""
        import numpy as np

        none = np.zeros(0, np.int64)
        return cls(0, 0, none, none, np.zeros(GROUPS, np.int64))

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Count the ids of a batch.

        Raises:
            ValueError: the codes are not ids from codebooks.
        """
        import numpy as np

        if batch.codes.ids is None or batch.spec.vocab is None:
            raise ValueError(f"{batch.spec.name} has no codebook")
        n, codebooks, vocab = len(batch.index), batch.spec.codebooks, batch.spec.vocab
        # Codes cut short may have fewer levels than the spec has codebooks; the others then count nothing.
        books = batch.codes.ids.shape[1] if codebooks > 1 else 1
        ids = batch.codes.ids.cpu().numpy().astype(np.int64).reshape(n, books, -1)
        group = (batch.index % GROUPS)[:, None, None]
        cells = (group * codebooks + np.arange(books)[:, None]) * vocab + ids
        used, counts = np.unique(cells, return_counts=True)
        area = batch.original.shape[-2] * batch.original.shape[-1]
        pixels = np.bincount(batch.index % GROUPS, minlength=GROUPS).astype(np.int64) * area
        return cls(vocab, codebooks, used, counts.astype(np.int64), pixels)

    def __add__(self, other: Self) -> Self:
        import numpy as np

        if not self.vocab or not other.vocab:
            return other if not self.vocab else self
        if (self.vocab, self.codebooks) != (other.vocab, other.codebooks):
            raise ValueError(
                f"token counts of {self.codebooks} × {self.vocab} and {other.codebooks} × {other.vocab} entries"
            )
        cells, where = np.unique(np.concatenate((self.cells, other.cells)), return_inverse=True)
        counts = np.zeros(len(cells), np.int64)
        np.add.at(counts, where, np.concatenate((self.counts, other.counts)))
        return type(self)(self.vocab, self.codebooks, cells, counts, self.pixels + other.pixels)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return ``shape`` (vocab, codebooks), ``cells``, ``counts`` and ``pixels``, all int64."""
        import numpy as np

        shape = np.array([self.vocab, self.codebooks], np.int64)
        return {"shape": shape, "cells": self.cells, "counts": self.counts, "pixels": self.pixels}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild from `arrays`.

        Raises:
            ValueError: an array is missing, or they do not fit together.
        """
        import numpy as np

        if set(arrays) != {"shape", "cells", "counts", "pixels"}:
            raise ValueError(f"token counts need shape, cells, counts and pixels, got {sorted(arrays)}")
        vocab, codebooks = (int(number) for number in arrays["shape"])
        cells, counts, pixels = (np.asarray(arrays[name], np.int64) for name in ("cells", "counts", "pixels"))
        ascending = (np.diff(cells) > 0).all() and (not len(cells) or cells[0] >= 0)
        inside = not len(cells) or cells[-1] < GROUPS * codebooks * vocab
        if cells.shape != counts.shape or pixels.shape != (GROUPS,) or not ascending or not inside:
            raise ValueError("token counts do not fit together")
        return cls(vocab, codebooks, cells, counts, pixels)

    def table(self, without: int | None = None) -> Counts:
        """Return the counts of all groups, or of all but one, as int64 ``[codebooks, vocab]``."""
        import numpy as np

        size = self.codebooks * self.vocab
        keep = slice(None) if without is None else self.cells // max(size, 1) != without
        table = np.zeros(size, np.int64)
        np.add.at(table, self.cells[keep] % max(size, 1), self.counts[keep])
        return table.reshape(self.codebooks, self.vocab)


def usage(table: Counts) -> float:
    """Return the share of entries used at least once, averaged over codebooks; ``[codebooks, vocab]`` -> (0, 1]."""
    return float((table > 0).mean())


def perplexity(table: Counts) -> float:
    """Return ``2 ** entropy`` averaged over codebooks: 1 for one entry alone, `vocab` for all equally often."""
    return float((2.0 ** entropy(table)).mean())


def entropy(table: Counts) -> npt.NDArray[np.float64]:
    """Return the order-0 entropy in bits per token of each codebook, float64 ``[codebooks]``."""
    from scipy import special  # type: ignore[import-untyped, unused-ignore]

    # A codebook without a token spends no bits.
    share = table / table.sum(-1, keepdims=True).clip(1)
    bits: npt.NDArray[np.float64] = special.entr(share).sum(-1) / math.log(2)
    return bits


def _bits(table: Counts) -> float:
    return float((entropy(table) * table.sum(-1)).sum())


def _total(states: Sequence[TokenCounts]) -> tuple[TokenCounts, list[int]]:
    total = sum(states, TokenCounts.empty())
    groups = [group for group in range(GROUPS) if total.pixels[group]]
    return total, groups


def _nothing() -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, jackknife.METHOD, "no image was measured", reliable=False)


def over_tables(
    states: Sequence[TokenCounts],
    statistic: Callable[[Counts], float],
    largest: float | None = None,
) -> Estimate:
    """Estimate a statistic of the counts ``[codebooks, vocab]``, none of whose values is below 0.

    Args:
        states: the shards' counts.
        statistic: what is made of a table of counts.
        largest: greatest possible value, which cuts the interval; the vocab by default.
    """
    total, groups = _total(states)
    if not groups:
        return _nothing()
    left_out = [statistic(total.table(group)) for group in groups] if len(groups) > 1 else []
    return jackknife.estimate(
        statistic(total.table()),
        left_out,
        smallest=0.0,
        largest=largest or total.vocab,
        reason=f"over {int(total.counts.sum()):,} tokens",
    )


def estimate_usage(states: Sequence[TokenCounts]) -> Estimate:
    """Return `usage` over all images; the reason tells the number of tokens, which usage grows with."""
    return over_tables(states, usage, 1)


def estimate_perplexity(states: Sequence[TokenCounts]) -> Estimate:
    """Return `perplexity` over all images; the reason tells the number of tokens."""
    return over_tables(states, perplexity, None)


def estimate_entropy_rate(states: Sequence[TokenCounts]) -> Estimate:
    """Return the bits per pixel of an ideal order-0 code of the ids, its tables not counted."""
    total, groups = _total(states)
    if not groups:
        return _nothing()
    pixels = int(total.pixels.sum())
    several = groups if len(groups) > 1 else []
    left_out = [_bits(total.table(group)) / (pixels - int(total.pixels[group])) for group in several]
    return jackknife.estimate(
        _bits(total.table()) / pixels,
        left_out,
        smallest=0.0,
        reason=f"over {int(total.counts.sum()):,} tokens",
    )


def needs_codebook(spec: TokenSpec) -> str:
    """Return "" for tokenizers with ids from codebooks, else the reason."""
    return "" if spec.kind == "discrete" and spec.vocab is not None else "needs a codebook"


TOKEN_COUNTS = Collector(name="token-counts", kind=TokenCounts, of=TokenCounts.of)

USAGE = SetMetric(
    name="codebook_usage",
    title="usage",
    unit="",
    higher_is_better=True,
    collector=TOKEN_COUNTS,
    finish=estimate_usage,
    definition=(
        "Share of codebook entries used at least once over all images, averaged over codebooks; it grows with the "
        "number of tokens, which is printed beside it."
    ),
    applies=needs_codebook,
)

PERPLEXITY = SetMetric(
    name="codebook_perplexity",
    title="perpl.",
    unit="",
    higher_is_better=True,
    collector=TOKEN_COUNTS,
    finish=estimate_perplexity,
    definition="2 to the power of the order-0 entropy of the ids over all images, averaged over codebooks.",
    applies=needs_codebook,
)
