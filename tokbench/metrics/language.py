"""Tokens as a language: entropy, what a token tells of its neighbours, what a position tells of its token.

After "Analyzing the language of visual tokens" (arXiv 2411.05001), with neighbours in two dimensions instead of rows
strung together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Estimate, SetMetric
from tokbench.metrics.codebook import TOKEN_COUNTS, entropy, needs_codebook, over_tables
from tokbench.metrics.sequences import TOKEN_SEQUENCES, TokenSequences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.codebook import TokenCounts

    Counts = npt.NDArray[np.int64]

ENOUGH = 10
"""Observations per distinct outcome below which an entropy is marked unreliable."""

Direction = Literal["right", "down"]


def miller_madow(counts: Counts) -> npt.NDArray[np.float64]:
    """Return the entropy in bits with the Miller–Madow correction (1955), over the last axis.

    The plug-in entropy plus ``(m - 1) / (2 N)`` nats for m outcomes seen in N observations, which takes out the first
    order of its downward bias.
    """
    seen = (counts > 0).sum(-1)
    corrected: npt.NDArray[np.float64] = entropy(counts) + (seen - 1) / (2 * counts.sum(-1) * math.log(2))
    return corrected


def token_entropy(table: Counts) -> float:
    """Return the corrected entropy in bits per token, averaged over codebooks: ``[codebooks, vocab]``."""
    return float(miller_madow(table).mean())


def entropy_share(table: Counts) -> float:
    """Return `token_entropy` over log2 of the vocab: 1 when all entries are used equally often."""
    return min(1.0, token_entropy(table) / math.log2(table.shape[-1])) if table.shape[-1] > 1 else 0.0


def neighbours(ids: npt.NDArray[np.int32], direction: Direction) -> tuple[Counts, Counts]:
    """Return each token and its right or lower neighbour: two int64 vectors from ``[rows, columns]``."""
    import numpy as np

    first, second = (ids[:, :-1], ids[:, 1:]) if direction == "right" else (ids[:-1], ids[1:])
    return first.reshape(-1).astype(np.int64), second.reshape(-1).astype(np.int64)


def conditional_entropy(pairs: Counts, firsts: Counts) -> float:
    """Return H(second | first) in bits from counts of distinct pairs and of distinct first tokens.

    Both entropies carry the Miller–Madow correction; the result is not below 0.
    """
    return max(0.0, float(miller_madow(pairs) - miller_madow(firsts)))


def position_entropies(tokens: TokenSequences) -> npt.NDArray[np.float64]:
    """Return the corrected entropy of the ids at each position over images, float64 ``[codebooks, rows, columns]``.

    Raises:
        ValueError: the images' ids differ in shape.
    """
    import numpy as np

    if len(tokens.index) and (tokens.shapes != tokens.shapes[0]).any():
        raise ValueError("images of several shapes have no common positions")
    stacked = tokens.ids.reshape(len(tokens.index), -1)
    ordered = np.sort(stacked, axis=0)
    # Along the sorted column of a position, a run is an entry and its length a count.
    bits = [
        float(miller_madow(np.diff(np.flatnonzero(np.diff(column, prepend=-1, append=-2)))))
        for column in ordered.T
    ]
    return np.array(bits).reshape(tuple(tokens.shapes[0]))


@dataclass(frozen=True)
class _Neighbour:
    direction: Direction

    def __call__(self, states: Sequence[TokenSequences]) -> Estimate:
        import numpy as np

        tokens = TokenSequences.joined(states)
        if not len(tokens.index):
            return nothing("no image was measured")
        found = []
        for book in range(int(tokens.shapes[:, 0].max())):
            pairs = [
                neighbours(image[book], self.direction) for image in tokens.images() if book < len(image)
            ]
            first = np.concatenate([pair[0] for pair in pairs])
            second = np.concatenate([pair[1] for pair in pairs])
            groups = np.repeat(tokens.index % GROUPS, [len(pair[0]) for pair in pairs])
            if not len(first):
                return nothing(f"tokens have no neighbour to the {self.direction}")
            found.append(_conditional(first, second, groups, tokens.vocab))
        left_out = [
            math.fsum(values) / len(found) for values in zip(*(each[1] for each in found), strict=True)
        ]
        seen, distinct = (min(each[place] for each in found) for place in (2, 3))
        return jackknife.estimate(
            math.fsum(each[0] for each in found) / len(found),
            left_out,
            smallest=0.0,
            largest=math.log2(tokens.vocab),
            reason=f"{seen:,} pairs, {distinct:,} distinct",
            reliable=all(each[2] >= ENOUGH * each[3] for each in found),
        )


def _conditional(
    first: Counts, second: Counts, groups: Counts, vocab: int
) -> tuple[float, list[float], int, int]:
    """Return the conditional entropy, the same without each group, the number of pairs and of distinct pairs."""
    import numpy as np

    kinds, pair = np.unique(first * vocab + second, return_inverse=True)
    origin = kinds // vocab

    def measure(keep: npt.NDArray[np.bool_]) -> float:
        pairs = np.bincount(pair[keep], minlength=len(kinds))
        firsts = np.bincount(origin, weights=pairs).astype(np.int64)
        return conditional_entropy(pairs, firsts)

    present = np.unique(groups)
    left_out = [measure(groups != group) for group in present] if len(present) > 1 else []
    return measure(np.ones(len(pair), bool)), left_out, len(pair), len(kinds)


def nothing(reason: str) -> Estimate:
    """Return an estimate without a value."""
    return Estimate(math.nan, math.nan, math.nan, "none", reason, reliable=False)


def _estimate_entropy(states: Sequence[TokenCounts]) -> Estimate:
    return over_tables(states, token_entropy, math.inf)


def _estimate_share(states: Sequence[TokenCounts]) -> Estimate:
    return over_tables(states, entropy_share, 1.0)


def _estimate_position_entropy(states: Sequence[TokenSequences]) -> Estimate:
    tokens = TokenSequences.joined(states)
    images = len(tokens.index)
    if not images:
        return nothing("no image was measured")
    try:
        value = float(position_entropies(tokens).mean())
    except ValueError as error:
        return nothing(str(error))
    few = images < ENOUGH * tokens.vocab
    reason = f"{images:,} images for {tokens.vocab:,} entries at each position"
    return Estimate(value, math.nan, math.nan, "none", reason, reliable=not few)


def _neighbour(direction: Direction) -> SetMetric:
    return SetMetric(
        name=f"entropy_{direction}",
        title=f"H {direction}",
        unit="bit",
        higher_is_better=None,
        collector=TOKEN_SEQUENCES,
        finish=_Neighbour(direction),
        definition=(
            f"Entropy of a token given the one whose neighbour {'to the right' if direction == 'right' else 'below'} "
            "it is, with the Miller–Madow correction, averaged over codebooks; marked below ten pairs per distinct one."
        ),
        applies=needs_codebook,
    )


def _order0(name: str, title: str, unit: str, finish: Callable[..., Estimate], definition: str) -> SetMetric:
    return SetMetric(
        name=name,
        title=title,
        unit=unit,
        higher_is_better=None,
        collector=TOKEN_COUNTS,
        finish=finish,
        definition=definition,
        applies=needs_codebook,
    )


TOKEN_ENTROPY = _order0(
    "token_entropy",
    "H",
    "bit",
    _estimate_entropy,
    "Entropy of the ids over all images with the Miller–Madow correction, averaged over codebooks.",
)
ENTROPY_SHARE = _order0(
    "entropy_share",
    "H/max",
    "",
    _estimate_share,
    "Entropy of the ids with the Miller–Madow correction, divided by log2 of the vocab.",
)
ENTROPY_RIGHT = _neighbour("right")
ENTROPY_DOWN = _neighbour("down")

POSITION_ENTROPY = SetMetric(
    name="position_entropy",
    title="H pos.",
    unit="bit",
    higher_is_better=None,
    collector=TOKEN_SEQUENCES,
    finish=_estimate_position_entropy,
    definition=(
        "Entropy of the ids at one position over images, with the Miller–Madow correction, averaged over positions and "
        "codebooks; marked below ten images per entry."
    ),
    applies=needs_codebook,
)
