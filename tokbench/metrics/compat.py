"""PSNR, SSIM and LPIPS as published scripts compute them, errors included; each is named for whose convention it is.

They exist to reproduce a paper's numbers, beside the metrics that are right. All of them start from the rounded 8-bit
reconstruction that the harness hands over: what a script did with unrounded floats cannot be repeated, and every
definition says so where it matters.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tokbench.metrics.base import Collector, ImageMetric, SetMetric
from tokbench.metrics.perceptual import distance
from tokbench.metrics.pixel import mean_psnr, psnr
from tokbench.metrics.pooled import PooledPsnr, Squares
from tokbench.metrics.window import SKIMAGE, TORCHMETRICS, windowed_ssim
from tokbench.networks.squash import squash

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

VTBENCH_SIDE = 256


@functools.cache
def seed_levels() -> tuple[int, ...]:
    """Return for each 8-bit level what SEED-Voken's evaluation makes of it.

    ``level / 127.5 - 1`` in float64, stored as float32, then back through ``(x + 1) / 2 * 255`` in float32 and
    truncated: 95 of the 256 levels come out one lower.
    """
    import numpy as np

    scaled = (np.arange(256) / 127.5 - 1).astype(np.float32)
    unit = (scaled + np.float32(1)) / np.float32(2)
    return tuple((unit * np.float32(255)).astype(np.uint8).tolist())


def _through_seed(images: Tensor) -> Tensor:
    import torch

    return torch.tensor(seed_levels(), dtype=torch.uint8, device=images.device)[images.long()]


def _squashed(batch: Batch) -> tuple[Tensor, Tensor]:
    original = batch.once("vtbench:squash", lambda: squash(batch.original, VTBENCH_SIDE, "bilinear"))
    return original, squash(batch.reconstruction, VTBENCH_SIDE, "bilinear")


def inferred_range(original: Tensor, reconstruction: Tensor) -> npt.NDArray[np.float64]:
    """Return ``max(range of original, range of reconstruction)`` of each image, in 8-bit levels."""
    import numpy as np

    spans = [
        (images.flatten(1).amax(1).int() - images.flatten(1).amin(1).int()).cpu().numpy()
        for images in (original, reconstruction)
    ]
    result: npt.NDArray[np.float64] = np.maximum(*spans).astype(np.float64)
    return result


def _ssim_llamagen(batch: Batch) -> npt.NDArray[np.float64]:
    return windowed_ssim(batch.original, batch.reconstruction, SKIMAGE, 2 * 255.0)


def _ssim_seed(batch: Batch) -> npt.NDArray[np.float64]:
    return windowed_ssim(_through_seed(batch.original), _through_seed(batch.reconstruction), SKIMAGE, 255.0)


def _psnr_seed(batch: Batch) -> npt.NDArray[np.float64]:
    return psnr(_through_seed(batch.original), _through_seed(batch.reconstruction))


def _ssim_lightningdit(batch: Batch) -> npt.NDArray[np.float64]:
    # Around zero, as [-1, 1] images are: the luminance term is not blind to where black lies.
    original, reconstruction = batch.original.double() - 127.5, batch.reconstruction.double() - 127.5
    return windowed_ssim(original, reconstruction, TORCHMETRICS, 255.0)


def _ssim_vtbench(batch: Batch) -> npt.NDArray[np.float64]:
    original, reconstruction = _squashed(batch)
    return windowed_ssim(original, reconstruction, TORCHMETRICS, inferred_range(original, reconstruction))


def _lpips_vtbench(batch: Batch) -> npt.NDArray[np.float64]:
    return distance(*batch.features("lpips-alex-vtbench"))


def _collect_vtbench(batch: Batch) -> Squares:
    return Squares.of(batch.index, *_squashed(batch))


SSIM_LLAMAGEN = ImageMetric(
    name="ssim_llamagen",
    title="SSIM-Ll",
    unit="",
    higher_is_better=True,
    measure=_ssim_llamagen,
    definition=(
        "LlamaGen's (also GigaTok's and ReTok's) SSIM, with its error: scikit-image, uniform 7×7 window, sample "
        "covariance, data_range 2.0 on [0, 1] images, which typically raises the value by 0.03 to 0.10."
    ),
)

SSIM_SEED = ImageMetric(
    name="ssim_seed",
    title="SSIM-Se",
    unit="",
    higher_is_better=True,
    measure=_ssim_seed,
    definition=(
        "SEED-Voken's SSIM: scikit-image, uniform 7×7 window, sample covariance, data_range 1, both sides truncated to "
        "8 bits after (x + 1) / 2 · 255; the reconstruction is rounded before, theirs is not."
    ),
)

PSNR_SEED = ImageMetric(
    name="psnr_seed",
    title="PSNR-Se",
    unit="dB",
    higher_is_better=True,
    measure=_psnr_seed,
    mean=mean_psnr,
    definition=(
        "SEED-Voken's PSNR: mean per image, both sides truncated to 8 bits after (x + 1) / 2 · 255, which lowers 95 of "
        "256 levels by one; the reconstruction is rounded before, theirs is not."
    ),
)

SSIM_LIGHTNINGDIT = ImageMetric(
    name="ssim_lightningdit",
    title="SSIM-Li",
    unit="",
    higher_is_better=True,
    measure=_ssim_lightningdit,
    definition=(
        "LightningDiT's SSIM: torchmetrics, Gaussian 11×11, σ 1.5, on [-1, 1] with that as data_range, mirrored "
        "borders counted; theirs sees the floats before rounding, which cannot be had here."
    ),
)

PSNR_VTBENCH = SetMetric(
    name="psnr_vtbench",
    title="PSNR-VT",
    unit="dB",
    higher_is_better=True,
    collector=Collector(name="squares-vtbench", kind=Squares, of=_collect_vtbench),
    finish=PooledPsnr(infer_range=True),
    definition=(
        "VTBench's PSNR: both sides squashed to 256×256 (Pillow bilinear), error pooled over the set, peak inferred as "
        "the greatest original value; theirs truncates the reconstruction, here it is rounded."
    ),
)

SSIM_VTBENCH = ImageMetric(
    name="ssim_vtbench",
    title="SSIM-VT",
    unit="",
    higher_is_better=True,
    measure=_ssim_vtbench,
    definition=(
        "VTBench's SSIM: both sides squashed to 256×256, torchmetrics, Gaussian 11×11, mirrored borders counted, data "
        "range inferred, here per image (theirs per batch of 8, which depends on neighbours)."
    ),
)

LPIPS_VTBENCH = ImageMetric(
    name="lpips_vtbench",
    title="LPIPS-VT",
    unit="",
    higher_is_better=False,
    measure=_lpips_vtbench,
    definition=(
        "VTBench's LPIPS, with its error: both sides squashed to 256×256, LPIPS 0.1 with AlexNet fed [0, 1] where it "
        "expects [-1, 1], so the value is too low."
    ),
    network="lpips-alex-vtbench",
)
