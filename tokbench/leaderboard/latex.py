"""The leaderboard as LaTeX tables for the package booktabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.leaderboard import words
from tokbench.leaderboard.escape import latex as escape
from tokbench.leaderboard.reported import heading as reported_heading
from tokbench.leaderboard.reported import printed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokbench.leaderboard.boards import Board, Column, Line
    from tokbench.leaderboard.reported import Group

_MADE = "% Made by `tokbench leaderboard build`. Needs \\usepackage{booktabs}; set \\small or \\resizebox as it fits.\n"


def measured_file(boards: Sequence[Board]) -> str:
    """Write one table a board: rank, coverage and the headline columns; the best of a column is bold."""
    return _MADE + "\n".join(_board(board) for board in boards)


def reported_file(groups: Iterable[Group]) -> str:
    """Write one table a group of published figures."""
    return _MADE + "\n".join(_group(group) for group in groups)


def _board(board: Board) -> str:
    order = board.ordering
    columns = [each for each in board.shown if each.headline] or list(board.shown)
    head = ["", "tokenizer", "coverage", *(words.heading(each) for each in columns)]
    body = [
        [
            escape(words.place(order, line)),
            escape(line.tokenizer + (" (seen)" if line.seen else "")),
            escape(words.coverage(line)),
            *(_cell(each, line) for each in columns),
        ]
        for line in board.lines
    ]
    caption = f"{words.title(board)}. {words.caption(board)}"
    return _table(
        f"tab:{board.name}", caption, "rlr" + "r" * len(columns), [escape(each) for each in head], body
    )


def _cell(column: Column, line: Line) -> str:
    text = escape(words.value(line.cells.get(column.key)))
    place = column.places.get(line.tokenizer)
    return f"\\textbf{{{text}}}" if place is not None and place.rank == 1 else text


def _group(group: Group) -> str:
    head = ["system", *map(reported_heading, group.columns), "source"]
    body = [
        [
            escape(system),
            *(escape(printed(line.get(column, ())) or "–") for column in group.columns),
            escape(source),
        ]
        for _, system, source, line in group.lines
    ]
    caption = f"Reported, not measured here: {group.title}"
    return _table("", caption, "l" + "r" * len(group.columns) + "l", [escape(each) for each in head], body)


def _table(label: str, caption: str, layout: str, head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    rows = "\n".join(f"    {' & '.join(line)} \\\\" for line in body)
    mark = f"  \\label{{{label}}}\n" if label else ""
    return (
        f"\\begin{{table}}\n  \\centering\n  \\caption{{{escape(caption)}}}\n{mark}"
        f"  \\begin{{tabular}}{{{layout}}}\n    \\toprule\n    {' & '.join(head)} \\\\\n    \\midrule\n{rows}\n"
        f"    \\bottomrule\n  \\end{{tabular}}\n\\end{{table}}\n"
    )
