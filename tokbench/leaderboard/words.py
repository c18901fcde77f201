"""The words that every form of the leaderboard says alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokbench.leaderboard.rank import rankable
from tokbench.results.table import ARROWS, cell, number

if TYPE_CHECKING:
    from tokbench.leaderboard.boards import Board, Column, Line
    from tokbench.results.results import Results
    from tokbench.results.schema import Row

MEASURED = (
    "Measured with tokbench on whole image sets. ± is half the 95 % interval. Values whose interval meets that of the "
    "best of their group share its rank, marked =. The intervals say how far other images of the kind would move a "
    "number; two tokenizers that tie here may differ for certain on the same images: `tokbench compare` tests pairs."
)
NOT_RANKED = (
    "~ marks a value that rests on too few images to be ranked; – one that was not measured, with its reason in "
    "the CSV and on the site. Bit rate and speed are shown and not ranked. `seen` marks a tokenizer that was fitted on "
    "the very image set. Coverage counts the metrics of the table that were measured, of all."
)
REPORTED = (
    "Figures as papers, repositories, threads and notes print them, with their source. None comes from the runs of "
    "this leaderboard, and nothing is ranked: sources differ in images, rounding and code even where their words "
    "agree. ! marks a disputed figure, ≈ one measured in a way that tokbench does not repeat exactly, ? one from "
    "memory. `docs/published.md` explains; `tokbench verify NAME` compares."
)


def title(board: Board) -> str:
    """Return the title of a board."""
    return f"{board.dataset} · {board.task} · {board.protocol}"


def caption(board: Board) -> str:
    """Return the line under the title: what is measured on what, and what orders the table."""
    order = board.ordering
    by = (
        f"ordered by {order.metric} {ARROWS[order.higher_is_better]}"
        if order
        else "nothing here can be ranked"
    )
    return (
        f"{board.title[:1].upper()}{board.title[1:]}. {board.images} images, version {board.version}; {by}."
    )


def heading(column: Column) -> str:
    """Return a column's heading with unit and direction."""
    name = column.metric + (f" @ {column.view}" if column.view else "")
    return f"{name}{f' {column.unit}' if column.unit else ''} {ARROWS[column.higher_is_better]}".strip()


def place(column: Column | None, line: Line) -> str:
    """Return the rank of a line in a column, ``3`` or ``3=`` when shared, or ""."""
    found = column.places.get(line.tokenizer) if column else None
    return "" if found is None else f"{found.rank}{'=' if found.tied else ''}"


def coverage(line: Line) -> str:
    """Return how many of the board's metrics were measured, of all."""
    return f"{line.measured}/{line.of}"


def value(row: Row | None) -> str:
    """Return a cell: value and half its interval, ``~`` before an unreliable one, a dash for a blank."""
    return cell(row)


def explain(row: Row | None) -> str:
    """Return what a cell's tooltip says."""
    if row is None:
        return "not measured in this run"
    if row.status != "ok" or math.isnan(row.value):
        return f"not measured: {row.reason}"
    ends = "" if math.isnan(row.ci_low) else f", 95 % {number(row.ci_low)} to {number(row.ci_high)}"
    failed = f", {row.failed} failed" if row.failed else ""
    return f"{number(row.value)}{ends}, n = {row.n}{failed}{f'; {row.reason}' if row.reason else ''}"


def unranked(column: Column, row: Row | None) -> str:
    """Return why a value has no rank, or ""."""
    if row is None or row.status != "ok":
        return "not measured"
    if rankable(row) and column.ranked:
        return ""
    if not column.ranked:
        return "wall-clock figures are not ranked"
    return "no direction" if row.higher_is_better is None else "unreliable"


def source_of(results: Results) -> str:
    """Return the command of a run and what it ran on."""
    manifest = results.manifest
    environment = manifest.get("environment", {})
    packages = environment.get("packages", {})
    shown = ", ".join(f"{name} {packages[name]}" for name in ("torch", "numpy", "pillow") if name in packages)
    return (
        f"{' '.join(map(str, manifest.get('command', ())))} — tokbench {manifest.get('tokbench', '?')}, "
        f"Python {environment.get('python', '?')}, {environment.get('machine', '?')}, {shown}; "
        f"run {manifest['key'][:12]} of {manifest.get('created', '?')[:10]}"
    )
