"""What `tokbench run --profile` prints: where the time went, at most 100 columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.cli.output import PLAIN_WIDTH, console, print_note, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_STAGES = 30
_LANES = 12
_NAME = 44


def show_profile(folder: Path | str) -> None:
    """Write `profile.html` beside the `profile.json` of a results folder, and print its tables to stderr.

    Raises:
        IntegrityError: there is none, or it is damaged.
        StorageError: the page cannot be written.
    """
    from tokbench.engine.trace import PROFILE
    from tokbench.report.timeline import PAGE, cells, shares, summary, write_timeline

    found = write_timeline(folder)
    stages = [(stage.name, *cells(stage, found.busy)) for stage in found.stages]
    print_note(f"Where the time went: {summary(found)}")
    _show(
        ("stage", "calls", "images", "seconds", "ms an image", "share of work"),
        stages[:_STAGES],
    )
    if len(stages) > _STAGES:
        rest = sum(stage.seconds for stage in found.stages[_STAGES:])
        print_note(f"… and {len(stages) - _STAGES} more stages with {rest:.3f} s together")
    print_note("")
    lanes = [(f"{lane.name} · {lane.process}", *shares(lane, found.wall)) for lane in found.lanes]
    _show(("thread", "busy", "waiting", "idle"), lanes[:_LANES])
    if len(lanes) > _LANES:
        print_note(f"… and {len(lanes) - _LANES} more threads")
    print_note(f"timeline: {folder}/{PAGE}; for Perfetto or chrome://tracing: {folder}/{PROFILE}")


def _show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    screen = console(stderr=True)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(escape(_shortened(printable(row[0]))), *row[1:])
    screen.print(table, width=min(screen.width, PLAIN_WIDTH))


def _shortened(name: str) -> str:
    """Leave the middle of a long name out, so that the numbers beside it fit."""
    half = _NAME // 2
    return name if len(name) <= _NAME else f"{name[: half - 1]}…{name[-half:]}"
