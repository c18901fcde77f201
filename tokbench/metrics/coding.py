"""How much smaller the ids become: Huffman, the order-0 bound, zlib and lzma."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tokbench.metrics.base import Estimate, SetMetric
from tokbench.metrics.codebook import TOKEN_COUNTS, entropy, needs_codebook, over_tables
from tokbench.metrics.language import nothing
from tokbench.metrics.sequences import TOKEN_SEQUENCES, TokenSequences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.codebook import TokenCounts

    Counts = npt.NDArray[np.int64]

Packer = Literal["zlib", "lzma"]


def huffman_bits(counts: Counts) -> float:
    """Return the mean code length in bits per token of a Huffman code (1952) made for the counts.

    Args:
        counts: how often each token occurred, ``[vocab]``; tokens that did not occur get no code.

    Returns:
        Bits per token, the code table not counted; 0 when a single token occurs.
    """
    import numpy as np

    # Two queues instead of a heap: leaves are sorted, and sums are made in ascending order.
    leaves = [int(count) for count in np.sort(counts[counts > 0])]
    sums: list[int] = []
    leaf = made = spent = 0
    for _ in range(len(leaves) - 1):
        pair = 0
        for _ in range(2):
            if leaf < len(leaves) and (made >= len(sums) or leaves[leaf] <= sums[made]):
                pair += leaves[leaf]
                leaf += 1
            else:
                pair += sums[made]
                made += 1
        sums.append(pair)
        spent += pair
    return spent / int(counts.sum())


def packed_share(tokens: TokenSequences, packer: Packer) -> float:
    """Return the bits that a general compressor spends on the ids, relative to ``ceil(log2 vocab)`` bits each.

    The ids of all images, in plan order and raster order, codebook by codebook, as little-endian integers of the
    fewest whole bytes that hold the vocab: 16 bits for up to 65,536 entries. Above 1 it did worse than plain packing.

    Args:
        tokens: the ids of at least one image.
        packer: ``zlib`` (level 9) or ``lzma`` (preset 6).
    """
    import lzma
    import zlib

    width = next(size for size in (1, 2, 4) if tokens.vocab <= 1 << 8 * size)
    data = tokens.ids.astype(f"<u{width}").tobytes()
    size = len(zlib.compress(data, 9)) if packer == "zlib" else len(lzma.compress(data, preset=6))
    return 8 * size / (len(tokens.ids) * max(1, (tokens.vocab - 1).bit_length()))


def _relative(bits: npt.NDArray[np.float64], table: Counts) -> float:
    return float(bits.mean()) / math.log2(table.shape[-1]) if table.shape[-1] > 1 else 0.0


def huffman_share(table: Counts) -> float:
    """Return `huffman_bits` over log2 of the vocab, averaged over codebooks: ``[codebooks, vocab]``."""
    import numpy as np

    return _relative(np.array([huffman_bits(counts) for counts in table]), table)


def order0_share(table: Counts) -> float:
    """Return the plug-in entropy over log2 of the vocab, averaged over codebooks: no order-0 code does better."""
    return _relative(entropy(table), table)


def _estimate_huffman(states: Sequence[TokenCounts]) -> Estimate:
    # One bit a token is the least a code of two tokens spends: a vocab of two or three may exceed log2 of it.
    return over_tables(states, huffman_share, math.inf)


def _estimate_order0(states: Sequence[TokenCounts]) -> Estimate:
    return over_tables(states, order0_share, 1.0)


@dataclass(frozen=True)
class _Packed:
    packer: Packer

    def __call__(self, states: Sequence[TokenSequences]) -> Estimate:
        tokens = TokenSequences.joined(states)
        if not len(tokens.ids):
            return nothing("no image was measured")
        value = packed_share(tokens, self.packer)
        return Estimate(value, math.nan, math.nan, "none", f"over {len(tokens.ids):,} tokens")


def _of_counts(name: str, title: str, finish: Callable[..., Estimate], definition: str) -> SetMetric:
    return SetMetric(
        name=name,
        title=title,
        unit="",
        higher_is_better=None,
        collector=TOKEN_COUNTS,
        finish=finish,
        definition=definition,
        applies=needs_codebook,
    )


def _packed(packer: Packer) -> SetMetric:
    return SetMetric(
        name=f"{packer}_share",
        title=packer,
        unit="",
        higher_is_better=None,
        collector=TOKEN_SEQUENCES,
        finish=_Packed(packer),
        definition=f"Size of all ids, as whole bytes, after {packer}, over their size at ceil(log2 vocab) bits.",
        applies=needs_codebook,
    )


HUFFMAN = _of_counts(
    "huffman_share",
    "Huffman",
    _estimate_huffman,
    "Mean length of a Huffman code made for these ids, over log2 of the vocab, averaged over codebooks.",
)
ORDER0 = _of_counts(
    "order0_share",
    "order 0",
    _estimate_order0,
    "Plug-in entropy of the ids over log2 of the vocab: what an ideal code that knows the frequencies spends.",
)
ZLIB = _packed("zlib")
LZMA = _packed("lzma")
