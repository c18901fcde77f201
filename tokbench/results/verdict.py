"""Whether a run reproduces published figures: one verdict a figure, always with its reason.

`docs/published.md` states the rules for people. In short: a figure is compared only where image set, number of images,
protocol and evaluator are those it was measured with; then it is reproduced when the run's number lies within the
rounding of the printed one plus a relative tolerance of the metric. The interval of the run is shown and is no
tolerance: it says how other images would have scored, and these are the same images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from tokbench.errors import TokbenchError
from tokbench.protocol import get_protocol
from tokbench.published import NOT_MEASURED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokbench.metrics.base import Metric
    from tokbench.published import Figure
    from tokbench.results.results import Results
    from tokbench.results.schema import Row
    from tokbench.tasks.base import Task

REPRODUCED: Literal["reproduced"] = "reproduced"
DIFFERS: Literal["differs"] = "differs"
NOT_COMPARABLE: Literal["not comparable"] = "not comparable"

TOLERANCES = {
    "psnr": (0.003, "libraries, decoders' arithmetic and rounding to 8 bits: below 0.1 dB at 30 dB"),
    "ssim": (0.005, "floating-point type and borders"),
    "lpips": (0.01, "versions of the backbone's library"),
    "rfid": (0.03, "implementations of one definition scatter by 1 to 2 % (arXiv 2606.20536)"),
    "pfid": (0.05, "as `rfid`, and random draws"),
    "t_acc": (0.01, "versions of the recogniser's library"),
    "t_ned": (0.01, "versions of the recogniser's library"),
    "f_sim": (0.01, "versions of the network's library"),
    "codebook_usage": (0.01, "entries on the edge of being used"),
    "bpp": (0.02, "versions of encoders"),
    "parameters": (0.01, "buffers are counted or not"),
    "tokens": (0.0, "a count"),
}
"""Relative tolerance by the start of a metric's name, and what it stands for."""

_FACTORS = {"%": 0.01}
_OWN = "images:"


@dataclass(frozen=True)
class Verdict:
    """What a run says of one published figure.

    Attributes:
        figure: the published figure.
        verdict: ``reproduced``, ``differs`` or ``not comparable``.
        reason: why.
        value: the run's number in the figure's unit; NaN when there is none.
        ci_low: lower end of its 95 % interval, NaN when unknown.
        ci_high: upper end.
        n: images that it rests on.
    """

    figure: Figure
    verdict: Literal["reproduced", "differs", "not comparable"]
    reason: str
    value: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    n: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: the figure's columns, then the run's."""
        figure = self.figure
        published = {name: getattr(figure, name) for name in figure.__dataclass_fields__ if name != "printed"}
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "published": published | {"value": figure.value},
            "measured": {"value": self.value, "ci_low": self.ci_low, "ci_high": self.ci_high, "n": self.n},
        }


def tolerance(figure: Figure) -> float:
    """Return how far a number may lie from a figure and reproduce it, in the figure's unit."""
    relative = max(
        (TOLERANCES[name][0] for name in TOLERANCES if figure.metric.startswith(name)), default=0.01
    )
    return figure.rounding + relative * abs(figure.value)


def obstacle(figure: Figure, tasks: Mapping[str, Task]) -> str:
    """Return why no run can be compared with a figure, or "".

    Args:
        figure: the figure.
        tasks: the tasks that figures name, by name.
    """
    if figure.flag == "disputed":
        return f"the published figure is disputed: {figure.note}"
    if figure.metric in NOT_MEASURED:
        return f"tokbench does not measure `{figure.metric}`: {NOT_MEASURED[figure.metric]}"
    if figure.protocol and not _is_preset(figure.protocol):
        return f"the published protocol is none of tokbench's: {figure.protocol}"
    if not figure.task:
        return f"no task of tokbench measures `{figure.metric}` by that protocol"
    network = _metric(figure, tasks[figure.task]).network or ""
    if figure.evaluator != network:
        theirs, ours = figure.evaluator or "an unnamed network", network or "no network"
        return f"measured with {theirs}, here with {ours}"
    unknown = figure.dataset and figure.images is None
    return "the number of images of the published figure is not stated" if unknown else ""


def judge(figure: Figure, results: Results, tokenizer: str, dataset: str | None, task: Task) -> Verdict:
    """Compare one figure that has no `obstacle` with a run.

    Args:
        figure: the published figure.
        results: the run.
        tokenizer: name of the tokenizer in the run.
        dataset: name of the published set that images given by path are; None to go by their folder's name.
        task: the task that the figure names.
    """
    protocol = protocol_of(figure, task)
    rows = [
        row for row in results.rows if (row.tokenizer, row.metric, row.view) == (tokenizer, figure.metric, "")
    ]
    if not rows:
        return Verdict(figure, NOT_COMPARABLE, f"the run holds no `{figure.metric}` of `{tokenizer}`")
    fitting = [row for row in rows if row.protocol == protocol]
    if not fitting:
        return Verdict(
            figure,
            NOT_COMPARABLE,
            f"published by {protocol}, the run is by {_names(row.protocol for row in rows)}",
        )
    sets = {
        row.dataset: dataset if dataset and row.dataset.startswith(_OWN) else row.dataset for row in fitting
    }
    named = [row for row in fitting if not figure.dataset or same_set(sets[row.dataset], figure.dataset)]
    if not named:
        return Verdict(
            figure, NOT_COMPARABLE, f"published on {figure.dataset}, the run is on {_names(sets.values())}"
        )
    row = named[0]
    if figure.image:
        return _judge_image(figure, results, row)
    factor = _FACTORS.get(figure.unit, 1.0) if row.unit != figure.unit else 1.0
    number = (row.value / factor, row.ci_low / factor, row.ci_high / factor, row.n)
    reason = _gap(figure, results, row)
    return Verdict(figure, NOT_COMPARABLE, reason, *number) if reason else _compare(figure, *number)


def protocol_of(figure: Figure, task: Task) -> str:
    """Return the protocol to run for a figure: its own, or the task's where images do not matter."""
    return figure.protocol or task.protocol.name


def same_set(name: str, published: str) -> bool:
    """Whether an image set is the published one: by its name, or by that of another storage of it (``NAME-hub``)."""
    bare = name.removeprefix(_OWN)
    return bare == published or bare.startswith(f"{published}-")


def _is_preset(protocol: str) -> bool:
    try:
        get_protocol(protocol)
    except TokbenchError:
        return False
    return True


def _metric(figure: Figure, task: Task) -> Metric:
    base = {mean: of for of, mean in task.means}.get(figure.metric, figure.metric)
    return next(metric for metric in task.metrics if metric.name == base)


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))


def _gap(figure: Figure, results: Results, row: Row) -> str:
    """Return what keeps a row of the right set from being compared, or ""."""
    if row.status != "ok":
        return f"not measured: {row.reason}"
    if not figure.dataset:
        return ""
    jobs = results.manifest["jobs"]
    if any(
        job["partial"]
        for job in jobs
        if (job["tokenizer"], job["dataset"], job["protocol"]) == (row.tokenizer, row.dataset, row.protocol)
    ):
        return f"the run takes only {row.n + row.failed} images of the set (--limit), published over {figure.images}"
    if row.failed:
        return f"{row.failed} images could not be measured"
    if row.n != figure.images:
        return f"{row.n} images here, published over {figure.images}"
    return ""


def _judge_image(figure: Figure, results: Results, row: Row) -> Verdict:
    table = results.images()
    if figure.metric not in table.columns:
        return Verdict(figure, NOT_COMPARABLE, f"`{figure.metric}` has no value for one image")
    ours = table[
        (table["tokenizer"] == row.tokenizer)
        & (table["dataset"] == row.dataset)
        & (table["protocol"] == row.protocol)
    ]
    values = [
        float(value)
        for name, value in zip(ours["image"], ours[figure.metric], strict=True)
        if PurePosixPath(name).stem == figure.image
    ]
    if len(values) != 1:
        return Verdict(figure, NOT_COMPARABLE, f"{len(values)} images of the run are called {figure.image}")
    if math.isnan(values[0]):
        return Verdict(figure, NOT_COMPARABLE, f"{figure.image} could not be measured")
    return _compare(figure, values[0], math.nan, math.nan, 1)


def _compare(figure: Figure, value: float, low: float, high: float, n: int) -> Verdict:
    allowed = tolerance(figure)
    off = abs(value - figure.value)
    # Floats: 31.1 printed and 31.15 measured are 0.05 apart but for the sixteenth digit.
    if off <= allowed * (1 + 1e-9):
        reason = f"{off:.3g} apart, {allowed:.3g} allowed"
        return Verdict(figure, REPRODUCED, reason, value, low, high, n)
    reason = f"{off:.3g} apart, only {allowed:.3g} allowed"
    if figure.flag or figure.checked == "unchecked":
        known = figure.note if figure.flag else "the figure is from memory, not read in its source"
        return Verdict(figure, NOT_COMPARABLE, f"{reason}, but {known}", value, low, high, n)
    if low <= figure.value <= high:
        reason += "; inside the 95 % interval, which speaks of other images than these"
    return Verdict(figure, DIFFERS, reason, value, low, high, n)
