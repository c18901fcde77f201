"""What a card says is written in an image, checked, and the pieces of pixels to read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.errors import DataError
from tokbench.metrics.text import UNKNOWN, script_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.networks.recognisers import Recogniser


@dataclass(frozen=True)
class Word:
    """An annotated word.

    Attributes:
        text: the true word, not empty.
        box: ``[x0, y0, x1, y1]`` in pixels of the original as metrics see it, fractions cut off.
        script: number of its script.
        ratio: the size ratio that the annotation states; NaN when it states none.
        size: em size of the font in pixels of the original; NaN when the annotation states none.
    """

    text: str
    box: tuple[int, int, int, int]
    script: int
    ratio: float
    size: float = math.nan


def words_of(truth: Mapping[str, Any], index: int) -> list[Word]:
    """Return the annotated words of an image, in the card's order; none where the card has none.

    Args:
        truth: what the card knows, boxes in pixels of the original.
        index: plan position of the image, for messages.

    Raises:
        DataError: a word has no text, or an unusable box, ratio or size.
    """
    return [
        _word(entry, f"image {index}, word {number}") for number, entry in enumerate(truth.get("words", ()))
    ]


def _word(entry: Mapping[str, Any], where: str) -> Word:
    hint = "mend truth.words in the card of the image set"
    text = entry.get("text")
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: the true text is empty", hint=hint)
    box = entry.get("box", ())
    if len(box) != 4 or not all(math.isfinite(side) for side in box) or box[0] > box[2] or box[1] > box[3]:
        raise DataError(f"{where} (`{text}`): box {list(box)} is not [x0, y0, x1, y1]", hint=hint)
    ratio = entry.get("ratio", math.nan)
    if not isinstance(ratio, int | float) or ratio < 0:
        raise DataError(f"{where} (`{text}`): ratio {ratio!r} is not a number from 0 on", hint=hint)
    size = entry.get("size", math.nan)
    if not isinstance(size, int | float) or size <= 0:
        raise DataError(f"{where} (`{text}`): size {size!r} is not a number above 0", hint=hint)
    x0, y0, x1, y1 = (int(side) for side in box)
    script = script_number(str(entry.get("script", "")))
    return Word(text, (x0, y0, x1, y1), script, float(ratio), float(size))


def script_of_page(words: Sequence[Word]) -> int:
    """Return the script that all words share, else `UNKNOWN`."""
    scripts = {word.script for word in words}
    return scripts.pop() if len(scripts) == 1 else UNKNOWN


def as_arrays(images: Tensor) -> npt.NDArray[np.uint8]:
    """Return uint8 ``[n, 3, h, w]`` as ``[n, h, w, 3]`` in main memory."""
    pixels: npt.NDArray[np.uint8] = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def read_words(recogniser: Recogniser, images: Tensor, words: Sequence[Sequence[Word]]) -> list[list[str]]:
    """Let a recogniser read the annotated boxes of images, without margin, as TokBench crops them.

    Args:
        recogniser: who reads.
        images: uint8 ``[n, 3, h, w]``.
        words: the words of each image.

    Returns:
        What is read, image by image; an empty string for a box without a whole pixel.
    """
    pixels = as_arrays(images)
    crops = [
        [image[word.box[1] : word.box[3], word.box[0] : word.box[2]] for word in found]
        for image, found in zip(pixels, words, strict=True)
    ]
    seen = iter(recogniser.read_words([crop for found in crops for crop in found if crop.size]))
    return [[next(seen) if crop.size else "" for crop in found] for found in crops]
