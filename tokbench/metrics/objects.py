"""Survival of small things: does a classifier see the same in a crop of the reconstruction as in the original's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.metrics.agreement import agreement
from tokbench.metrics.base import ImageMetric
from tokbench.networks.squash import squash

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

SIDE = 128
"""Crops are squashed to this square before they are classified."""

MOST = 16
"""Boxes of one size that count in one image, the first in the card's order: pages of text have hundreds."""

_KINDS = ("objects", "words", "faces")


@dataclass(frozen=True)
class ObjectAgreement:
    """Per image the share of boxes of a size whose crop keeps its top class.

    Attributes:
        least: smallest side, ``sqrt(area)``, in pixels of the original as the protocol shows it.
        most: largest side, exclusive.
    """

    least: float
    most: float

    def __call__(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Return the shares, float64 ``[n]``; NaN for images without such a box."""
        import numpy as np

        result = np.full(len(batch.original), np.nan)
        for position, truth in enumerate(batch.truth):
            chosen = self.boxes(truth, *batch.original.shape[-2:])
            if not chosen:
                continue
            look = batch.evaluator("lite0")
            key = f"lite0:objects-{self.least}-{position}"
            before = batch.once(key, lambda: look(_crops(batch.original[position], chosen)).logits)  # noqa: B023
            after = look(_crops(batch.reconstruction[position], chosen)).logits
            result[position] = agreement(before, after, 1).mean()
        return result

    def boxes(self, truth: Mapping[str, Any], height: int, width: int) -> list[tuple[int, int, int, int]]:
        """Return the boxes of this size as whole pixels ``(x0, y0, x1, y1)``, outwards, inside the image."""
        found = []
        for kind in _KINDS:
            for entry in truth.get(kind, ()):
                x0, y0, x1, y1 = entry["box"]
                if self.least <= math.sqrt(max(x1 - x0, 0) * max(y1 - y0, 0)) < self.most:
                    left, top = max(math.floor(x0), 0), max(math.floor(y0), 0)
                    right, bottom = min(math.ceil(x1), width), min(math.ceil(y1), height)
                    if right > left and bottom > top:
                        found.append((left, top, right, bottom))
        return found[:MOST]


def _crops(image: Tensor, boxes: list[tuple[int, int, int, int]]) -> Tensor:
    import torch

    return torch.cat([squash(image[None, :, y0:y1, x0:x1], SIDE, "bicubic") for x0, y0, x1, y1 in boxes])


def _metric(size: str, title: str, least: float, most: float) -> ImageMetric:
    span = f"from {least:g} to below {most:g}" if math.isfinite(most) else f"of at least {least:g}"
    return ImageMetric(
        name=f"object_agreement_{size}",
        title=title,
        unit="",
        higher_is_better=True,
        measure=ObjectAgreement(least, most),
        definition=(
            f"Share of annotated objects, words and faces {span} pixels (square root of the box area; COCO's limits) "
            "whose crop EfficientNet-Lite0 puts in the same class before and after; mean over images that have any."
        ),
        network="lite0",
    )


OBJECTS_SMALL = _metric("small", "obj-S", 0.0, 32.0)
OBJECTS_MEDIUM = _metric("medium", "obj-M", 32.0, 96.0)
OBJECTS_LARGE = _metric("large", "obj-L", 96.0, math.inf)
