"""CMMD (Jayasumana et al., arXiv 2401.09603) and the similarity of CLIP's image embeddings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric, SetMetric
from tokbench.metrics.features import CLIP_ROWS, FeatureRows
from tokbench.metrics.kernel import estimate_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch, Estimate

    Matrix = npt.NDArray[np.float64]

SIGMA = 10.0
SCALE = 1000.0


def gaussian(x: Matrix, y: Matrix) -> Matrix:
    """Return ``exp(-|x_i - y_j|² / (2 σ²))`` with σ = 10, ``[n, m]``."""
    import numpy as np

    squared = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * (x @ y.T)
    result: Matrix = np.exp(squared / (-2 * SIGMA**2))
    return result


def cmmd(states: Sequence[FeatureRows]) -> Estimate:
    """Return 1000 times the squared MMD of CLIP embeddings with its jackknife interval.

    The V-statistic that the paper's code computes, every product included: biased upwards by about 1/n of the spread,
    and so comparable only at equal numbers of images. Above 10,000 images a fixed subset is used.

    Args:
        states: feature rows of disjoint sets of images.
    """
    return estimate_from(states, gaussian, _v_statistic)


def _v_statistic(sums: Matrix, n: int) -> float:
    same_x, same_y, cross, own = (float(part.sum()) for part in sums)
    # The kernel of a row with itself is 1; `group_sums` leaves those n products out.
    return SCALE * ((same_x + n) + (same_y + n) - 2 * (cross + own)) / n**2


def _similarity(batch: Batch) -> npt.NDArray[np.float64]:
    from torch.nn import functional

    original, reconstruction = (each.pooled for each in batch.features("clip-b32"))
    if original is None or reconstruction is None:
        raise ValueError("network clip-b32 has no embeddings")
    cosine = functional.cosine_similarity(original.double(), reconstruction.double())
    result: npt.NDArray[np.float64] = cosine.nan_to_num(math.inf, posinf=math.inf).cpu().numpy()
    return result


CMMD = SetMetric(
    name="cmmd",
    title="CMMD",
    unit="",
    higher_is_better=False,
    collector=CLIP_ROWS,
    finish=cmmd,
    definition=(
        "1000 × squared MMD under a Gaussian kernel (σ 10) of unit-length CLIP ViT-L/14-336 embeddings, V-statistic as "
        "in the authors' code (arXiv 2401.09603); both sides squashed to 336×336."
    ),
)

CLIP_SIMILARITY = ImageMetric(
    name="clip_similarity",
    title="CLIP-sim",
    unit="",
    higher_is_better=True,
    measure=_similarity,
    definition=(
        "Cosine of the CLIP ViT-B/32 embeddings of original and reconstruction, both squashed to 224×224 (One-D-Piece)."
    ),
    network="clip-b32",
)
