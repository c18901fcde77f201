"""Results as tables in the terminal, at most 100 columns wide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tokbench.cli.output import PLAIN_WIDTH, console, print_note, printable
from tokbench.results.table import Table, cell, tables

if TYPE_CHECKING:
    from tokbench.results.results import Results
    from tokbench.results.schema import Row

_SHOWN = 5
_WIDE = 6


def show_results(results: Results, headlines: Mapping[str, Sequence[str]]) -> None:
    """Print one table per image set and task, then where everything lies.

    Args:
        results: what a run gave.
        headlines: ``{task: metrics that fit the terminal}``.
    """
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table as RichTable

    screen = console()
    for table in tables(results.rows, dict(headlines)):
        if not table.metrics:
            print_note(printable(f"{table.dataset} · {table.task}: nothing could be measured"))
            continue
        images = next(
            (job["images"] for job in results.manifest["jobs"] if job["dataset"] == table.dataset), 0
        )
        title = f"{table.dataset} · {images} images · {table.task} · {table.protocol}"
        shown = RichTable(
            title=escape(printable(title)),
            title_justify="left",
            title_style="bold",
            box=SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        shown.add_column("tokenizer", no_wrap=True)
        for metric in table.metrics:
            # Many columns are narrow: names then break at their underscores instead of being cut.
            narrow = metric.replace("_", " ") if len(table.metrics) > _WIDE else metric
            shown.add_column(escape(printable(table.header(metric, narrow))), justify="right")
        for tokenizer, line in table.lines.items():
            if not any(metric in line and not math.isnan(line[metric].value) for metric in table.metrics):
                continue
            cells = [
                _bold(cell(line.get(metric)), tokenizer in table.best(metric)) for metric in table.metrics
            ]
            seen = " (seen)" if table.dataset in results.seen.get(tokenizer, ()) else ""
            shown.add_row(escape(printable(tokenizer)) + seen, *cells)
        screen.print(shown, width=min(screen.width, PLAIN_WIDTH))
        _footnotes(table)
        if any(table.dataset in sets for sets in results.seen.values()):
            print_note(f"(seen): trained on {printable(table.dataset)}, so no fair test of it")
    _blanks(results.rows)
    partial = (
        ", on part of the images (--limit)" if any(job["partial"] for job in results.manifest["jobs"]) else ""
    )
    print_note("± is half the 95 % interval" + partial + "; every metric, image and interval is in")
    screen.print(printable(f"{results.folder}"), soft_wrap=True, markup=False)


def _bold(text: str, best: bool) -> str:
    return f"[bold]{text}[/bold]" if best else text


def _footnotes(table: Table) -> None:
    """Explain the marks of one table, each reason once."""
    unreliable = {
        line[metric].reason: metric
        for line in table.lines.values()
        for metric in table.metrics
        if metric in line and not line[metric].reliable and not math.isnan(line[metric].value)
    }
    for reason, metric in unreliable.items():
        print_note(printable(f"~ {metric}: {reason}; shown, never ranked"))


def _blanks(rows: Sequence[Row]) -> None:
    """Name the metrics that no tokenizer has, with the reason: what could be had by fetching."""
    measured = {row.metric for row in rows if row.status == "ok"}
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.status == "unsupported" and row.metric not in measured:
            metrics = reasons.setdefault(row.reason, [])
            if row.metric not in metrics:
                metrics.append(row.metric)
    for reason, metrics in reasons.items():
        print_note(printable(f"not measured: {', '.join(metrics)}: {reason}"))


def show_broken(failures: Mapping[str, str]) -> None:
    """Name every tokenizer that broke, on stderr."""
    for tokenizer, reason in failures.items():
        print_note(f"error: {printable(tokenizer)} has no results: {printable(reason)}")
    if failures:
        print_note("hint: mend it and run the same command again; what is finished is not repeated")


def show_failures(results: Results) -> None:
    """Name every tokenizer that broke and every image that could not be used, on stderr."""
    show_broken(results.failures)
    for dataset, images in results.unreadable.items():
        print_note(f"error: {len(images)} images of {printable(dataset)} failed and are counted in `failed`:")
        for name, reason in list(images.items())[:_SHOWN]:
            print_note(f"  {printable(name)}: {printable(reason)}")
        if len(images) > _SHOWN:
            print_note(f"  … and {len(images) - _SHOWN} more; all are in {results.folder}/summary.json")
