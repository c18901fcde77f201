"""Kernel distances between the features of originals and reconstructions (KID, Bińkowski et al., arXiv 1801.01401)."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Estimate, SetMetric
from tokbench.metrics.features import INCEPTION_ROWS, LITE0_ROWS, FeatureRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

LARGEST = 10_000
"""Images beyond which a fixed subset is used: the cost grows with their square."""

_BLOCK = 1024


def kernel_distance(
    reference: npt.NDArray[np.floating], reconstruction: npt.NDArray[np.floating], *, paired: bool = True
) -> float:
    """Return the squared maximum mean discrepancy under the kernel ``(x·y / d + 1)³``.

    Args:
        reference: features ``[n, d]``, at least two rows.
        reconstruction: features of the same shape; row i belongs to row i of `reference`.
        paired: leave the n products of an image with its own reconstruction out (the U-statistic of Gretton et
            al. 2012, Lemma 6). Those products are what makes the usual estimator, which assumes independent sets,
            negative when nothing was lost. False gives that usual estimator.

    Returns:
        An unbiased estimate, which may be slightly negative; exactly 0 for identical paired sets.
    """
    import numpy as np

    one_group = np.zeros(len(reference), np.int64)
    return _from_sums(_sums(reference, reconstruction, one_group, 1), len(reference), paired=paired)


def estimate(states: Sequence[FeatureRows]) -> Estimate:
    """Return the kernel distance of all images with its delete-one-group jackknife interval.

    Above 10,000 images the 10,000 whose plan position has the smallest SHA-256 are used.

    Args:
        states: feature rows of disjoint sets of images.

    Returns:
        NaN below two images.
    """
    import numpy as np

    rows = _subset(states)
    n = len(rows.index)
    if n < 2:
        reason = f"n = {n}, at least 2 images are needed"
        return Estimate(math.nan, math.nan, math.nan, jackknife.METHOD, reason, reliable=False)
    groups = rows.index % GROUPS
    sizes = np.bincount(groups, minlength=GROUPS)
    sums = _sums(rows.reference, rows.reconstruction, groups, GROUPS)
    value = _from_sums(sums, n, paired=True)
    left_out = []
    for group in np.flatnonzero(sizes):
        if n - sizes[group] >= 2:
            kept = np.delete(np.delete(sums, group, 1), group, 2)
            left_out.append(_from_sums(kept, int(n - sizes[group]), paired=True))
    return jackknife.estimate(value, left_out)


def _subset(states: Sequence[FeatureRows]) -> FeatureRows:
    import numpy as np

    positions = np.concatenate([state.index for state in states]) if len(states) else np.zeros(0, np.int64)
    if len(positions) <= LARGEST:
        return sum(states, FeatureRows.empty())
    chosen = np.array(sorted(positions.tolist(), key=_hash)[:LARGEST])
    rows = FeatureRows.empty()
    for state in states:
        keep = np.isin(state.index, chosen)
        rows += FeatureRows(state.index[keep], state.reference[keep], state.reconstruction[keep])
    return rows


def _hash(position: int) -> bytes:
    return hashlib.sha256(str(position).encode()).digest()


def _sums(
    reference: npt.NDArray[np.floating],
    reconstruction: npt.NDArray[np.floating],
    groups: npt.NDArray[np.int64],
    count: int,
) -> Matrix:
    """Add the kernel up over pairs of groups, a block of rows at a time.

    Returns:
        ``[4, count, count]``: reference with reference and reconstruction with reconstruction, both without the
        products of a row with itself; reference with reconstruction without the products of an image with its own
        reconstruction; and, on the diagonal, those last products.
    """
    import numpy as np

    x, y = reference.astype(np.float64), reconstruction.astype(np.float64)
    member = np.zeros((len(x), count))
    member[np.arange(len(x)), groups] = 1
    sums = np.zeros((4, count, count))
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        own = np.arange(len(x[rows])), np.arange(start, start + len(x[rows]))
        for kind, (left, right) in enumerate(((x, x), (y, y), (x, y))):
            kernel = (left[rows] @ right.T / x.shape[1] + 1) ** 3
            if kind == 2:
                sums[3] += (member[rows].T * kernel[own]) @ member[rows]
            kernel[own] = 0
            sums[kind] += member[rows].T @ kernel @ member
    return sums


def _from_sums(sums: Matrix, n: int, *, paired: bool) -> float:
    same_x, same_y, cross, own = (float(part.sum()) for part in sums)
    pairs = n * (n - 1)
    between = cross / pairs if paired else (cross + own) / n**2
    return (same_x + same_y) / pairs - 2 * between


_DEFINITION = (
    "Squared maximum mean discrepancy of {features} under the kernel (x·y/d + 1)³ (KID, arXiv 1801.01401), over all "
    "images up to 10,000; unbiased, leaving out the products of an image with its own reconstruction."
)

KID_LITE0 = SetMetric(
    name="kid_lite0",
    title="KID-L0",
    unit="",
    higher_is_better=False,
    collector=LITE0_ROWS,
    finish=estimate,
    definition=_DEFINITION.format(features="EfficientNet-Lite0 features"),
)

KID = SetMetric(
    name="kid",
    title="KID",
    unit="",
    higher_is_better=False,
    collector=INCEPTION_ROWS,
    finish=estimate,
    definition=_DEFINITION.format(features="torch-fidelity's Inception features"),
)
