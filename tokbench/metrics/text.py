"""Scores of one word and of one page, size ratios, scale bins and scripts.

Word scores and bins are those of TokBench (arXiv 2505.18142), to the last digit of its code.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

BINS = ("small", "medium", "large")
"""Names of the scale bins, in order."""

EDGES: dict[int, tuple[float, float, float, float]] = {
    256: (0.02, 0.03, 0.04, 1.0),
    512: (0.01, 0.02, 0.03, 1.0),
    1024: (0.005, 0.01, 0.02, 1.0),
}
"""Edges of the half-open bins of text in images, by setting (the side the tokenizer works at, in pixels)."""

SCRIPTS = ("latin", "cyrillic", "greek", "chinese", "japanese", "korean", "devanagari")
"""Scripts that have scores of their own; their position is their number in states."""

UNBLANKED = ("chinese", "japanese")
"""Scripts that put no blanks between words: whitespace is not scored, and there is no word error rate."""

UNKNOWN = -1
"""Number of a script that is not in `SCRIPTS`, or of a page in several."""

_CODES = {
    "latn": "latin",
    "cyrl": "cyrillic",
    "grek": "greek",
    "hans": "chinese",
    "hant": "chinese",
    "hani": "chinese",
    "jpan": "japanese",
    "kore": "korean",
    "hang": "korean",
    "deva": "devanagari",
}


def script_number(name: str) -> int:
    """Return the position in `SCRIPTS` of a script given by ISO 15924 code or by name; `UNKNOWN` for any other."""
    lower = name.lower()
    found = _CODES.get(lower, lower)
    return SCRIPTS.index(found) if found in SCRIPTS else UNKNOWN


def distance(truth: Sequence[str], predicted: Sequence[str]) -> int:
    """Return the Levenshtein distance of two strings, or of two lists of words: unit costs, no transpositions."""
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(truth, predicted))


def t_acc(truth: str, predicted: str) -> int:
    """Return 1 when a word is read exactly, else 0: case-sensitive, nothing stripped or normalised."""
    return int(truth == predicted)


def t_ned(truth: str, predicted: str) -> float:
    """Return ``1 - distance / length of the longer``, a similarity in [0, 1]; case-sensitive.

    Raises:
        ValueError: the truth is empty.
    """
    if not truth:
        raise ValueError("a true word must not be empty")
    return 1 - distance(truth, predicted) / max(len(truth), len(predicted))


def size_ratio(box: Sequence[float], characters: int, height: int, width: int) -> float:
    """Return how large a word's characters are in its image.

    Args:
        box: ``[x0, y0, x1, y1]`` in pixels; fractions are cut off, as for the crop.
        characters: length of the true word.
        height: of the image, in pixels.
        width: of the image.

    Returns:
        Long side of the box / (characters · long side of the image).
    """
    x0, y0, x1, y1 = (int(side) for side in box)
    return max(x1 - x0, y1 - y0) / (characters * max(height, width))


def bin_numbers(ratios: npt.NDArray[np.float64], setting: int) -> npt.NDArray[np.int64]:
    """Return the position in `BINS` of each ratio; -1 below the first bin, from 1 on, and for NaN.

    Args:
        ratios: float64 ``[n]``.
        setting: 256, 512 or 1024.
    """
    import numpy as np

    found = np.searchsorted(EDGES[setting], ratios, side="right") - 1
    return np.where(found < len(BINS), found, -1).astype(np.int64)


def page_text(text: str, script: int) -> str:
    """Return a page's text as error rates compare it.

    Unicode NFC. Runs of whitespace, line ends included, count as one blank; in scripts of `UNBLANKED` they do not
    count at all. Case counts.

    Args:
        text: as written or read.
        script: number of the page's script.
    """
    words = unicodedata.normalize("NFC", text).split()
    return ("" if script != UNKNOWN and SCRIPTS[script] in UNBLANKED else " ").join(words)
