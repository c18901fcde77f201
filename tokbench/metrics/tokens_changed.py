"""How many positions a view has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric
from tokbench.metrics.codebook import needs_codebook

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch


def _measure(batch: Batch) -> npt.NDArray[np.float64]:
    now, clean = batch.codes.ids, (batch.clean_codes or batch.codes).ids
    assert now is not None
    assert clean is not None
    changed = (now != clean).reshape(len(now), batch.spec.codebooks, -1).any(dim=1)
    share: npt.NDArray[np.float64] = changed.double().mean(dim=1).cpu().numpy()
    return share


TOKENS_CHANGED = ImageMetric(
    name="tokens_changed",
    title="changed",
    unit="",
    higher_is_better=None,
    measure=_measure,
    definition=(
        "Share of positions at which the view changed at least one id; with several codebooks a position has several."
    ),
    applies=needs_codebook,
)
