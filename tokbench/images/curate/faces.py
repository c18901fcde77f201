"""Proposes faces with a detector, and keeps those that it finds alike in two ways.

A face must be found in the picture and in its mirror image enlarged by 1.25, where the detector sees it at other sizes
and from the other side: as probable, with boxes that overlap, and with each of the five points in one place. Box and
points are the means of the two, so that what the detector does differently to the left and to the right cancels.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tokbench.images.curate.words import Box, overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

Points = tuple[tuple[float, float], ...]
Found = tuple[float, Box, Points]

SCALE = 1.25
LEAST_PROBABILITY = 0.9
LEAST_OVERLAP = 0.5
"""Least intersection over union of the two boxes."""
MOST_APART = 0.15
"""Largest distance of a point in the two ways, as a part of the long side of the box."""
SMALLEST = 20.0
"""Side in pixels of the smallest face that is looked for."""
SMALLEST_RATIO = 0.02
"""The same as a part of the picture's long side: the lower end of TokBench's smallest bin (arXiv 2505.18142)."""
_MIRRORED = (1, 0, 2, 4, 3)
"""Where the five points are in a mirror image: left and right change places."""


class FaceFinder(Protocol):
    """A detector that says where faces are."""

    def find_faces(self, image: Pixels, smallest: float) -> list[Found]:
        """Find the faces of uint8 ``[h, w, 3]`` from `smallest` pixels up.

        Returns:
            Of each, likeliest first: probability, box ``(x0, y0, x1, y1)`` edge to edge, and the five points left eye,
            right eye, nose, left and right corner of the mouth, the first pixel's centre being (0, 0).
        """
        ...


@dataclass(frozen=True)
class FaceProposal:
    """Faces proposed for a picture.

    Attributes:
        faces: entries of ``truth.faces``: ``box`` and ``points`` to a tenth of a pixel.
        dropped: how many faces were left out, by reason.
    """

    faces: list[dict[str, Any]]
    dropped: Counter[str]


def propose_faces(pixels: Pixels, detector: FaceFinder) -> FaceProposal:
    """Propose the faces of uint8 ``[h, w, 3]`` on which a detector agrees with itself."""
    height, width = pixels.shape[:2]
    smallest = max(SMALLEST, SMALLEST_RATIO * max(height, width))
    others = _in_the_mirror(pixels, detector, smallest)
    dropped: Counter[str] = Counter()
    faces = []
    for probability, box, points in detector.find_faces(pixels, smallest):
        other = max(others, key=lambda each: overlap(box, each[1]), default=None)
        if other is None or overlap(box, other[1]) < LEAST_OVERLAP:
            dropped["found in one way only"] += 1
            continue
        others.remove(other)
        side = max(box[2] - box[0], box[3] - box[1])
        apart = max(math.dist(one, two) for one, two in zip(points, other[2], strict=True))
        middle = [_mean(one, two) for one, two in zip(points, other[2], strict=True)]
        if min(probability, other[0]) < LEAST_PROBABILITY:
            dropped["improbable"] += 1
        elif apart > MOST_APART * side:
            dropped["points differ"] += 1
        elif not all(0 <= x <= width - 1 and 0 <= y <= height - 1 for x, y in middle):
            dropped["cut off by the border"] += 1
        else:
            x0, y0, x1, y1 = _mean(box, other[1])
            inside = [max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))]
            faces.append({"box": inside, "points": middle})
    return FaceProposal(faces, dropped)


def _in_the_mirror(pixels: Pixels, detector: FaceFinder, smallest: float) -> list[Found]:
    """Return the faces of the enlarged mirror image, in the coordinates of the picture."""
    import numpy as np
    from PIL import Image, ImageOps

    height, width = pixels.shape[:2]
    size = (round(width * SCALE), round(height * SCALE))
    mirrored = ImageOps.mirror(Image.fromarray(pixels)).resize(size, Image.Resampling.BICUBIC)
    scale_x, scale_y = size[0] / width, size[1] / height
    faces = []
    for probability, (x0, y0, x1, y1), points in detector.find_faces(np.asarray(mirrored), smallest):
        box = (width - x1 / scale_x, y0 / scale_y, width - x0 / scale_x, y1 / scale_y)
        # Points count from the middle of the first pixel, boxes from its edge.
        back = [
            (width - (x + 0.5) / scale_x - 0.5, (y + 0.5) / scale_y - 0.5)
            for x, y in (points[number] for number in _MIRRORED)
        ]
        faces.append((probability, box, tuple(back)))
    return faces


def _mean(one: Sequence[float], two: Sequence[float]) -> list[float]:
    return [round((a + b) / 2, 1) for a, b in zip(one, two, strict=True)]
