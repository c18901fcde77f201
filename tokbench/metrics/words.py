"""The state behind word scores: every annotated word with how well it was read on either side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tokbench.metrics.annotations import read_words, words_of
from tokbench.metrics.base import Collector
from tokbench.metrics.rows import Rows
from tokbench.metrics.text import size_ratio, t_acc, t_ned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokbench.metrics.base import Batch


class WordRows(Rows):
    """One row a word.

    Columns: ``index`` of the image and ``word`` in it name a row; ``length`` of the true word in characters; ``ratio``,
    its size ratio; ``size`` of its font in pixels, NaN when unknown; ``script``; ``correct`` (T-ACC, 0 or 1) and
    ``similarity`` (T-NED) on the reconstruction, and ``original_correct`` and ``original_similarity`` of the same
    recogniser on the original, NaN when unknown.
    """

    SCHEMA: ClassVar[Mapping[str, str]] = {
        "index": "int64",
        "word": "int32",
        "length": "int32",
        "ratio": "float64",
        "size": "float64",
        "script": "int8",
        "correct": "float64",
        "similarity": "float64",
        "original_correct": "float64",
        "original_similarity": "float64",
    }
    KEYS: ClassVar[int] = 2


@dataclass(frozen=True)
class CollectWords:
    """Reads the annotated words of a batch: the originals once for all tokenizers, every reconstruction anew.

    Attributes:
        recogniser: name of the evaluator that reads.
    """

    recogniser: str

    def __call__(self, batch: Batch) -> WordRows:
        """Return the rows of a batch.

        Raises:
            DataError: an annotation cannot be used.
        """
        words = [words_of(truth, int(index)) for truth, index in zip(batch.truth, batch.index, strict=True)]
        reader = batch.evaluator(self.recogniser)
        before = batch.once(f"{self.recogniser}:words", lambda: read_words(reader, batch.original, words))
        after = read_words(reader, batch.reconstruction, words)
        height, width = batch.original.shape[-2:]
        rows = [
            (
                index,
                number,
                len(word.text),
                word.ratio
                if not math.isnan(word.ratio)
                else size_ratio(word.box, len(word.text), height, width),
                word.size,
                word.script,
                t_acc(word.text, read),
                t_ned(word.text, read),
                t_acc(word.text, seen),
                t_ned(word.text, seen),
            )
            for index, *image in zip(batch.index, words, after, before, strict=True)
            for number, (word, read, seen) in enumerate(zip(*image, strict=True))
        ]
        if not rows:
            return WordRows.empty()
        return WordRows.of(dict(zip(WordRows.SCHEMA, zip(*rows, strict=True), strict=True)))


def word_collector(recogniser: str) -> Collector:
    """Return the collector of the words that a recogniser reads, ``words-<recogniser>``."""
    return Collector(f"words-{recogniser}", WordRows, CollectWords(recogniser), recogniser)
