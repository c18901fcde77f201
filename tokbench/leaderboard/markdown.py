"""The leaderboard as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.leaderboard import words
from tokbench.leaderboard.escape import markdown as escape
from tokbench.leaderboard.escape import one_line
from tokbench.leaderboard.reported import heading as reported_heading
from tokbench.leaderboard.reported import printed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokbench.leaderboard.boards import Board, Line
    from tokbench.leaderboard.reported import Group
    from tokbench.results.results import Results

_WIDEST = 12
_MADE = "<!-- Made by `tokbench leaderboard build`; edits are lost. -->"


def measured_page(boards: Sequence[Board], runs: Mapping[str, Results]) -> str:
    """Write the page of measured tables."""
    parts = [
        _MADE,
        "# Leaderboard",
        words.MEASURED,
        words.NOT_RANKED,
        "Every number with its interval: [csv/measured.csv](csv/measured.csv); LaTeX: [tex/measured.tex]"
        "(tex/measured.tex); sortable tables: [site/index.html](site/index.html). What others report: "
        "[reported.md](reported.md). Rules: `docs/leaderboard.md`.",
        "\n".join(f"- [{escape(words.title(board))}](#{_anchor(words.title(board))})" for board in boards),
    ]
    for board in boards:
        parts += [f"## {escape(words.title(board))}", escape(words.caption(board)), _table(board)]
        blanks = _blanks(board)
        if blanks:
            parts.append(blanks)
    commands = [f"- {_code(name)}: {escape(words.source_of(runs[name]))}" for name in sorted(runs)]
    return "\n\n".join([*parts, "## Runs", "\n".join(commands)]) + "\n"


def reported_page(groups: Iterable[Group]) -> str:
    """Write the page of published figures."""
    parts = [_MADE, "# Reported figures", words.REPORTED]
    for group in groups:
        parts += [f"## {escape(group.title)}", _reported(group)]
    return "\n\n".join(parts) + "\n"


def _code(text: str) -> str:
    """Show text as code, which knows no escapes: what would end it becomes an apostrophe."""
    return "`" + one_line(text).replace("`", "'") + "`"


def _table(board: Board) -> str:
    order = board.ordering
    columns = [each for each in board.shown if each.headline] or list(board.shown[:_WIDEST])
    head = ["rank", "tokenizer", "coverage", *(words.heading(each) for each in columns)]
    body = [
        [
            words.place(order, line),
            _name(line),
            words.coverage(line),
            *(words.value(line.cells.get(each.key)) + _rank(words.place(each, line)) for each in columns),
        ]
        for line in board.lines
    ]
    return _rows(head, body)


def _name(line: Line) -> str:
    return line.tokenizer + (" (seen)" if line.seen else "")


def _rank(place: str) -> str:
    return f" ({place})" if place else ""


def _blanks(board: Board) -> str:
    reasons: dict[str, list[str]] = {}
    for key, reason in board.blanks().items():
        reasons.setdefault(reason, []).append(key)
    return "\n".join(
        f"- not measured: {escape(', '.join(keys))}: {escape(reason)}" for reason, keys in reasons.items()
    )


def _reported(group: Group) -> str:
    head = ["system", "tokenizer", *map(reported_heading, group.columns), "source"]
    body = [
        [system, tokenizer, *(printed(line.get(column, ())) for column in group.columns), source]
        for tokenizer, system, source, line in group.lines
    ]
    return _rows(head, body)


def _rows(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(
        f"| {' | '.join(text if number == 1 else escape(text) for text in line)} |"
        for number, line in enumerate(lines)
    )


def _anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading: lower case, spaces to hyphens, punctuation dropped."""
    return "".join(
        "-" if letter == " " else letter for letter in title.lower() if letter.isalnum() or letter in " -_"
    )
