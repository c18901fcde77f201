"""The leaderboard as CSV: one number a line, with everything that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.leaderboard import words
from tokbench.leaderboard.escape import csv_cell
from tokbench.published import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokbench.leaderboard.boards import Board
    from tokbench.published import Figure

_HEAD = (
    "dataset",
    "version",
    "task",
    "protocol",
    "tokenizer",
    "seen",
    "metric",
    "view",
    "value",
    "ci_low",
    "ci_high",
    "ci_method",
    "unit",
    "higher_is_better",
    "rank",
    "tied",
    "unranked",
    "n",
    "failed",
    "measured",
    "of",
    "status",
    "reliable",
    "reason",
    "run",
)


def measured_file(boards: Sequence[Board]) -> str:
    """Write every measured number, one a line, by board, tokenizer and metric."""
    lines = [_HEAD]
    for board in boards:
        for line in board.lines:
            for column in board.columns:
                row = line.cells.get(column.key)
                if row is None:
                    continue
                place = column.places.get(line.tokenizer)
                lines.append(
                    (
                        board.dataset,
                        board.version,
                        board.task,
                        board.protocol,
                        line.tokenizer,
                        line.seen,
                        row.metric,
                        row.view,
                        row.value,
                        row.ci_low,
                        row.ci_high,
                        row.ci_method,
                        row.unit,
                        row.higher_is_better,
                        place.rank if place else None,
                        place.tied if place else None,
                        words.unranked(column, row),
                        row.n,
                        row.failed,
                        line.measured,
                        line.of,
                        row.status,
                        row.reliable,
                        row.reason,
                        line.run,
                    )  # type: ignore[arg-type]
                )
    return _csv(lines)


def reported_file(figures: Sequence[Figure]) -> str:
    """Write every published figure, one a line, with the columns of its file."""
    names = ["printed" if name == "value" else name for name in COLUMNS]
    rows = [tuple(getattr(figure, name) for name in names) for figure in figures]
    return _csv([COLUMNS, *rows])


def _csv(lines: Iterable[Sequence[str | float | bool | None]]) -> str:
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([csv_cell(value) for value in line] for line in lines)
    return out.getvalue()
