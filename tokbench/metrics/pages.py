"""The state behind page scores: what was read of every page against what is written on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tokbench.metrics.annotations import Word, as_arrays, script_of_page, words_of
from tokbench.metrics.base import Collector
from tokbench.metrics.rows import Rows
from tokbench.metrics.text import SCRIPTS, UNBLANKED, UNKNOWN, distance, page_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from tokbench.metrics.base import Batch
    from tokbench.networks.recognisers import Recogniser


class PageRows(Rows):
    """One row a page that has annotated words; every other column is a count.

    Columns: ``index`` of the image names a row; ``script``; ``characters`` and ``words`` of the true text (no words in
    scripts without blanks); ``distance`` and ``word_distance`` of what was read on the reconstruction from it, and
    ``original_distance`` and ``original_word_distance`` likewise on the original. For VTBench's figures the text read
    on the original stands for the truth: ``seen_characters`` and ``seen_words`` in it, ``seen_distance`` between what
    was read on either side, and ``joined_distance`` the same with single blanks between words.
    """

    SCHEMA: ClassVar[Mapping[str, str]] = {
        "index": "int64",
        "script": "int8",
        "characters": "int64",
        "words": "int64",
        "distance": "int64",
        "word_distance": "int64",
        "original_distance": "int64",
        "original_word_distance": "int64",
        "seen_characters": "int64",
        "seen_words": "int64",
        "seen_distance": "int64",
        "joined_distance": "int64",
    }
    KEYS: ClassVar[int] = 1


def page_row(words: Sequence[Word], read: str, seen: str) -> dict[str, int]:
    """Compare one page.

    Args:
        words: what is written on it, in reading order.
        read: what was read on the reconstruction.
        seen: what was read on the original.

    Returns:
        The columns of `PageRows` but ``index``. Nothing read means a distance of the whole text.
    """
    script = script_of_page(words)
    truth, after, before = (
        page_text(text, script) for text in (" ".join(word.text for word in words), read, seen)
    )
    blanks = script == UNKNOWN or SCRIPTS[script] not in UNBLANKED
    return {
        "script": script,
        "characters": len(truth),
        "words": len(truth.split()) if blanks else 0,
        "distance": distance(truth, after),
        "word_distance": distance(truth.split(), after.split()) if blanks else 0,
        "original_distance": distance(truth, before),
        "original_word_distance": distance(truth.split(), before.split()) if blanks else 0,
        "seen_characters": len(seen),
        "seen_words": len(seen.split()),
        "seen_distance": distance(seen, read),
        "joined_distance": distance(" ".join(seen.split()), " ".join(read.split())),
    }


@dataclass(frozen=True)
class CollectPages:
    """Reads the pages of a batch: the originals once for all tokenizers, every reconstruction anew.

    Attributes:
        recogniser: name of the evaluator that reads.
    """

    recogniser: str

    def __call__(self, batch: Batch) -> PageRows:
        """Return the rows of a batch; images without annotated words are left out.

        Raises:
            DataError: an annotation cannot be used.
        """
        words = [words_of(truth, int(index)) for truth, index in zip(batch.truth, batch.index, strict=True)]
        written = [bool(found) for found in words]
        reader = batch.evaluator(self.recogniser)
        before = batch.once(f"{self.recogniser}:pages", lambda: _read(reader, batch.original, written))
        after = _read(reader, batch.reconstruction, written)
        rows = [
            {"index": int(index)} | page_row(found, read, seen)
            for index, found, read, seen in zip(batch.index, words, after, before, strict=True)
            if found
        ]
        if not rows:
            return PageRows.empty()
        return PageRows.of({name: [row[name] for row in rows] for name in PageRows.SCHEMA})


def _read(recogniser: Recogniser, images: Tensor, written: Sequence[bool]) -> list[str]:
    return [
        recogniser.read_page(image) if wanted else ""
        for image, wanted in zip(as_arrays(images), written, strict=True)
    ]


def page_collector(recogniser: str) -> Collector:
    """Return the collector of the pages that a recogniser reads, ``pages-<recogniser>``."""
    return Collector(f"pages-{recogniser}", PageRows, CollectPages(recogniser), recogniser)
