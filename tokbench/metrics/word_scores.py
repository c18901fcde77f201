"""T-ACC and T-NED over the words of an image set, by scale (TokBench, arXiv 2505.18142), and beside the originals.

Words of all images and sets are pooled; a bin's score is the mean over its words, the reported score the plain mean of
the three bins. Words outside the bins are left out and counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tokbench.metrics.base import Estimate, SetMetric
from tokbench.metrics.groups import Sums, divided, nothing
from tokbench.metrics.text import BINS, bin_numbers
from tokbench.metrics.words import WordRows, word_collector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

Field = Literal["correct", "similarity"]
_COUNT = len(BINS)


@dataclass(frozen=True)
class BinnedMean:
    """The mean of a score in one bin, or the mean of the three bins.

    Attributes:
        setting: 256, 512 or 1024: which edges the bins have.
        score: the column of `WordRows` that is averaged.
        part: a name of `BINS`, or ``mean``.
        readable: only words that the same recogniser reads exactly on the original, as TokBench filters its sets.
    """

    setting: int
    score: str
    part: str = "mean"
    readable: bool = False

    def __call__(self, states: Sequence[WordRows]) -> Estimate:
        """Return the mean with its interval; NaN when a bin it needs has no word."""
        return self.of(WordRows.joined(states))

    def of(self, rows: WordRows) -> Estimate:
        """Return the same for rows that are already together."""
        if not len(rows):
            return nothing("no annotated word in these images")
        if self.readable:
            rows = rows.where(rows["original_correct"] == 1)
        number = bin_numbers(rows["ratio"], self.setting)
        sums = _binned(rows, number, self.score)
        if self.part == "mean":
            return sums.estimate(_mean_of_bins, smallest=0, largest=1, reason=_reason(number))
        at = BINS.index(self.part)
        reason = "" if (number == at).any() else f"no word in bin {self.part}"
        return sums.estimate(
            lambda total: divided(total[at], total[_COUNT + at]), smallest=0, largest=1, reason=reason
        )


@dataclass(frozen=True)
class BesideOriginal:
    """The mean of the three bins on the reconstructions against the same on the originals.

    Attributes:
        setting: 256, 512 or 1024.
        score: ``correct`` or ``similarity``.
        drop: the difference, original minus reconstruction, instead of the quotient.
    """

    setting: int
    score: Field
    drop: bool = False

    def __call__(self, states: Sequence[WordRows]) -> Estimate:
        """Return reconstruction / original, 1 where nothing is lost; or the drop, 0 there."""
        rows = WordRows.joined(states)
        if not len(rows):
            return nothing("no annotated word in these images")
        number = bin_numbers(rows["ratio"], self.setting)
        sums = _binned(rows, number, self.score, f"original_{self.score}")

        def against(total: Floats) -> float:
            after = _mean_of_bins(total[: 2 * _COUNT])
            before = _mean_of_bins(total[2 * _COUNT :])
            return before - after if self.drop else divided(after, before)

        reason = _reason(number)
        if not self.drop and not rows[f"original_{self.score}"][number >= 0].any():
            reason = "nothing is read on the originals"
        smallest = -1.0 if self.drop else 0.0
        return sums.estimate(
            against, smallest=smallest, largest=1.0 if self.drop else math.inf, reason=reason
        )


@dataclass(frozen=True)
class WordCount:
    """How many words the scores rest on, or how many lie outside the bins.

    Attributes:
        setting: 256, 512 or 1024.
        dropped: count those outside.
    """

    setting: int
    dropped: bool

    def __call__(self, states: Sequence[WordRows]) -> Estimate:
        """Return the count."""
        number = bin_numbers(WordRows.joined(states)["ratio"], self.setting)
        count = float(((number < 0) == self.dropped).sum())
        return Estimate(count, count, count, "exact")


def _binned(rows: WordRows, number: npt.NDArray[np.int64], *scores: str) -> Sums:
    """Add up, for each score: its sum in each of the three bins, then the words in each."""
    quantities = []
    for score in scores:
        quantities += [rows[score] * (number == at) for at in range(_COUNT)]
        quantities += [number == at for at in range(_COUNT)]
    return Sums.of(rows["index"], *quantities)


def _mean_of_bins(total: Floats) -> float:
    return math.fsum(divided(total[at], total[_COUNT + at]) for at in range(_COUNT)) / _COUNT


def _reason(number: npt.NDArray[np.int64]) -> str:
    empty = [name for at, name in enumerate(BINS) if not (number == at).any()]
    if empty:
        return f"no word in bin {' and '.join(empty)}"
    dropped = int((number < 0).sum())
    return f"{dropped:,} of {len(number):,} words lie outside the bins" if dropped else ""


def word_metrics(recogniser: str, setting: int, suffix: str = "") -> tuple[SetMetric, ...]:
    """Return the word metrics of one recogniser at one setting.

    Args:
        recogniser: name of the evaluator.
        setting: 256, 512 or 1024.
        suffix: ends every name, since a name must mean one thing in all tasks.
    """
    collector = word_collector(recogniser)
    who = f"read by {recogniser} in annotated boxes, bins of setting {setting}"

    def metric(
        name: str, title: str, finish: Callable[..., Estimate], definition: str, higher: bool | None
    ) -> SetMetric:
        return SetMetric(f"{name}{suffix}", title, "", higher, collector, finish, definition)

    found = []
    scores: tuple[tuple[str, str, Field, str], ...] = (
        ("t_acc", "T-ACC", "correct", "share of words read exactly"),
        ("t_ned", "T-NED", "similarity", "1 - edit distance / length of the longer"),
    )
    for name, title, score, what in scores:
        found.append(
            metric(
                name,
                title,
                BinnedMean(setting, score),
                f"TokBench's {title}: {what}, mean of three scale bins; {who}.",
                True,
            )
        )
        for part in BINS:
            found.append(
                metric(
                    f"{name}_{part}",
                    f"{title} {part[0].upper()}",
                    BinnedMean(setting, score, part),
                    f"TokBench's {title} of {part} words; {who}.",
                    True,
                )
            )
        found.append(
            metric(
                f"{name}_original",
                f"{title} o",
                BinnedMean(setting, f"original_{score}"),
                f"{title} of the originals, the most a tokenizer can be expected to reach; {who}.",
                True,
            )
        )
        found.append(
            metric(
                f"{name}_relative",
                f"{title} %",
                BesideOriginal(setting, score),
                f"{title} of the reconstructions divided by that of the originals; {who}.",
                True,
            )
        )
    drop, readable = (
        BesideOriginal(setting, "correct", drop=True),
        BinnedMean(setting, "correct", readable=True),
    )
    found += [
        metric("t_acc_drop", "T-ACC -", drop, f"T-ACC of the originals minus that of reconstructions; {who}.", False),
        metric(
            "t_acc_readable",
            "T-ACC r",
            readable,
            f"T-ACC of the words that are read exactly on the original, TokBench's filter; {who}.",
            True,
        ),
        metric("words", "words", WordCount(setting, dropped=False), f"Words inside the bins; {who}.", None),
        metric(
            "words_dropped", "dropped", WordCount(setting, dropped=True), f"Words outside the bins; {who}.", None
        ),
    ]  # fmt: skip
    return tuple(found)
