"""How much energy of each octave of spatial frequency a reconstruction keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric
from tokbench.metrics.luma import luma

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

EDGES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Cycles per pixel: band b holds ``EDGES[b - 1] < f <= EDGES[b]``; the last one includes the spectrum's corners."""

SMALLEST = 64
"""Below this side a Hann window smears the lowest band over its neighbours."""

_ROUNDING = 1 / 12
"""Variance of rounding to whole levels."""


def band_energies(images: Tensor) -> npt.NDArray[np.float64]:
    """Return the energy of each image's luma in four octaves of radial frequency.

    The luma loses its mean, is multiplied with a separable periodic Hann window and transformed; energy is the mean
    squared magnitude over the coefficients of a band, divided by the window's energy, so that white noise of variance
    v has energy v in every band.

    Args:
        images: uint8 ``[n, 3, h, w]``, sides of at least 64 pixels.

    Returns:
        float64 ``[n, 4]`` in squared levels, lowest band first.
    """
    import torch

    height, width = images.shape[-2:]
    kind = torch.float64
    window = torch.outer(torch.hann_window(height, dtype=kind), torch.hann_window(width, dtype=kind))
    radius = torch.hypot(
        torch.fft.fftfreq(height, dtype=kind)[:, None], torch.fft.fftfreq(width, dtype=kind)[None]
    )
    bands = [((radius > low) & (radius <= high)).to(images.device) for low, high in pairwise(EDGES)]
    window = window.to(images.device)
    energies = []
    # One image at a time: no image's last bits depend on its neighbours.
    for plane in luma(images):
        power = torch.fft.fft2((plane - plane.mean()) * window).abs().square() / window.square().sum()
        energies.append(torch.stack([power[band].mean() for band in bands]))
    result: npt.NDArray[np.float64] = torch.stack(energies).cpu().numpy()
    return result


def gains(batch: Batch) -> npt.NDArray[np.float64]:
    """Return reconstruction over original energy per band in dB, float64 ``[n, 4]``; 0 is perfect, negative lost.

    The variance of rounding to 8 bits is added to both energies: a band that holds less than rounding noise in the
    original is flat, and turning nothing into nothing is no deviation.
    """
    import numpy as np

    if min(batch.original.shape[-2:]) < SMALLEST:
        return np.full((len(batch.original), len(EDGES) - 1), np.nan)
    before = batch.once("spectrum", partial(band_energies, batch.original))
    after = batch.memo("spectrum", partial(band_energies, batch.reconstruction))
    decibels: npt.NDArray[np.float64] = 10 * np.log10((after + _ROUNDING) / (before + _ROUNDING))
    return decibels


@dataclass(frozen=True)
class _Deviation:
    band: int

    def __call__(self, batch: Batch) -> npt.NDArray[np.float64]:
        import numpy as np

        return np.abs(gains(batch)[:, self.band - 1])


def _loss(batch: Batch) -> npt.NDArray[np.float64]:
    import numpy as np

    return np.maximum(-gains(batch)[:, -1], 0.0)


def _band(band: int) -> ImageMetric:
    below = f"1/{round(1 / EDGES[band - 1])}"
    above = "the corner of the spectrum" if band == len(EDGES) - 1 else f"1/{round(1 / EDGES[band])}"
    return ImageMetric(
        name=f"band_{band}",
        title=f"band {band}",
        unit="dB",
        higher_is_better=False,
        measure=_Deviation(band),
        definition=(
            f"Absolute change in dB of the luma's spectral energy from {below} to {above} cycles per pixel (Hann "
            "window, 8-bit rounding noise added to both sides), mean over images; lost and invented energy count alike."
        ),
    )


BAND_1, BAND_2, BAND_3, BAND_4 = (_band(band) for band in range(1, len(EDGES)))

DETAIL_LOSS = ImageMetric(
    name="detail_loss",
    title="loss",
    unit="dB",
    higher_is_better=False,
    measure=_loss,
    definition=(
        "Spectral energy of the luma above 1/4 cycle per pixel that is missing, in dB (0 where nothing is missing or "
        "energy was added), mean over images."
    ),
)
