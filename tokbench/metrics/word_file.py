"""Word scores of what somebody has read already: a CSV of true and predicted words with their size ratios."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.errors import DataError, UsageError
from tokbench.metrics.text import BINS, EDGES, UNKNOWN, bin_numbers, t_acc, t_ned
from tokbench.metrics.word_scores import BinnedMean
from tokbench.metrics.words import WordRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COLUMNS = ("truth", "predicted", "ratio")
"""Columns a file must have; others are ignored, but for `IMAGE`."""

IMAGE = "file_name"
"""Column that tells images apart where a file has it: intervals then treat an image's words as one draw."""


@dataclass(frozen=True)
class ReadWord:
    """One line of a file.

    Attributes:
        truth: the true word, not empty.
        predicted: what was read; may be empty.
        ratio: size ratio of its box.
        image: what tells its image apart.
    """

    truth: str
    predicted: str
    ratio: float
    image: str


def read_word_file(path: Path) -> list[ReadWord]:
    """Read a CSV with a header line.

    Args:
        path: a UTF-8 file with the columns `COLUMNS`. Without a column `IMAGE` every line is an image of its own.

    Raises:
        DataError: it cannot be read, lacks a column, or a line is wrong; names line and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            for column in COLUMNS:
                if column not in (reader.fieldnames or ()):
                    raise DataError(
                        f"{path}, line 1: no column `{column}`",
                        hint=f"the first line must name the columns {', '.join(COLUMNS)}",
                    )
            words = [
                _word(row, f"{path}, line {reader.line_num}", number) for number, row in enumerate(reader)
            ]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}", hint="write it anew as CSV") from error
    if not words:
        raise DataError(
            f"{path} has no line of words", hint="one line a word, after the line of column names"
        )
    return words


def _word(row: Mapping[str | None, Any], where: str, number: int) -> ReadWord:
    for column in COLUMNS:
        if row[column] is None:
            raise DataError(f"{where}: column `{column}` is missing", hint="give every line all columns")
    if None in row:
        raise DataError(f"{where}: more fields than columns", hint="put fields that hold commas in quotes")
    if not row["truth"]:
        raise DataError(f"{where}: column `truth` is empty", hint="leave words without a true text out")
    try:
        ratio = float(row["ratio"])
    except ValueError:
        ratio = math.nan
    if not 0 <= ratio < math.inf:
        raise DataError(
            f"{where}: column `ratio` must be a number from 0 on, got `{row['ratio']}`",
            hint="long side of the box / (characters · long side of the image)",
        )
    return ReadWord(row["truth"], row["predicted"], ratio, row.get(IMAGE) or f"line {number}")


def score_words(words: Sequence[ReadWord], setting: int) -> dict[str, Any]:
    """Score words as TokBench does.

    Args:
        words: at least one.
        setting: 256, 512 or 1024.

    Returns:
        ``setting``; ``words``: each with its scores and its bin (None outside the bins); ``bins``: by name ``n``,
        ``t_acc``, ``t_ned`` and their 95 % intervals ``t_acc_ci`` and ``t_ned_ci``; ``mean``: the same of the mean of
        the bins; ``dropped``: words outside the bins. NaN where a bin has no word.

    Raises:
        UsageError: no such setting.
    """
    import numpy as np

    if setting not in EDGES:
        raise UsageError(f"setting {setting} is not known", hint=f"settings are {', '.join(map(str, EDGES))}")
    scores = [(t_acc(word.truth, word.predicted), t_ned(word.truth, word.predicted)) for word in words]
    rows = _rows(words, scores)
    numbers = bin_numbers(np.array([word.ratio for word in words]), setting).tolist()
    return {
        "setting": setting,
        "words": [
            {
                "truth": word.truth,
                "predicted": word.predicted,
                "ratio": word.ratio,
                "t_acc": accuracy,
                "t_ned": similarity,
                "bin": BINS[number] if number >= 0 else None,
            }
            for word, (accuracy, similarity), number in zip(words, scores, numbers, strict=True)
        ],
        "bins": {
            name: {"n": numbers.count(at)} | _estimates(rows, setting, name) for at, name in enumerate(BINS)
        },
        "mean": _estimates(rows, setting, "mean"),
        "dropped": numbers.count(-1),
    }


def _rows(words: Sequence[ReadWord], scores: Sequence[tuple[int, float]]) -> WordRows:
    images: dict[str, int] = {}
    unknown = [math.nan] * len(words)
    return WordRows.of(
        {
            "index": [images.setdefault(word.image, len(images)) for word in words],
            "word": range(len(words)),
            "length": [len(word.truth) for word in words],
            "ratio": [word.ratio for word in words],
            "size": unknown,
            "script": [UNKNOWN] * len(words),
            "correct": [accuracy for accuracy, _ in scores],
            "similarity": [similarity for _, similarity in scores],
            "original_correct": unknown,
            "original_similarity": unknown,
        }
    )


def _estimates(rows: WordRows, setting: int, part: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, column in (("t_acc", "correct"), ("t_ned", "similarity")):
        estimate = BinnedMean(setting, column, part).of(rows)
        found |= {name: estimate.value, f"{name}_ci": [estimate.low, estimate.high]}
    return found
