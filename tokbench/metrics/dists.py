"""DISTS as a metric; the network does the comparing, since the learned weights are its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch


def _measure(batch: Batch) -> npt.NDArray[np.float64]:
    distances = batch.evaluator("dists").distance(*batch.features("dists"))
    values: npt.NDArray[np.float64] = distances.nan_to_num(math.inf, posinf=math.inf).cpu().numpy()
    return values


DISTS = ImageMetric(
    name="dists",
    title="DISTS",
    unit="",
    higher_is_better=False,
    measure=_measure,
    definition=(
        "Deep image structure and texture similarity (Ding et al., arXiv 2004.07728): VGG-16 with blurred pooling, fed "
        "[0, 1] at the protocol's size; 0 for equal images."
    ),
    network="dists",
)
