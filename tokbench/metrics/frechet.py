"""Fréchet distances between features of originals and reconstructions (Heusel et al., arXiv 1706.08500)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Estimate, SetMetric
from tokbench.metrics.features import (
    DINOV2_ROWS,
    INCEPTION_ROWS,
    INCEPTION_SPATIAL_ROWS,
    LITE0_ROWS,
    FeatureRows,
)
from tokbench.metrics.moments import Moments
from tokbench.metrics.remember import Memo
from tokbench.metrics.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.spool import Side

    Matrix = npt.NDArray[np.float64]

_IDENTICAL = 1e-9


def frechet_distance(a: Moments, b: Moments, *, quick: bool = False) -> float:
    """Return ``|μa - μb|² + tr(A + B - 2 (A B)^½)`` for the covariances A and B.

    With factors R Rᵀ = A and S Sᵀ = B, the trace of ``(A B)^½`` is the sum of the singular values of
    ``Rᵀ S``: no root of a matrix that is not symmetric, and directions without variance add nothing.

    Args:
        a: at least two rows.
        b: at least two rows.
        quick: take the singular values from the eigenvalues of ``Rᵀ B R``: four times faster, but those below 1e-8 of
            the largest are lost in rounding. Enough for the replicates of a jackknife, not for the number.
    """
    left, right = a.covariance(), b.covariance()
    cross = _quick_cross(left, right) if quick else _nuclear_norm(_factor(left).T @ _factor(right))
    return _distance(a, b, cross)


def _distance(a: Moments, b: Moments, cross: float) -> float:
    shift = a.mean - b.mean
    return _not_negative(float(shift @ shift) + a.variance + b.variance - 2 * cross)


def _factor(covariance: Matrix) -> Matrix:
    """Return R with ``R Rᵀ`` equal to a covariance, which may be singular (Cholesky with pivoting)."""
    import numpy as np
    from scipy.linalg import lapack  # type: ignore[import-untyped, unused-ignore]

    lower, pivots, rank, _ = lapack.dpstrf(covariance, lower=1)
    result: Matrix = np.zeros((len(covariance), rank))
    result[pivots - 1] = np.tril(lower[:, :rank])
    return result


def _nuclear_norm(matrix: Matrix) -> float:
    """Return the sum of singular values."""
    import numpy as np

    return float(np.linalg.svd(matrix, compute_uv=False).sum())


def _quick_norm(matrix: Matrix) -> float:
    """Return the sum of singular values but for those below 1e-8 of the largest, from the Gram matrix."""
    import numpy as np

    return float(np.sqrt(np.linalg.eigvalsh(matrix @ matrix.T).clip(0)).sum())


def _quick_cross(left: Matrix, right: Matrix) -> float:
    """Return tr((A B)^½) from the eigenvalues of ``Rᵀ B R``, given the lower triangles of A and B."""
    import numpy as np
    from scipy import linalg  # type: ignore[import-untyped, unused-ignore]

    try:
        # One call reduces this to a symmetric problem through the Cholesky factor of A. The driver "gvd", which
        # differs in vectors alone, gets too little workspace and takes 1.7 times as long.
        found = linalg.eigh(
            right, left, type=2, lower=True, eigvals_only=True, driver="gv", check_finite=False
        )
    except linalg.LinAlgError:
        # A is singular: there are as many columns in its factor as it has rank.
        root = _factor(left)
        product = root.T @ linalg.blas.dsymm(1.0, right, root, lower=1)
        found = np.linalg.eigvalsh(product)
    return float(np.sqrt(found.clip(0)).sum())


def _not_negative(value: float) -> float:
    # A distance of zero comes out as ±1e-12 after cancellation. NaN stays NaN.
    return value if math.isnan(value) else max(value, 0.0)


class _Paired:
    """The distance of few rows (n ≤ d), exactly and cheaply, for any subset of the pairs.

    The covariances then have rank below n, and tr((A B)^½) is the nuclear norm of the centred n × n matrix of
    products between the two sets of rows, divided by n - 1.
    """

    def __init__(self, rows: FeatureRows) -> None:
        import numpy as np

        self._a = rows.reference.astype(np.float64)
        self._b = rows.reconstruction.astype(np.float64)
        # Without the common mean, which cancels, the products keep more digits.
        centre = self._a.mean(0)
        self._a -= centre
        self._b -= centre
        self._cross = self._a @ self._b.T
        self._squares = (self._a**2).sum(1) + (self._b**2).sum(1)

    def distance(self, chosen: npt.NDArray[np.bool_], *, quick: bool = False) -> float:
        import numpy as np

        n = int(chosen.sum())
        a, b = chosen @ self._a / n, chosen @ self._b / n
        spread = float(self._squares[chosen].sum() - n * (a @ a + b @ b))
        cross = self._cross[np.ix_(chosen, chosen)]
        cross -= cross.mean(0)
        cross -= cross.mean(1, keepdims=True)
        norm = _quick_norm(cross) if quick else _nuclear_norm(cross)
        return _not_negative(float((a - b) @ (a - b)) + (spread - 2 * norm) / (n - 1))


def estimate(states: Sequence[FeatureRows]) -> Estimate:
    """Return the Fréchet distance with its delete-one-group jackknife interval.

    With more images than features only moments are held, so memory does not grow with their number: about 12 matrices
    of float64 at the feature width, 400 MB at 2,048, and the rows lie in a temporary file. Otherwise the rows
    themselves are held.

    Args:
        states: feature rows of disjoint sets of images; each is read once, and their order changes nothing.

    Returns:
        NaN below two images or with a feature that is not finite; not reliable below twice as many images as features.

    Raises:
        ValueError: two states hold the same image, or features are not of one width.
        StorageError: no space for the temporary file.
    """
    with Spool(states) as rows:
        n, width = len(rows.index), rows.width
        if n < 2 or not rows.finite:
            reason = f"n = {n}, at least 2 images are needed" if n < 2 else "a feature is NaN or infinite"
            return Estimate(math.nan, math.nan, math.nan, jackknife.METHOD, reason, reliable=False)
        value, left_out = _few(rows.rows()) if n <= width else _many(rows)
    reliable = n >= 2 * width
    reason = "" if reliable else f"n = {n:,} below 2 × {width:,}"
    if value < _IDENTICAL:
        return Estimate(0.0, 0.0, 0.0, "exact", reason, reliable)
    return jackknife.estimate(value, left_out, smallest=0.0, reason=reason, reliable=reliable)


def _few(rows: FeatureRows) -> tuple[float, list[float]]:
    import numpy as np

    pairs = _Paired(rows)
    groups = rows.index % GROUPS
    value = pairs.distance(np.ones(len(groups), bool))
    kept = (groups != group for group in np.unique(groups))
    return value, [pairs.distance(keep, quick=True) for keep in kept if keep.sum() >= 2]


def _many(rows: Spool) -> tuple[float, list[float]]:
    def moments(side: Side, group: int | None = None) -> Moments:
        return Moments.over(rows.blocks(side, group), rows.width)

    def reference() -> tuple[Moments, Matrix]:
        found = moments("reference")
        return found, _factor(found.covariance())

    a, root = _REFERENCES(rows.reference_content, reference)
    b = moments("reconstruction")
    value = _distance(a, b, _nuclear_norm(root.T @ _factor(b.covariance())))
    left_out = [
        frechet_distance(a - moments("reference", group), b - moments("reconstruction", group), quick=True)
        for group in rows.groups
    ]
    return value, left_out


# Moments of the originals and the root of their covariance, for the next tokenizer or view: 67 MB each at width 2,048.
_REFERENCES: Memo[tuple[Moments, Matrix]] = Memo(2)

FD_LITE0 = SetMetric(
    name="fd_lite0",
    title="FD-L0",
    unit="",
    higher_is_better=False,
    collector=LITE0_ROWS,
    finish=estimate,
    definition=(
        "Fréchet distance of pooled EfficientNet-Lite0 features (1280-d) between originals and "
        "reconstructions, both as the protocol shows them; not FID."
    ),
)

RFID = SetMetric(
    name="rfid",
    title="rFID",
    unit="",
    higher_is_better=False,
    collector=INCEPTION_ROWS,
    finish=estimate,
    definition=(
        "Fréchet distance of the 2048-d features of torch-fidelity's inception-v3-compat between originals "
        "as the protocol shows them and the rounded reconstructions."
    ),
)

SFID = SetMetric(
    name="sfid",
    title="sFID",
    unit="",
    higher_is_better=False,
    collector=INCEPTION_SPATIAL_ROWS,
    finish=estimate,
    definition=(
        "Fréchet distance of the first 7 channels of Inception's 17×17 maps mixed_6/conv (2023-d; Nash et al., arXiv "
        "2103.03841) in torch-fidelity's network: its Mixed_6d, first branch."
    ),
)

FD_DINOV2 = SetMetric(
    name="fd_dinov2",
    title="FDD",
    unit="",
    higher_is_better=False,
    collector=DINOV2_ROWS,
    finish=estimate,
    definition=(
        "Fréchet distance of DINOv2 ViT-L/14 class tokens (1024-d) between originals and reconstructions, both "
        "squashed to 224×224 (FDD, arXiv 2306.04675)."
    ),
)
