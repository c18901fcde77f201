"""The leaderboard as static pages: each holds its own style and script, and everything foreign in it is escaped.

The Content-Security-Policy of a page allows that one style and that one script by their hashes and nothing else, so
that text which slipped through the escaping would still do nothing.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import math
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from tokbench.leaderboard import words
from tokbench.leaderboard.plot import rate_plot
from tokbench.leaderboard.reported import heading as reported_heading
from tokbench.leaderboard.reported import printed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokbench.leaderboard.boards import Board, Column, Line
    from tokbench.leaderboard.reported import Group
    from tokbench.published import Figure
    from tokbench.results.results import Results
    from tokbench.results.schema import Row


def index_page(boards: Sequence[Board], runs: Mapping[str, Results]) -> str:
    """Write the first page: what there is, how it is ranked, and the commands behind it."""
    items = "".join(
        f'<li><a href="{escape(board.name)}.html">{escape(words.title(board))}</a> '
        f'<span class="soft">{escape(words.caption(board))} {len(board.lines)} tokenizers.</span></li>'
        for board in boards
    )
    commands = "".join(
        f"<li><b>{escape(name)}</b> {escape(words.source_of(runs[name]))}</li>" for name in sorted(runs)
    )
    return _page(
        "Leaderboard of visual tokenizers",
        f"<p>{_prose(words.MEASURED)}</p><p>{_prose(words.NOT_RANKED)}</p><h2>Measured here</h2><ul>{items}</ul>"
        '<h2>Reported by others</h2><ul><li><a href="reported.html">Figures of papers, repositories and threads</a>'
        ' <span class="soft">not measured here and not ranked</span></li></ul>'
        f'<h2>Runs</h2><ul class="soft">{commands}</ul>',
    )


def board_page(board: Board) -> str:
    """Write the page of one board: a table that can be sorted by every column and filtered."""
    order = board.ordering
    columns = board.shown
    more = any(each.headline for each in columns) and not all(each.headline for each in columns)
    head = [
        _head("rank", up=False),
        _head("tokenizer", kind="name"),
        _head("coverage", up=True),
        *(_column_head(each, more) for each in columns),
    ]
    body = "".join(_line(line, order, columns, more) for line in board.lines)
    switch = '<label><input type="checkbox" id="all"> all metrics</label>' if more else ""
    blanks = "".join(f"<li>{escape(key)}: {escape(reason)}</li>" for key, reason in board.blanks().items())
    return _page(
        words.title(board),
        f"<p>{escape(words.caption(board))}</p>"
        '<div class="tools"><label>Filter <input type="search" id="search" placeholder="jpeg"></label>'
        f'{switch}<span id="status" class="soft" aria-live="polite"></span></div>'
        f'<div class="frame"><table class="sortable{" short" if more else ""}"><thead><tr>{"".join(head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{rate_plot(board)}"
        f'<p class="soft">{_prose(words.MEASURED)} {_prose(words.NOT_RANKED)}</p>'
        + (f'<h2>Not measured</h2><ul class="soft">{blanks}</ul>' if blanks else ""),
    )


def reported_page(groups: Iterable[Group]) -> str:
    """Write the page of published figures."""
    return _page(
        "Reported figures", f"<p>{_prose(words.REPORTED)}</p>" + "".join(_reported(group) for group in groups)
    )


def _prose(text: str) -> str:
    """Return words of our own as HTML, what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _line(line: Line, order: Column | None, columns: Sequence[Column], more: bool) -> str:
    rank = order.places.get(line.tokenizer) if order else None
    seen = '<span class="seen" title="fitted on this image set">seen</span>' if line.seen else ""
    source = str(line.spec.get("source", ""))
    name = escape(line.tokenizer)
    # Any other scheme than https, javascript: above all, stays text.
    name = f'<a href="{escape(source)}">{name}</a>' if source.startswith("https://") else name
    cells = "".join(_cell(each, line, more) for each in columns)
    return (
        f'<tr data-t="{escape(str(line.spec.get("description", "")))}"><td data-v="{rank.rank if rank else ""}">'
        f'{escape(words.place(order, line)) or "–"}</td><th class="name" scope="row">{name}{seen}</th>'
        f'<td data-v="{line.measured}">{escape(words.coverage(line))}</td>{cells}</tr>'
    )


def _cell(column: Column, line: Line, more: bool) -> str:
    row = line.cells.get(column.key)
    place = column.places.get(line.tokenizer)
    kinds = [
        *(["more"] if more and not column.headline else []),
        *(["first"] if place and place.rank == 1 else []),
        *(["no"] if row is None or row.status != "ok" else []),
    ]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    rank = f'<span class="r">{escape(words.place(column, line))}</span>' if place else ""
    text = escape(words.value(row)) + rank
    return f'<td{kind} data-v="{_sort_key(row)}" title="{escape(words.explain(row))}">{text}</td>'


def _sort_key(row: Row | None) -> str:
    """Return what the script sorts by: blank for what is blank or must not be ranked."""
    if row is None or row.status != "ok" or not row.reliable or math.isnan(row.value):
        return ""
    if math.isinf(row.value):
        return "Infinity" if row.value > 0 else "-Infinity"
    return f"{row.value:.9g}"


def _column_head(column: Column, more: bool) -> str:
    kind = "more" if more and not column.headline else ""
    return _head(
        words.heading(column), kind, bool(column.higher_is_better), f"{column.title}: {column.definition}"
    )


def _head(text: str, kind: str = "", up: bool = False, tip: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    title = f' title="{escape(tip)}"' if tip else ""
    return f'<th scope="col"{named} data-up="{int(up)}"{title}><button type="button">{escape(text)}</button></th>'


def _reported(group: Group) -> str:
    head = (
        '<th class="name">system</th><th class="text">tokenizer</th>'
        + "".join(f"<th>{escape(reported_heading(each))}</th>" for each in group.columns)
        + '<th class="text">source</th>'
    )
    body = "".join(
        f'<tr><th class="name" scope="row">{escape(system)}</th><td class="text">{escape(tokenizer)}</td>'
        + "".join(_figures(line.get(column, ())) for column in group.columns)
        + f'<td class="text long">{escape(source)}</td></tr>'
        for tokenizer, system, source, line in group.lines
    )
    return (
        f'<h2>{escape(group.title)}</h2><div class="frame"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _figures(figures: Sequence[Figure]) -> str:
    notes = "; ".join(figure.note for figure in figures if figure.note)
    tip = f' title="{escape(notes)}"' if notes else ""
    return f"<td{tip}>{escape(printed(figures)) or '–'}</td>"


@functools.cache
def _asset(name: str) -> tuple[str, str]:
    """Return a file of this folder and its hash as Content-Security-Policy writes it."""
    text = Path(__file__).with_name(name).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, f"'sha256-{digest}'"


def _page(title: str, body: str) -> str:
    style, style_hash = _asset("site.css")
    script, script_hash = _asset("site.js")
    policy = f"default-src 'none'; style-src {style_hash}; script-src {script_hash}; base-uri 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} · tokbench</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<nav><a href="index.html">tokbench leaderboard</a><a href="reported.html">reported figures</a></nav>\n'
        f"<h1>{escape(title)}</h1>\n{body}\n<script>{script}</script>\n</body>\n</html>\n"
    )
