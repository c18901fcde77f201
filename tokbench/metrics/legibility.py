"""Legible size: the size of the font at which half the words are read, a limit instead of an average.

The share of words read is taken at every size that the annotations state, made to grow with size by isotonic
regression (pool adjacent violators, weighted by words), and interpolated linearly between the two sizes around one
half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tokbench.metrics.base import Estimate, SetMetric
from tokbench.metrics.groups import Sums, nothing
from tokbench.metrics.words import WordRows, word_collector

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

HALF = 0.5


def isotonic(shares: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the non-decreasing sequence nearest to `shares` in weighted squares, by pooling adjacent violators.

    Args:
        shares: any numbers, in the order in which they should grow.
        weights: their weights, positive.
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for share, weight in zip(shares, weights, strict=True):
        mean, total, length = float(share), float(weight), 1
        while blocks and blocks[-1][0] >= mean:
            before, heavy, many = blocks.pop()
            mean = (before * heavy + mean * total) / (heavy + total)
            total, length = heavy + total, length + many
        blocks.append((mean, total, length))
    return [mean for mean, _, length in blocks for _ in range(length)]


def crossing(sizes: Sequence[float], shares: Sequence[float]) -> float:
    """Return the size at which non-decreasing shares reach one half, between two sizes by a straight line.

    Args:
        sizes: ascending.
        shares: the share read at each.

    Returns:
        NaN when the first share is one half or more, or no share is.
    """
    at = next((number for number, share in enumerate(shares) if share >= HALF), 0)
    if at == 0:
        return math.nan
    step = (HALF - shares[at - 1]) / (shares[at] - shares[at - 1])
    return sizes[at - 1] + step * (sizes[at] - sizes[at - 1])


@dataclass(frozen=True)
class LegibleSize:
    """The size in pixels at which half the words are read exactly.

    Attributes:
        score: the column of `WordRows` that says whether a word was read.
    """

    score: Literal["correct", "original_correct"]

    def __call__(self, states: Sequence[WordRows]) -> Estimate:
        """Return the size with its jackknife interval.

        NaN with a reason that names the bound when half the words are read at every size, or at none. The interval is
        unknown (NaN) when leaving out some group of images leaves no crossing.
        """
        import numpy as np

        rows = WordRows.joined(states)
        rows = rows.where(~np.isnan(rows["size"]))
        if not len(rows):
            return nothing("no annotated word states the size of its font (truth.words[].size)")
        sizes, place = np.unique(rows["size"], return_inverse=True)
        each = np.arange(len(sizes))[:, None] == place
        sums = Sums.of(rows["index"], *(each * rows[self.score]), *each)
        fitted = _fit(sizes, sums.table.sum(0))[1]
        if fitted[0] >= HALF:
            return nothing(f"half the words or more are read at every size: at most {sizes[0]:g} px")
        if fitted[-1] < HALF:
            return nothing(f"fewer than half the words are read at every size: more than {sizes[-1]:g} px")
        return sums.estimate(
            lambda total: crossing(*_fit(sizes, total)), smallest=float(sizes[0]), largest=float(sizes[-1])
        )


def _fit(sizes: Floats, total: Floats) -> tuple[list[float], list[float]]:
    """Return the sizes that have words, and the fitted share read at each."""
    read, words = total[: len(sizes)], total[len(sizes) :]
    held = words > 0
    return sizes[held].tolist(), isotonic((read[held] / words[held]).tolist(), words[held].tolist())


def legibility_metrics(recogniser: str) -> tuple[SetMetric, ...]:
    """Return the legible size of reconstructions and that of the originals, for one recogniser."""
    collector = word_collector(recogniser)
    how = (
        f"size of the font in pixels of the original at which {recogniser} reads half the words exactly, by isotonic "
        "regression over the sizes that truth.words states"
    )
    return (
        SetMetric(
            "legible_size",
            "legible",
            "px",
            False,
            collector,
            LegibleSize("correct"),
            f"Legible size of the reconstructions: {how}.",
        ),
        SetMetric(
            "legible_size_original",
            "legibl o",
            "px",
            False,
            collector,
            LegibleSize("original_correct"),
            f"Legible size of the originals, the least that a tokenizer can be expected to reach: {how}.",
        ),
    )
