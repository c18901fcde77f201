"""Text recognisers behind one interface, and the order in which the lines of a page are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    Image = npt.NDArray[np.uint8]


@runtime_checkable
class Recogniser(Protocol):
    """Reads text in images; what it reads in one image does not depend on the others it is given."""

    def read_words(self, crops: Sequence[Image]) -> list[str]:
        """Read images of one word each.

        Args:
            crops: uint8 ``[h, w, 3]``, RGB, at least one pixel each way; sizes may differ.

        Returns:
            What is read in each, in order; an empty string where nothing is.
        """
        ...

    def read_page(self, image: Image) -> str:
        """Find and read all text of a page.

        Args:
            image: uint8 ``[h, w, 3]``, RGB.

        Returns:
            The lines, top to bottom, joined by newlines; empty when nothing is found.
        """
        ...


def in_reading_order(texts: Sequence[str], boxes: Sequence[Sequence[Sequence[float]]]) -> str:
    """Join pieces of horizontal text left to right and line by line.

    Two pieces share a line when their vertical extents overlap by more than half of the lower one.

    Args:
        texts: what each piece says.
        boxes: the corners of each piece, ``[[x, y], …]`` in pixels.

    Returns:
        Pieces of a line joined by blanks, lines by newlines.
    """
    spans = []
    for text, corners in zip(texts, boxes, strict=True):
        xs, ys = zip(*((float(x), float(y)) for x, y in corners), strict=True)
        spans.append((min(ys), max(ys), min(xs), text))
    lines: list[list[tuple[float, float, float, str]]] = []
    for span in sorted(spans):
        line = next((each for each in lines if _share_a_line(each[0], span)), None)
        if line is None:
            lines.append([span])
        else:
            line.append(span)
    return "\n".join(
        " ".join(text for _, _, _, text in sorted(line, key=lambda span: span[2])) for line in lines
    )


def _share_a_line(a: tuple[float, float, float, str], b: tuple[float, float, float, str]) -> bool:
    overlap = min(a[1], b[1]) - max(a[0], b[0])
    return overlap > min(a[1] - a[0], b[1] - b[0]) / 2
