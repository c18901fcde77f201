"""Images made by rule, with exact truth: text pages, gratings, zone plates and charts.

Everything is drawn from a seed, so the same seed, font file and versions of Pillow and numpy give the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Picture:
    """One generated image.

    Attributes:
        id: its name in the set.
        pixels: uint8 ``[side, side, 3]``, RGB.
        truth: what is in it, as a card's item says it.
    """

    id: str
    pixels: npt.NDArray[np.uint8]
    truth: Mapping[str, Any] = field(default_factory=dict)
