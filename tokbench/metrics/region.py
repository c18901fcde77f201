"""PSNR where the truth says what is there: inside annotated boxes, on the ink of drawings, on images of one kind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.metrics.base import ImageMetric
from tokbench.metrics.pixel import mean_psnr, psnr

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

BOXES = ("regions", "words", "faces")
"""Entries of the truth whose ``box`` is a region."""

PATTERNS = ("checkerboard", "grating", "colour-grating", "siemens-star", "zone-plate")
DRAWINGS = ("line-art", "chart", "small-print")
TEXTURES = ("photo-texture",)


def inside(truth: Mapping[str, Any], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return the pixels inside any box of an image's truth, bool ``[h, w]``; boxes are widened to whole pixels."""
    import numpy as np

    mask = np.zeros((height, width), bool)
    for name in BOXES:
        for entry in truth.get(name, ()):
            x0, y0, x1, y1 = entry["box"]
            mask[max(0, math.floor(y0)) : math.ceil(y1), max(0, math.floor(x0)) : math.ceil(x1)] = True
    return mask


def masked_psnr(original: Tensor, reconstruction: Tensor, mask: npt.NDArray[np.bool_]) -> float:
    """Return the PSNR in dB over the pixels of a mask; infinite where they are exact, NaN for an empty mask.

    Args:
        original: uint8 ``[3, h, w]``.
        reconstruction: uint8 of the same shape.
        mask: bool ``[h, w]``.
    """
    import torch

    where = torch.from_numpy(mask).to(original.device)
    difference = original[:, where].to(torch.int32) - reconstruction[:, where].to(torch.int32)
    if not difference.numel():
        return math.nan
    squares = int(difference.square().sum(dtype=torch.int64))
    return 10 * math.log10(255**2 * difference.numel() / squares) if squares else math.inf


def _measure_region(batch: Batch) -> npt.NDArray[np.float64]:
    import numpy as np

    height, width = batch.original.shape[-2:]
    images = zip(batch.original, batch.reconstruction, batch.truth, strict=True)
    return np.array([masked_psnr(x, y, inside(truth, height, width)) for x, y, truth in images], np.float64)


def _measure_ink(batch: Batch) -> npt.NDArray[np.float64]:
    import numpy as np

    values = []
    for x, y, truth in zip(batch.original, batch.reconstruction, batch.truth, strict=True):
        paper = truth.get("paper")
        if paper is None:
            values.append(math.nan)
        else:
            ink = (x.permute(1, 2, 0).cpu().numpy() != np.array(paper, np.uint8)).any(axis=2)
            values.append(masked_psnr(x, y, ink))
    return np.array(values, np.float64)


@dataclass(frozen=True)
class _OfKind:
    kinds: tuple[str, ...]

    def __call__(self, batch: Batch) -> npt.NDArray[np.float64]:
        import numpy as np

        chosen = [truth.get("kind") in self.kinds for truth in batch.truth]
        return np.where(chosen, psnr(batch.original, batch.reconstruction), np.nan)


def _of_kind(name: str, title: str, kinds: tuple[str, ...]) -> ImageMetric:
    return ImageMetric(
        name=name,
        title=title,
        unit="dB",
        higher_is_better=True,
        measure=_OfKind(kinds),
        mean=mean_psnr,
        definition=f"PSNR, mean over the images whose truth has the kind {', '.join(kinds)}.",
    )


REGION_PSNR = ImageMetric(
    name="region_psnr",
    title="PSNR-box",
    unit="dB",
    higher_is_better=True,
    measure=_measure_region,
    mean=mean_psnr,
    definition="PSNR over the pixels inside annotated boxes (regions, words, faces), mean over images that have any.",
)
INK_PSNR = ImageMetric(
    name="psnr_ink",
    title="PSNR-ink",
    unit="dB",
    higher_is_better=True,
    measure=_measure_ink,
    mean=mean_psnr,
    definition=(
        "PSNR over the pixels of the original that differ from the plain colour of its paper (`paper` in the truth), "
        "mean over images that state one: lines and letters without the blank between them."
    ),
)
PATTERN_PSNR = _of_kind("psnr_pattern", "PSNR-pat", PATTERNS)
DRAWING_PSNR = _of_kind("psnr_drawing", "PSNR-drw", DRAWINGS)
TEXTURE_PSNR = _of_kind("psnr_texture", "PSNR-tex", TEXTURES)
