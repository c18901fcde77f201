"""`tokbench gate`: stop a change that makes a tokenizer worse, and let noise pass."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokbench.errors import StorageError, UsageError

if TYPE_CHECKING:
    from tokbench.results.gate import Gate
    from tokbench.results.results import Results

FAILED, INCONCLUSIVE = 10, 11


def gate(
    baseline: Annotated[Path, typer.Option("--baseline", metavar="FILE", help="The baseline, a JSON file.")],
    run: Annotated[Path, typer.Option("--run", metavar="DIR", help="Results folder of the run to judge.")],
    thresholds: Annotated[
        Path | None,
        typer.Option("--thresholds", metavar="FILE", help="TOML; by default 0.1 dB and 1 % are allowed."),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write the run as the new baseline; judge nothing.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Inconclusive does not pass: exit 11.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of resampling.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML here, too.")
    ] = None,
    github: Annotated[
        bool | None,
        typer.Option("--github/--no-github", help="Annotations and step summary; by default inside Actions."),
    ] = None,
) -> None:
    """Judge a run against a baseline, image by image: pass, fail or inconclusive.

    A metric fails when it is worse by more than its tolerance and certainly so; a metric or image that is gone fails
    too. Exit code 0: pass (inconclusive too, unless --strict). 10: fail. 11: inconclusive, with --strict. 8: baseline
    and run cannot be compared, because protocol, images, evaluators or definitions of metrics differ.
    """
    from tokbench.cli.output import print_json
    from tokbench.results.results import Results

    results = Results.load(run)
    if update:
        _update(baseline, results)
        return
    found = _judge(baseline, results, thresholds, seed)
    if json_:
        print_json(found.to_dict())
    else:
        _show(found)
    if junit is not None:
        from tokbench.results.gate_output import junit as junit_xml

        _write(junit, junit_xml(found, strict=strict))
    if github if github is not None else os.environ.get("GITHUB_ACTIONS") == "true":
        _tell_github(found, strict)
    if found.verdict == "fail":
        raise typer.Exit(FAILED)
    if found.verdict == "inconclusive" and strict:
        raise typer.Exit(INCONCLUSIVE)


def _judge(baseline: Path, results: Results, thresholds: Path | None, seed: int) -> Gate:
    from tokbench.results.baseline import read_baseline
    from tokbench.results.gate import judge
    from tokbench.results.side import of_run, tokenizers
    from tokbench.results.sources import tasks_of
    from tokbench.results.thresholds import Thresholds, read_thresholds

    then = read_baseline(baseline)
    limits = read_thresholds(thresholds) if thresholds is not None else Thresholds()
    tasks = tasks_of(results)
    wanted = {side.tokenizer for side in then}
    now = {name: of_run(results, name, tasks) for name in tokenizers(results) if name in wanted}
    if thresholds is not None:
        parts = [part for side in (*then, *now.values()) for part in side.parts.items()]
        metrics = {name for _, part in parts for name in part.measured}
        metrics |= {each.row.metric for _, part in parts for each in part.measured.values()}
        timings = {name for _, part in parts for name in part.timings}
        limits.check_names(metrics, {place[1] for place, _ in parts}, timings, thresholds)
    return judge(then, now, limits, seed=seed)


def _update(baseline: Path, results: Results) -> None:
    from tokbench.cli.output import print_note, printable
    from tokbench.results.baseline import write_baseline
    from tokbench.results.side import of_run, tokenizers
    from tokbench.results.sources import tasks_of

    if results.failures:
        broken = ", ".join(results.failures)
        raise UsageError(
            f"`{results.folder}` is no baseline: {broken} failed",
            hint="mend it and run the same command again",
        )
    tasks = tasks_of(results)
    sides = [of_run(results, name, tasks) for name in tokenizers(results)]
    size = write_baseline(baseline, sides, results.manifest["key"])
    names = ", ".join(side.tokenizer for side in sides)
    print_note(printable(f"baseline of {names} written to {baseline} ({max(1, round(size / 1000)):,} kB)"))


def _show(found: Gate) -> None:
    from tokbench.cli.output import print_line, print_note, printable
    from tokbench.results.gate_output import numbers, ordered

    place = None
    for check in ordered(found.checks):
        if (check.place, check.verdict) != place:
            place = (check.place, check.verdict)
            print_line(printable(check.place))
        print_line(printable(f"  {check.verdict:<13}{check.metric}: {check.reason}"))
        if check.verdict != "pass" and numbers(check):
            print_line(f"  {'':<13}{numbers(check)}")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in found.counts.items())
    print_line(f"{found.verdict}: {counts}")
    for note in found.notes:
        print_note(printable(note))


def _tell_github(found: Gate, strict: bool) -> None:
    """Write annotations to stderr, which the runner reads like stdout, and append to the step summary's file."""
    from tokbench.cli.output import print_note
    from tokbench.results.gate_output import step_summary, workflow_commands

    for line in workflow_commands(found, strict=strict):
        print_note(line)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        _write(Path(summary), step_summary(found), mode="a")


def _write(file: Path, text: str, mode: str = "w") -> None:
    try:
        with file.open(mode, encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise StorageError(f"`{file}` cannot be written: {error.strerror or error}") from error
