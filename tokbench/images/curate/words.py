"""Proposes words with a recogniser, and keeps those that it reads alike in three ways.

TokBench (arXiv 2505.18142) filters its sets by what its recogniser reads on the originals. Here a word must be found
in the picture and in the picture enlarged by 1.5, with one text and boxes that overlap; and it must be read once more
in the smallest box that holds both, without its surroundings, which is how the word tasks will read it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

Box = tuple[float, float, float, float]

SCALE = 1.5
LEAST_OVERLAP = 0.5
"""Least intersection over union of the boxes found at the two scales."""


class Finder(Protocol):
    """A recogniser that says where words are."""

    def find_words(self, image: Pixels) -> list[tuple[str, Box]]:
        """Find and read all words of uint8 ``[h, w, 3]``; boxes are ``(x0, y0, x1, y1)`` in pixels."""
        ...

    def read_words(self, crops: Sequence[Pixels]) -> list[str]:
        """Read images of one word each."""
        ...


@dataclass(frozen=True)
class Proposal:
    """Words proposed for a picture.

    Attributes:
        words: entries of ``truth.words``: ``text`` and ``box`` in whole pixels.
        dropped: how many words were left out, by reason.
    """

    words: list[dict[str, Any]]
    dropped: Counter[str]


def propose_words(pixels: Pixels, recogniser: Finder) -> Proposal:
    """Propose the words of uint8 ``[h, w, 3]`` on which a recogniser agrees with itself."""
    import numpy as np
    from PIL import Image

    height, width = pixels.shape[:2]
    size = (round(width * SCALE), round(height * SCALE))
    enlarged = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    scale_x, scale_y = size[0] / width, size[1] / height
    others = [
        (text, (x0 / scale_x, y0 / scale_y, x1 / scale_x, y1 / scale_y))
        for text, (x0, y0, x1, y1) in recogniser.find_words(enlarged)
    ]
    dropped: Counter[str] = Counter()
    agreed: list[tuple[str, tuple[int, int, int, int]]] = []
    for text, box in recogniser.find_words(pixels):
        other = max(others, key=lambda each: overlap(box, each[1]), default=None)
        if not text.strip() or not text.isprintable():
            dropped["not printable"] += 1
        elif other is None or overlap(box, other[1]) < LEAST_OVERLAP:
            dropped["boxes differ"] += 1
        elif other[0] != text:
            dropped["texts differ"] += 1
        else:
            agreed.append((text, _around(box, other[1], width, height)))
    crops = [pixels[y0:y1, x0:x1] for _, (x0, y0, x1, y1) in agreed]
    words = []
    for (text, box), read in zip(agreed, recogniser.read_words(crops), strict=True):
        if read == text:
            words.append({"text": text, "box": list(box)})
        else:
            dropped["not read in its box"] += 1
    return Proposal(words, dropped)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes; 0 when they do not touch."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (both - width * height)


def _around(a: Box, b: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the whole pixels that hold both boxes, inside the picture."""
    return (
        max(math.floor(min(a[0], b[0])), 0),
        max(math.floor(min(a[1], b[1])), 0),
        min(math.ceil(max(a[2], b[2])), width),
        min(math.ceil(max(a[3], b[3])), height),
    )
