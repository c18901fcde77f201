"""Fréchet distances between features of originals and reconstructions (Heusel et al., arXiv 1706.08500)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Estimate, SetMetric
from tokbench.metrics.features import (
    DINOV2_ROWS,
    INCEPTION_ROWS,
    INCEPTION_SPATIAL_ROWS,
    LITE0_ROWS,
    FeatureRows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

_IDENTICAL = 1e-9


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of feature rows, float64, additive and subtractive.

    Attributes:
        n: rows counted.
        total: sum of the rows, ``[d]``.
        outer: sum of the outer products, ``[d, d]``.
    """

    n: int
    total: Matrix
    outer: Matrix

    @classmethod
    def empty(cls, width: int) -> Self:
        """Return the moments of no row."""
        import numpy as np

        return cls(0, np.zeros(width), np.zeros((width, width)))

    @classmethod
    def of(cls, rows: npt.NDArray[np.floating]) -> Self:
        """Return the moments of ``[n, d]`` rows."""
        import numpy as np

        wide = rows.astype(np.float64)
        return cls(len(wide), wide.sum(0), wide.T @ wide)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.n + other.n, self.total + other.total, self.outer + other.outer)

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.n - other.n, self.total - other.total, self.outer - other.outer)

    @property
    def mean(self) -> Matrix:
        """Mean row, ``[d]``."""
        return self.total / self.n

    def covariance(self) -> Matrix:
        """Return the sample covariance (divisor n - 1), ``[d, d]``."""
        import numpy as np

        result: Matrix = (self.outer - np.outer(self.total, self.mean)) / (self.n - 1)
        return result


def frechet_distance(a: Moments, b: Moments, *, quick: bool = False) -> float:
    """Return ``|μa - μb|² + tr(A + B - 2 (A B)^½)`` for the covariances A and B.

    With factors R Rᵀ = A and S Sᵀ = B, the trace of ``(A B)^½`` is the sum of the singular values of
    ``Rᵀ S``: no root of a matrix that is not symmetric, and directions without variance add nothing.

    Args:
        a: at least two rows.
        b: at least two rows.
        quick: see `_nuclear_norm`.
    """
    import numpy as np

    left, right = a.covariance(), b.covariance()
    cross = _nuclear_norm(_factor(left).T @ _factor(right), quick=quick)
    shift = a.mean - b.mean
    return _not_negative(float(shift @ shift + np.trace(left) + np.trace(right)) - 2 * cross)


def _factor(covariance: Matrix) -> Matrix:
    """Return R with ``R Rᵀ`` equal to a covariance, which may be singular (Cholesky with pivoting)."""
    import numpy as np
    from scipy.linalg import lapack  # type: ignore[import-untyped, unused-ignore]

    lower, pivots, rank, _ = lapack.dpstrf(covariance, lower=1)
    result: Matrix = np.zeros((len(covariance), rank))
    result[pivots - 1] = np.tril(lower[:, :rank])
    return result


def _nuclear_norm(matrix: Matrix, *, quick: bool) -> float:
    """Return the sum of singular values.

    `quick` takes them from the eigenvalues of the Gram matrix: four times faster, but singular values below
    1e-8 of the largest are lost in rounding. Enough for the replicates of a jackknife, not for the number.
    """
    import numpy as np

    if quick:
        return float(np.sqrt(np.linalg.eigvalsh(matrix @ matrix.T).clip(0)).sum())
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


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

    def distance(self, chosen: npt.NDArray[np.bool_], *, quick: bool = False) -> float:
        n = int(chosen.sum())
        a, b, cross = self._a[chosen], self._b[chosen], self._cross[chosen][:, chosen]
        cross = cross - cross.mean(0)
        cross -= cross.mean(1, keepdims=True)
        shift = a.mean(0) - b.mean(0)
        spread = float(((a - a.mean(0)) ** 2).sum() + ((b - b.mean(0)) ** 2).sum())
        return _not_negative(
            float(shift @ shift) + (spread - 2 * _nuclear_norm(cross, quick=quick)) / (n - 1)
        )


def estimate(states: Sequence[FeatureRows]) -> Estimate:
    """Return the Fréchet distance with its delete-one-group jackknife interval.

    With more images than features only moments are held, and the states are read once for the whole and once
    for each group; otherwise the rows themselves are held.

    Args:
        states: feature rows of disjoint sets of images.

    Returns:
        NaN below two images; not reliable below twice as many images as features.

    Raises:
        ValueError: two states hold the same image, or features are not of one width.
    """
    import numpy as np

    index = [state.index for state in states]
    positions = np.concatenate(index) if index else np.zeros(0, np.int64)
    n = len(positions)
    if n < 2:
        reason = f"n = {n}, at least 2 images are needed"
        return Estimate(math.nan, math.nan, math.nan, jackknife.METHOD, reason, reliable=False)
    if len(np.unique(positions)) != n:
        raise ValueError("two states hold the same image")
    width = next(state.reference.shape[1] for state in states if len(state.index))
    value, left_out = _few(states) if n <= width else _many(states, positions, width)
    reliable = n >= 2 * width
    reason = "" if reliable else f"n = {n:,} below 2 × {width:,}"
    if value < _IDENTICAL:
        return Estimate(0.0, 0.0, 0.0, "exact", reason, reliable)
    return jackknife.estimate(value, left_out, smallest=0.0, reason=reason, reliable=reliable)


def _few(states: Iterable[FeatureRows]) -> tuple[float, list[float]]:
    import numpy as np

    rows = sum(states, FeatureRows.empty())
    pairs = _Paired(rows)
    groups = rows.index % GROUPS
    value = pairs.distance(np.ones(len(groups), bool))
    kept = (groups != group for group in np.unique(groups))
    return value, [pairs.distance(keep, quick=True) for keep in kept if keep.sum() >= 2]


def _many(
    states: Sequence[FeatureRows], positions: npt.NDArray[np.int64], width: int
) -> tuple[float, list[float]]:
    import numpy as np

    a, b = _moments(states, width, None)
    left_out = []
    for group in np.unique(positions % GROUPS):
        out_a, out_b = _moments(states, width, int(group))
        left_out.append(frechet_distance(a - out_a, b - out_b, quick=True))
    return frechet_distance(a, b), left_out


def _moments(states: Iterable[FeatureRows], width: int, group: int | None) -> tuple[Moments, Moments]:
    a, b = Moments.empty(width), Moments.empty(width)
    for state in states:
        rows = slice(None) if group is None else state.index % GROUPS == group
        if not len(state.index[rows]):
            continue
        a += Moments.of(state.reference[rows])
        b += Moments.of(state.reconstruction[rows])
    return a, b


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
