"""Kernel distances between the features of originals and reconstructions (KID, Bińkowski et al., arXiv 1801.01401)."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from typing import TYPE_CHECKING, Any

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Estimate, SetMetric
from tokbench.metrics.features import INCEPTION_ROWS, LITE0_ROWS, FeatureRows
from tokbench.metrics.remember import Memo, content

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

LARGEST = 10_000
"""Images beyond which a fixed subset is used: the cost grows with their square."""

_BLOCK = 1024

_SPARE = 1.25
"""How many times `LARGEST` rows are held at most while the subset is chosen."""


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
    sums = group_sums(reference, reconstruction, one_group, 1, _cubic)
    return _from_sums(sums, len(reference), paired=paired)


def estimate(states: Sequence[FeatureRows], *, paired: bool = True) -> Estimate:
    """Return the kernel distance of all images with its delete-one-group jackknife interval.

    Above 10,000 images the 10,000 whose plan position has the smallest SHA-256 are used.

    Args:
        states: feature rows of disjoint sets of images.
        paired: see `kernel_distance`.

    Returns:
        NaN below two images.
    """
    return estimate_from(states, _cubic, partial(_from_sums, paired=paired))


def estimate_published(states: Sequence[FeatureRows]) -> Estimate:
    """Return KID as it is published: `estimate` without regard to pairs."""
    return estimate(states, paired=False)


def estimate_from(
    states: Sequence[FeatureRows],
    kernel: Callable[[Matrix, Matrix], Matrix],
    value_of: Callable[[Matrix, int], float],
) -> Estimate:
    """Turn kernel sums into an estimate with its delete-one-group jackknife interval.

    Args:
        states: feature rows of disjoint sets of images.
        kernel: ``kernel(x [n, d], y [m, d]) -> [n, m]``.
        value_of: turns the `group_sums` of some images and their number into the statistic.

    Returns:
        NaN below two images.
    """
    import numpy as np

    rows = subset(states)
    n = len(rows.index)
    if n < 2:
        reason = f"n = {n}, at least 2 images are needed"
        return Estimate(math.nan, math.nan, math.nan, jackknife.METHOD, reason, reliable=False)
    groups = rows.index % GROUPS
    sizes = np.bincount(groups, minlength=GROUPS)
    sums = group_sums(rows.reference, rows.reconstruction, groups, GROUPS, kernel)
    left_out = []
    for group in np.flatnonzero(sizes):
        if n - sizes[group] >= 2:
            kept = np.delete(np.delete(sums, group, 1), group, 2)
            left_out.append(value_of(kept, int(n - sizes[group])))
    return jackknife.estimate(value_of(sums, n), left_out)


def subset(states: Sequence[FeatureRows]) -> FeatureRows:
    """Return all rows, or the `LARGEST` whose plan position has the smallest SHA-256; each state is read once."""
    import numpy as np

    parts: list[tuple[FeatureRows, list[bytes]]] = []
    limit = b"\xff" * 32

    def cut() -> None:
        nonlocal limit
        limit = sorted(mark for _, marks in parts for mark in marks)[LARGEST - 1]
        parts[:] = [_up_to(limit, *part) for part in parts]

    for state in states:
        parts.append(_up_to(limit, state, [_hash(position) for position in state.index.tolist()]))
        if sum(len(marks) for _, marks in parts) > _SPARE * LARGEST:
            cut()
    if sum(len(marks) for _, marks in parts) > LARGEST:
        cut()
    kept = [rows for rows, marks in parts if marks]
    if not kept:
        return FeatureRows.empty()
    return FeatureRows.of(
        np.concatenate([rows.index for rows in kept]),
        np.concatenate([rows.reference for rows in kept]),
        np.concatenate([rows.reconstruction for rows in kept]),
    )


def _up_to(limit: bytes, rows: FeatureRows, marks: list[bytes]) -> tuple[FeatureRows, list[bytes]]:
    """Return the rows whose marks are at most `limit`, with these."""
    import numpy as np

    keep = np.array([mark <= limit for mark in marks], bool)
    if keep.all():
        return rows, marks
    left = FeatureRows(rows.index[keep], rows.reference[keep], rows.reconstruction[keep])
    return left, [mark for mark in marks if mark <= limit]


def _hash(position: int) -> bytes:
    return hashlib.sha256(str(position).encode()).digest()


def group_sums(
    reference: npt.NDArray[np.floating],
    reconstruction: npt.NDArray[np.floating],
    groups: npt.NDArray[np.int64],
    count: int,
    kernel: Callable[[Matrix, Matrix], Matrix],
) -> Matrix:
    """Add the kernel, which must be symmetric, up over pairs of groups.

    Sums are remembered by the content of the rows: two estimators of one kernel ask for the same, and the originals
    are the same for every tokenizer and view.

    Returns:
        ``[4, count, count]``: reference with reference and reconstruction with reconstruction, both without the
        products of a row with itself; reference with reconstruction without the products of an image with its own
        reconstruction; and, on the diagonal, those last products.
    """
    import numpy as np

    x, y = content(reference, groups), content(reconstruction, groups)

    def remembered(key: tuple[bytes, ...], left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Matrix:
        return _SUMS((kernel, count, *key), lambda: _pair_sums(left, right, groups, count, kernel))

    return np.concatenate(
        [
            remembered((x,), reference, reference)[:1],
            remembered((y,), reconstruction, reconstruction)[:1],
            remembered((x, y), reference, reconstruction),
        ]
    )


def _pair_sums(
    left: npt.NDArray[np.floating],
    right: npt.NDArray[np.floating],
    groups: npt.NDArray[np.int64],
    count: int,
    kernel: Callable[[Matrix, Matrix], Matrix],
) -> Matrix:
    """Add the kernel up over pairs of groups, a tile at a time.

    Returns:
        ``[2, count, count]``: without, and of, the products of a row with the one at its own place.
    """
    import numpy as np

    symmetric = left is right
    sums = np.zeros((2, count, count))
    for first in range(0, len(left), _BLOCK):
        down = slice(first, first + _BLOCK)
        rows, of_rows = left[down].astype(np.float64), np.eye(count)[groups[down]]
        for start in range(first if symmetric else 0, len(right), _BLOCK):
            across = slice(start, start + _BLOCK)
            products = kernel(rows, right[across].astype(np.float64))
            if start == first:
                sums[1] += (of_rows.T * products.diagonal()) @ of_rows
                np.fill_diagonal(products, 0)
            part = of_rows.T @ products @ np.eye(count)[groups[across]]
            sums[0] += part + part.T if symmetric and start != first else part
    return sums


_SUMS: Memo[Matrix] = Memo(64)


def _cubic(x: Matrix, y: Matrix) -> Matrix:
    products: Matrix = x @ y.T
    products /= x.shape[1]
    products += 1
    result = products * products
    result *= products
    return result


def _from_sums(sums: Matrix, n: int, *, paired: bool) -> float:
    same_x, same_y, cross, own = (float(part.sum()) for part in sums)
    pairs = n * (n - 1)
    between = cross / pairs if paired else (cross + own) / n**2
    return (same_x + same_y) / pairs - 2 * between


_DEFINITION = (
    "Squared maximum mean discrepancy of {features} under the kernel (x·y/d + 1)³ (KID, arXiv 1801.01401), over all "
    "images up to 10,000; unbiased, {pairs}."
)
_PAIRED = (
    "leaving out the products of an image with its own reconstruction, so that it is 0 where nothing was lost"
)
_PUBLISHED = "as published and as torch-fidelity computes it on one subset of all images; below 0 where little was lost"

KID_LITE0 = SetMetric(
    name="kid_lite0",
    title="KID-L0",
    unit="",
    higher_is_better=False,
    collector=LITE0_ROWS,
    finish=estimate,
    definition=_DEFINITION.format(features="EfficientNet-Lite0 features", pairs=_PAIRED),
)

KID = SetMetric(
    name="kid",
    title="KID",
    unit="",
    higher_is_better=False,
    collector=INCEPTION_ROWS,
    finish=estimate_published,
    definition=_DEFINITION.format(features="torch-fidelity's Inception features", pairs=_PUBLISHED),
)

KID_PAIRED = SetMetric(
    name="kid_paired",
    title="KID-pair",
    unit="",
    higher_is_better=False,
    collector=INCEPTION_ROWS,
    finish=estimate,
    definition=_DEFINITION.format(features="torch-fidelity's Inception features", pairs=_PAIRED),
)
