"""The gate: is a run worse than a baseline, by more than is allowed, and certainly so?

One verdict a metric. ``fail`` needs all of: the number got worse by more than its tolerance, the paired 95 % interval
of the change excludes no change, and so does the p-value corrected for the number of metrics, without which a gate of
forty metrics would soon stop a harmless change. Worse than allowed without that certainty is ``inconclusive``. What
could not be measured any more fails, always: silence is no pass.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from tokbench.results.comparable import check_comparable, common_places
from tokbench.results.compare import corrected, differences
from tokbench.results.thresholds import Thresholds
from tokbench.results.wording import amount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tokbench.results.comparison import Compared
    from tokbench.results.side import Place, Side
    from tokbench.results.thresholds import Threshold

Verdict = Literal["pass", "fail", "inconclusive"]
VERDICTS: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
"""From worst to best."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        tokenizer: tokenizer name.
        dataset: image-set name, "" when the whole tokenizer is meant.
        task: task name, likewise.
        protocol: protocol name, likewise.
        metric: metric name, with its view after ``@``; ``images`` for the check that none was lost, ``results`` for
            the check that there are any.
        verdict: ``pass``, ``fail`` or ``inconclusive``.
        reason: why, in one line.
        unit: unit of the numbers.
        baseline: the baseline's number, NaN when none is meant.
        value: the run's number.
        difference: run minus baseline over the images both measured.
        ci_low: lower end of its 95 % interval, NaN when unknown.
        ci_high: upper end.
        p_holm: p-value, corrected for all metrics checked.
        allowed: how much worse it may get.
    """

    tokenizer: str
    dataset: str
    task: str
    protocol: str
    metric: str
    verdict: Verdict
    reason: str
    unit: str = ""
    baseline: float = math.nan
    value: float = math.nan
    difference: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    p_holm: float = math.nan
    allowed: float = math.nan

    @property
    def place(self) -> str:
        """Tokenizer, image set, task and protocol in one line."""
        return " · ".join(part for part in (self.tokenizer, self.dataset, self.task, self.protocol) if part)


@dataclass(frozen=True)
class Gate:
    """What a gate found.

    Attributes:
        checks: every check.
        tests: number of p-values that were corrected together.
        notes: what is worth knowing and changes no verdict.
    """

    checks: tuple[Check, ...]
    tests: int
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all checks."""
        found = {check.verdict for check in self.checks}
        return next(verdict for verdict in VERDICTS if verdict in found)

    @property
    def counts(self) -> dict[str, int]:
        """How many checks of each verdict."""
        return {
            verdict: sum(check.verdict == verdict for check in self.checks) for verdict in reversed(VERDICTS)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the document that `--json` prints."""
        return {
            "verdict": self.verdict,
            "counts": self.counts,
            "tests": self.tests,
            "checks": [asdict(check) for check in self.checks],
            "notes": list(self.notes),
        }


def judge(
    baseline: Sequence[Side],
    run: Mapping[str, Side],
    thresholds: Thresholds | None = None,
    *,
    seed: int = 0,
) -> Gate:
    """Check a run against a baseline.

    The run may have another seed: what a stochastic tokenizer draws anew is then part of the change, as noise.

    Args:
        baseline: the tokenizers of the baseline.
        run: the tokenizers of the run, by name.
        thresholds: how much worse what may get; by default 0.1 dB and 1 %.
        seed: of resampling and swapping.

    Raises:
        IncomparableError: the run is of another protocol, image set, evaluator or definition of metrics.
    """
    limits = thresholds or Thresholds()
    checks: list[Check] = []
    rows: list[tuple[Compared, Threshold]] = []
    notes: dict[str, None] = {}
    for old in baseline:
        new = run.get(old.tokenizer)
        if new is None or new.broken:
            why = f"it failed: {new.broken}" if new is not None else "the run has no such tokenizer"
            checks.append(Check(old.tokenizer, "", "", "", "results", "fail", why))
            continue
        common = common_places(old, new)
        for place in old.parts:
            if place not in common:
                why = "the baseline has it, the run has not"
                checks.append(Check(old.tokenizer, *place, "results", "fail", why))
                continue
            check_comparable(old, new, place, ignore=("seed",))
            checks.append(_images(old, new, place))
            missing, compared = _metrics(old, new, place, limits, seed)
            checks += missing
            rows += compared
            notes |= dict.fromkeys(_notes(old, new, place))
    done, tests = corrected([row for row, _ in rows])
    for row, (_, limit) in zip(done, rows, strict=True):
        checks.append(_check(row, limit, row.b))
    if not checks:
        checks.append(Check("", "", "", "", "results", "fail", "the baseline holds nothing to check"))
    return Gate(tuple(checks), tests, tuple(notes))


def _images(old: Side, new: Side, place: Place) -> Check:
    known = old.parts[place].failed
    lost = {name: why for name, why in new.parts[place].failed.items() if name not in known}
    if not lost:
        count = len(new.parts[place].images) - len(new.parts[place].failed)
        return Check(new.tokenizer, *place, "images", "pass", f"{count} images measured")
    name, why = next(iter(lost.items()))
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    return Check(new.tokenizer, *place, "images", "fail", f"{len(lost)} images failed: {name}: {why}{more}")


def _metrics(
    old: Side, new: Side, place: Place, limits: Thresholds, seed: int
) -> tuple[list[Check], list[tuple[Compared, Threshold]]]:
    """Return failed checks of metrics that are gone, and the others' differences with their thresholds."""
    gone, wanted = [], {}
    for name, measured in old.parts[place].measured.items():
        limit = limits.of(measured.row, name)
        if measured.row.status != "ok" or not limit.check:
            continue
        now = new.parts[place].measured.get(name)
        if now is None or now.row.status != "ok":
            why = f"{now.row.status}: {now.row.reason}" if now is not None else "it is not measured any more"
            gone.append(Check(new.tokenizer, *place, name, "fail", why, baseline=measured.row.value))
        elif limit.worse or measured.row.higher_is_better is not None:
            wanted[name] = limit
    compared = [(row, wanted[row.name]) for row in differences(old, new, place, seed=seed, only=wanted)]
    return gone, compared


def _check(row: Compared, limit: Threshold, tokenizer: str) -> Check:
    allowed = limit.allowed(row.value_a, row.unit)
    worse = limit.worse_by(row.difference, row.higher_is_better)
    verdict, reason = _verdict(row, worse, allowed)
    return Check(
        tokenizer,
        row.dataset,
        row.task,
        row.protocol,
        row.name,
        verdict,
        reason,
        row.unit,
        row.value_a,
        row.value_b,
        row.difference,
        row.ci_low,
        row.ci_high,
        row.p_holm,
        allowed,
    )


def _verdict(row: Compared, worse: float, allowed: float) -> tuple[Verdict, str]:
    unit = f" {row.unit}" if row.unit else ""
    if math.isnan(worse):
        return "fail", "no image was measured both in the baseline and now"
    if worse <= allowed:
        if worse <= 0:
            return "pass", "unchanged" if worse == 0 else f"better by {amount(-worse)}{unit}"
        return "pass", f"worse by {amount(worse)}{unit}, {amount(allowed)}{unit} allowed"
    said = f"worse by {amount(worse)}{unit}, only {amount(allowed)}{unit} allowed"
    doubt = _doubt(row)
    return ("inconclusive", f"{said}, but {doubt}") if doubt else ("fail", f"{said}, certain")


def _doubt(row: Compared) -> str:
    """Return why a change is not certain, or ""."""
    if row.finding == "unreliable":
        return f"not certain: {row.reason}"
    if math.isnan(row.ci_low) and math.isfinite(row.difference):
        return "no interval is known"
    if row.finding == "none":
        return "the interval of the change includes none"
    if row.finding == "likely":
        return f"not certain among so many metrics (corrected p = {amount(row.p_holm)})"
    return ""


def _notes(old: Side, new: Side, place: Place) -> Iterator[str]:
    then, now = old.parts[place], new.parts[place]
    seeds = (then.identity["seed"], now.identity["seed"])
    if seeds[0] != seeds[1]:
        yield f"seed {seeds[0]} in the baseline, {seeds[1]} in the run: what is drawn anew counts as change"
    known = {name for name, each in then.measured.items() if each.row.status == "ok"}
    fresh = [name for name, each in now.measured.items() if each.row.status == "ok" and name not in known]
    if fresh:
        yield f"not in the baseline, so not checked: {', '.join(fresh)}; --update adds them"
    if now.timings:
        yield f"timings are not checked: {', '.join(now.timings)}"
