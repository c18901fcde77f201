"""Character and word error rates of whole pages against what is written on them, per script.

Rates are those of a corpus, as in jiwer: distances and lengths are added up before they are divided. A page on which
nothing is read counts with its whole length, an error rate of 1, never 0; text that is not there makes a rate exceed 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tokbench.metrics.base import Estimate, SetMetric
from tokbench.metrics.groups import Sums, divided, nothing
from tokbench.metrics.pages import PageRows, page_collector
from tokbench.metrics.text import SCRIPTS, UNBLANKED

if TYPE_CHECKING:
    from collections.abc import Sequence

UNREADABLE = 0.5
"""Above this error rate on the originals the recogniser does not master the script, and nothing is ranked by it."""

_CODES = ("Latn", "Cyrl", "Grek", "Hani", "Jpan", "Kore", "Deva")
_UNITS: dict[str, tuple[str, str]] = {
    "character": ("distance", "characters"),
    "word": ("word_distance", "words"),
}


@dataclass(frozen=True)
class ErrorRate:
    """An error rate over all pages or over those of one script.

    Attributes:
        unit: ``character`` or ``word``.
        script: a name of `SCRIPTS`, or "" for every page.
        side: the reconstructions, the originals, what was added (the difference of the two), or the share kept
            (``(1 - rate) / (1 - rate of the originals)``, not below 0).
    """

    unit: Literal["character", "word"]
    script: str = ""
    side: Literal["reconstruction", "original", "added", "kept"] = "reconstruction"

    def __call__(self, states: Sequence[PageRows]) -> Estimate:
        """Return the rate with its interval; NaN without a page that has such text."""
        errors, total = _UNITS[self.unit]
        rows = PageRows.joined(states)
        rows = rows.where(rows[total] > 0)
        if self.script:
            rows = rows.where(rows["script"] == SCRIPTS.index(self.script))
        if not len(rows):
            return nothing(
                "no word in this script" if self.script else f"no page with {total} in these images"
            )
        sums = Sums.of(rows["index"], rows[errors], rows[f"original_{errors}"], rows[total])
        original = float(rows[f"original_{errors}"].sum() / rows[total].sum())
        reliable = self.side == "original" or original <= UNREADABLE
        reason = "" if reliable else f"{self.unit} error rate {original:.2f} on the originals"
        if self.side == "kept":
            return sums.estimate(
                lambda total: divided(max(1 - total[0] / total[2], 0), max(1 - total[1] / total[2], 0)),
                smallest=0.0,
                reason=reason,
                reliable=reliable,
            )
        if self.side == "added":
            return sums.estimate(
                lambda total: divided(total[0] - total[1], total[2]), reason=reason, reliable=reliable
            )
        column = 1 if self.side == "original" else 0
        return sums.estimate(
            lambda total: divided(total[column], total[2]), smallest=0.0, reason=reason, reliable=reliable
        )


@dataclass(frozen=True)
class VTBenchRate:
    """What VTBench's code computes (arXiv 2505.13439), its errors included.

    The text read on the original stands for the truth. Its character error rate is otherwise sound; its "word error
    rate" divides a distance in characters by a number of words.

    Attributes:
        unit: ``character`` or ``word``.
    """

    unit: Literal["character", "word"]

    def __call__(self, states: Sequence[PageRows]) -> Estimate:
        """Return the figure with its interval; NaN where nothing was read on any original."""
        rows = PageRows.joined(states)
        if not len(rows):
            return nothing("no page with text in these images")
        errors, total = (
            ("seen_distance", "seen_characters")
            if self.unit == "character"
            else ("joined_distance", "seen_words")
        )
        if not rows[total].any():
            return nothing("nothing is read on the originals")
        sums = Sums.of(rows["index"], rows[errors], rows[total])
        return sums.estimate(lambda total: divided(total[0], total[1]), smallest=0.0, largest=math.inf)


def page_metrics(recogniser: str) -> tuple[SetMetric, ...]:
    """Return the page metrics of one recogniser."""
    collector = page_collector(recogniser)
    who = f"whole pages read by {recogniser}"

    def metric(
        name: str, title: str, finish: ErrorRate | VTBenchRate, definition: str, higher: bool = False
    ) -> SetMetric:
        return SetMetric(name, title, "", higher, collector, finish, definition)

    found = []
    units: tuple[tuple[str, Literal["character", "word"]], ...] = (("cer", "character"), ("wer", "word"))
    for name, unit in units:
        title = name.upper()
        what = f"Levenshtein distance in {unit}s to the true text, divided by its {unit}s, over all pages"
        found += [
            metric(name, title, ErrorRate(unit), f"{title}: {what}; {who}."),
            metric(
                f"{name}_original",
                f"{title} o",
                ErrorRate(unit, side="original"),
                f"{title} of the originals: {what}; {who}.",
            ),
            metric(
                f"{name}_added",
                f"{title} +",
                ErrorRate(unit, side="added"),
                f"{title} of the reconstructions minus that of the originals; {who}.",
            ),
            metric(
                f"{name}_kept",
                f"{title} %",
                ErrorRate(unit, side="kept"),
                f"(1 - {title}) of the reconstructions divided by that of the originals, not below 0; {who}.",
                higher=True,
            ),
        ]
        found += [
            metric(
                f"{name}_{script}",
                f"{title} {code}",
                ErrorRate(unit, script),
                f"{title} of the pages in {script} script; {who}.",
            )
            for script, code in zip(SCRIPTS, _CODES, strict=True)
            if unit == "character" or script not in UNBLANKED
        ]
    found += [
        metric(
            "cer_vtbench",
            "CER vtb",
            VTBenchRate("character"),
            f"VTBench's CER: the text read on the original stands for the truth; {who}.",
        ),
        metric(
            "wer_vtbench",
            "WER vtb",
            VTBenchRate("word"),
            f"VTBench's figure: character distance divided by words of the text read on the original; {who}.",
        ),
    ]
    return tuple(found)
