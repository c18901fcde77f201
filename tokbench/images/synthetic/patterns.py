"""Gratings and zone plates whose frequency is known, in cycles per pixel; 0.5 is the most that pixels can carry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokbench.errors import UsageError
from tokbench.images.synthetic import Picture

if TYPE_CHECKING:
    import random

    import numpy as np
    import numpy.typing as npt

ORIENTATIONS = (0, 90, 45, 30)
"""Directions of gratings in degrees, from the x axis towards the lower edge."""


def grating(side: int, frequency: float, orientation: float, contrast: float, phase: float = 0) -> Picture:
    """Draw a sine grating.

    Level ``0.5 + 0.5 · contrast · cos(2π · frequency · (x cos θ + y sin θ) + phase)``, times 255, rounded.

    Args:
        side: of the image, in pixels.
        frequency: cycles per pixel, above 0 and at most 0.5.
        orientation: the direction in which it varies, in degrees.
        contrast: Michelson's, above 0 and at most 1.
        phase: radians.

    Raises:
        UsageError: a value is out of range.
    """
    _check(frequency, contrast)
    x, y = _coordinates(side)
    angle = math.radians(orientation)
    along = x * math.cos(angle) + y * math.sin(angle)
    truth = {"kind": "grating", "frequency": frequency, "orientation": orientation, "contrast": contrast}
    name = f"grating-{frequency:.4f}-{orientation:03.0f}-{round(contrast * 100):03d}"
    return Picture(name, _levels(2 * math.pi * frequency * along + phase, contrast), truth)


def zone_plate(side: int, frequency: float, contrast: float) -> Picture:
    """Draw rings whose local frequency grows from 0 in the centre to `frequency` at half a side from it.

    Raises:
        UsageError: frequency or contrast is out of range.
    """
    _check(frequency, contrast)
    x, y = _coordinates(side)
    radius = side / 2
    squared = (x - radius) ** 2 + (y - radius) ** 2
    truth = {
        "kind": "zone-plate",
        "max_frequency": frequency,
        "at_radius": radius,
        "contrast": contrast,
    }
    name = f"zone-plate-{frequency:.4f}-{round(contrast * 100):03d}"
    # The derivative of the phase along the radius r is 2π · frequency · r / radius.
    return Picture(name, _levels(math.pi * frequency * squared / radius, contrast), truth)


def gratings(count: int, side: int, contrast: float, source: random.Random) -> list[Picture]:
    """Draw `count` gratings, from 1/32 to 1/2 cycles a pixel in even octave steps, turning through `ORIENTATIONS`.

    At the highest frequency only axis-aligned gratings are drawn with phase 0: any other phase fades there.
    """
    steps = _spread(count, 1 / 32, 1 / 2)
    found = []
    for number, frequency in enumerate(steps):
        fastest = frequency > 0.45
        orientation = ORIENTATIONS[number % (2 if fastest else len(ORIENTATIONS))]
        phase = 0.0 if fastest else source.uniform(0, 2 * math.pi)
        found.append(grating(side, frequency, orientation, contrast, phase))
    return found


def zone_plates(count: int, side: int, contrast: float) -> list[Picture]:
    """Draw `count` zone plates that reach from 1/8 to 1/2 cycles a pixel, in even octave steps."""
    return [zone_plate(side, frequency, contrast) for frequency in _spread(count, 1 / 8, 1 / 2)]


def _spread(count: int, least: float, most: float) -> list[float]:
    if count == 1:
        return [most / 2]
    # Four decimals are what names and truth state, so they are what is drawn.
    return [round(least * (most / least) ** (at / (count - 1)), 4) for at in range(count)]


def _check(frequency: float, contrast: float) -> None:
    if not 0 < frequency <= 0.5:
        raise UsageError(f"frequency {frequency} is out of range", hint="use cycles per pixel, at most 0.5")
    if not 0 < contrast <= 1:
        raise UsageError(f"contrast {contrast} is out of range", hint="use a number above 0, at most 1")


def _coordinates(side: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    import numpy as np

    rows, columns = np.mgrid[0:side, 0:side].astype(np.float64)
    return columns, rows


def _levels(phase: npt.NDArray[np.float64], contrast: float) -> npt.NDArray[np.uint8]:
    import numpy as np

    grey = np.rint((0.5 + 0.5 * contrast * np.cos(phase)) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
