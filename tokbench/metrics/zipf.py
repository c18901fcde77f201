"""Rank and frequency (Zipf), and how fast new tokens appear (Heaps)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from tokbench.metrics.base import Estimate, SetMetric
from tokbench.metrics.codebook import TOKEN_COUNTS, TokenCounts, needs_codebook, over_tables
from tokbench.metrics.language import nothing
from tokbench.metrics.sequences import TOKEN_SEQUENCES, TokenSequences

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    Counts = npt.NDArray[np.int64]

STEEPEST = 50.0
"""Largest exponent looked for: above it everything is one token."""

REPLICATES = 100
PERMUTATIONS = 10
_CURVE_POINTS = 50


def zipf_exponent(counts: Counts) -> float:
    """Return the exponent α of ``p(rank) ∝ rank^-α`` over the ranks that occur, by maximum likelihood.

    The discrete likelihood of Clauset, Shalizi and Newman (2009, arXiv 0706.1062) with ranks as observations and their
    finite number as support: the exponent at which the expected logarithm of the rank is the observed one.

    Args:
        counts: how often each token occurred, ``[vocab]``, in any order.

    Returns:
        α in [0, 50]; 0 for tokens used equally often, NaN with fewer than two tokens.
    """
    import numpy as np
    from scipy import optimize  # type: ignore[import-untyped, unused-ignore]

    ranked = _ranked(counts)
    if len(ranked) < 2:
        return math.nan
    logs = np.log(np.arange(1, len(ranked) + 1))
    observed = float((ranked * logs).sum() / ranked.sum())

    def excess(alpha: float) -> float:
        weights = np.exp(-alpha * logs)
        return float((weights * logs).sum() / weights.sum()) - observed

    if excess(0.0) <= 0:
        return 0.0
    if excess(STEEPEST) >= 0:
        return STEEPEST
    return float(optimize.brentq(excess, 0.0, STEEPEST, xtol=1e-12))


def ks_distance(counts: Counts, exponent: float) -> float:
    """Return the Kolmogorov–Smirnov distance of the ranks that occur to a power law with an exponent, in [0, 1]."""
    import numpy as np

    ranked = _ranked(counts)
    weights = np.arange(1, len(ranked) + 1) ** -exponent
    return float(np.abs(np.cumsum(ranked) / ranked.sum() - np.cumsum(weights) / weights.sum()).max())


def goodness_of_fit(counts: Counts, *, replicates: int = REPLICATES, seed: int = 0) -> float:
    """Return the share of samples drawn from the fitted law that fit it worse than the data do (a p-value).

    As Clauset et al. do: each sample is ranked and fitted anew. Near 0 the data are no power law.

    Args:
        counts: how often each token occurred, ``[vocab]``.
        replicates: number of samples.
        seed: of the draws.
    """
    import numpy as np

    ranked = _ranked(counts)
    exponent = zipf_exponent(ranked)
    distance = ks_distance(ranked, exponent)
    weights = np.arange(1, len(ranked) + 1) ** -exponent
    random = np.random.default_rng(seed)
    worse = 0
    for _ in range(replicates):
        sample = random.multinomial(int(ranked.sum()), weights / weights.sum())
        alone = (sample > 0).sum() < 2
        worse += alone or ks_distance(sample, zipf_exponent(sample)) >= distance
    return worse / replicates


def rank_frequency_r2(counts: Counts) -> float:
    """Return R² of a straight line through log frequency over log rank; NaN with fewer than three tokens.

    Published beside exponents, but high for many laws that are no power law: `goodness_of_fit` decides.
    """
    import numpy as np

    ranked = _ranked(counts)
    if len(ranked) < 3 or ranked[0] == ranked[-1]:
        return math.nan
    return float(np.corrcoef(np.log(np.arange(1, len(ranked) + 1)), np.log(ranked))[0, 1] ** 2)


def _ranked(counts: Counts) -> Counts:
    import numpy as np

    return np.sort(counts[counts > 0])[::-1]


def heaps_curve(
    tokens: TokenSequences, *, seed: int = 0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return tokens read and distinct tokens met after each image, over random orders of the images.

    Args:
        tokens: the ids of all images; an id of each codebook counts as a token of its own.
        seed: of the orders.

    Returns:
        Two float64 ``[10, images]``: n and V(n), one order a row.
    """
    import numpy as np

    books = tokens.shapes[:, 0].max()
    images = [
        (image.reshape(len(image), -1) + tokens.vocab * np.arange(len(image))[:, None]).reshape(-1)
        for image in tokens.images()
    ]
    random = np.random.default_rng(seed)
    read, met = [], []
    for _ in range(PERMUTATIONS):
        order = random.permutation(len(images))
        lengths = np.array([len(images[place]) for place in order])
        ids = np.concatenate([images[place] for place in order])
        when = np.full(int(books) * tokens.vocab, -1)
        # Written backwards, so that the first occurrence is what stays.
        when[ids[::-1]] = np.repeat(np.arange(len(images)), lengths)[::-1]
        read.append(np.cumsum(lengths))
        met.append(np.cumsum(np.bincount(when[when >= 0], minlength=len(images))))
    return np.array(read, float), np.array(met, float)


def heaps_exponent(read: npt.NDArray[np.float64], met: npt.NDArray[np.float64]) -> float:
    """Return β of ``V(n) ∝ n^β``: the slope through logarithms at up to 50 image counts spaced evenly in logarithm.

    Args:
        read: tokens read, ``[orders, images]``.
        met: distinct tokens met, likewise.

    Returns:
        The mean over orders; NaN with fewer than three images.
    """
    import numpy as np

    images = read.shape[1]
    if images < 3:
        return math.nan
    places = np.unique(np.geomspace(1, images, _CURVE_POINTS).round().astype(int)) - 1
    slopes = [np.polyfit(np.log(n[places]), np.log(v[places]), 1)[0] for n, v in zip(read, met, strict=True)]
    return float(np.mean(slopes))


def _mean_exponent(table: Counts) -> float:
    return math.fsum(zipf_exponent(counts) for counts in table) / len(table)


def _mean_distance(table: Counts) -> float:
    return math.fsum(ks_distance(counts, zipf_exponent(counts)) for counts in table) / len(table)


def _mean_r2(table: Counts) -> float:
    return math.fsum(rank_frequency_r2(counts) for counts in table) / len(table)


def _estimate_exponent(states: Sequence[TokenCounts]) -> Estimate:
    found = over_tables(states, _mean_exponent, STEEPEST)
    return found if not math.isnan(found.value) else nothing("fewer than two tokens were used")


def _estimate_ks(states: Sequence[TokenCounts]) -> Estimate:
    table = sum(states, TokenCounts.empty()).table()
    found = over_tables(states, _mean_distance, 1.0)
    if math.isnan(found.value):
        return nothing("fewer than two tokens were used")
    fits = [goodness_of_fit(counts) for counts in table]
    texts = ", ".join(f"{fit:.2f}" if fit else f"below {1 / REPLICATES}" for fit in fits)
    return replace(found, reason=f"p {texts} from {REPLICATES} samples of the fitted law")


def _estimate_r2(states: Sequence[TokenCounts]) -> Estimate:
    found = over_tables(states, _mean_r2, 1.0)
    return found if not math.isnan(found.value) else nothing("fewer than three different frequencies")


def _estimate_heaps(states: Sequence[TokenSequences]) -> Estimate:
    tokens = TokenSequences.joined(states)
    value = heaps_exponent(*heaps_curve(tokens)) if len(tokens.index) else math.nan
    if math.isnan(value):
        return nothing("needs three images")
    reason = f"mean of {PERMUTATIONS} orders of {len(tokens.index):,} images"
    return Estimate(value, math.nan, math.nan, "none", reason)


ZIPF = SetMetric(
    name="zipf_exponent",
    title="Zipf α",
    unit="",
    higher_is_better=None,
    collector=TOKEN_COUNTS,
    finish=_estimate_exponent,
    definition=(
        "Exponent of frequency over rank by discrete maximum likelihood on the ranks that occur (arXiv 0706.1062), "
        "averaged over codebooks; whether it is a power law at all is what `zipf_ks` tells."
    ),
    applies=needs_codebook,
)
ZIPF_KS = SetMetric(
    name="zipf_ks",
    title="Zipf KS",
    unit="",
    higher_is_better=None,
    collector=TOKEN_COUNTS,
    finish=_estimate_ks,
    definition=(
        "Kolmogorov–Smirnov distance of the ranks to the fitted power law, averaged over codebooks; the p-value beside "
        "it is from samples of the fitted law."
    ),
    applies=needs_codebook,
)
ZIPF_R2 = SetMetric(
    name="zipf_r2",
    title="Zipf R²",
    unit="",
    higher_is_better=None,
    collector=TOKEN_COUNTS,
    finish=_estimate_r2,
    definition="R² of a line through log frequency over log rank, as published elsewhere; no test of a power law.",
    applies=needs_codebook,
)
HEAPS = SetMetric(
    name="heaps_exponent",
    title="Heaps β",
    unit="",
    higher_is_better=None,
    collector=TOKEN_SEQUENCES,
    finish=_estimate_heaps,
    definition=(
        "Exponent of distinct tokens over tokens read, mean of ten seeded orders of the images, from image ends spaced "
        "evenly in logarithm."
    ),
    applies=needs_codebook,
)
