"""Rows arranged for people: one table per image set and task, tokenizers down, metrics across."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokbench.results.schema import Row

_LEAST = 1e-15
"""Half an interval below this is none: rounding alone makes more."""

ARROWS = {True: "↑", False: "↓", None: ""}


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        dataset: image-set name.
        task: task name.
        protocol: protocol name.
        metrics: column metrics, in order.
        lines: ``{tokenizer: {metric: row}}`` in the order the tokenizers were given; a view has a line of its own,
            ``tokenizer view``, where it has any of the metrics.
    """

    dataset: str
    task: str
    protocol: str
    metrics: tuple[str, ...]
    lines: dict[str, dict[str, Row]]

    def best(self, metric: str) -> set[str]:
        """Return the lines whose value is the best of a column; none where values must not be ranked."""
        lines = {name: line[metric] for name, line in self.lines.items() if metric in line}
        rows = list(lines.values())
        ranked = [
            row
            for row in rows
            if not math.isnan(row.value) and row.reliable and row.higher_is_better is not None
        ]
        if len(ranked) != len([row for row in rows if not math.isnan(row.value)]) or len(ranked) < 2:
            return set()
        pick = max if ranked[0].higher_is_better else min
        top = pick(row.value for row in ranked)
        return {name for name, row in lines.items() if row.value == top}

    def header(self, metric: str, title: str = "") -> str:
        """Return a column title with unit and arrow."""
        row = next(line[metric] for line in self.lines.values() if metric in line)
        unit = f" {row.unit}" if row.unit else ""
        return f"{title or metric}{unit} {ARROWS[row.higher_is_better]}".strip()


def tables(rows: Sequence[Row], columns: dict[str, Sequence[str]] | None = None) -> Iterator[Table]:
    """Arrange rows.

    Args:
        rows: the rows of a summary.
        columns: ``{task: metrics to show}``; by default every metric that has a value somewhere.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.task, row.protocol), []).append(row)
    for (dataset, task, protocol), group in groups.items():
        valued = {row.metric: None for row in group if not math.isnan(row.value)}
        metrics = [metric for metric in (columns or {}).get(task, valued) if metric in valued]
        lines: dict[str, dict[str, Row]] = {}
        for row in group:
            if row.metric in metrics and not (row.view and row.status == "unsupported"):
                lines.setdefault(f"{row.tokenizer} {row.view}".rstrip(), {})[row.metric] = row
        yield Table(dataset, task, protocol, tuple(metrics), lines)


def number(value: float) -> str:
    """Write a number with about four significant digits; a blank is a dash, never a zero."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    digits = max(0, min(4, 3 - math.floor(math.log10(abs(value)))))
    text = f"{value:.{digits}f}"
    return text if float(text) else f"{value:.1e}"


def cell(row: Row | None) -> str:
    """Write a value with half the width of its 95 % interval; ``~`` marks a value that must not be ranked.

    The interval decides the digits: one significant digit of it, two when it starts with 1, and the value to match.
    """
    if row is None or math.isnan(row.value):
        return "–"
    half = (row.ci_high - row.ci_low) / 2
    mark = "" if row.reliable else "~"
    if not _LEAST < half < math.inf or math.isinf(row.value):
        return mark + number(row.value)
    exponent = math.floor(math.log10(half))
    digits = max(0, -exponent + (half / 10**exponent < 2))
    return f"{mark}{row.value:.{digits}f} ±{half:.{digits}f}"


def html_tables(rows: Sequence[Row]) -> str:
    """Write every table as HTML, for notebooks; all text is escaped."""
    parts = []
    for table in tables(rows):
        head = "".join(f"<th>{html.escape(table.header(metric))}</th>" for metric in table.metrics)
        body = ""
        for tokenizer, line in table.lines.items():
            cells = "".join(
                f'<td title="{html.escape(_tooltip(line.get(metric)))}">{html.escape(cell(line.get(metric)))}</td>'
                for metric in table.metrics
            )
            body += f"<tr><th>{html.escape(tokenizer)}</th>{cells}</tr>"
        caption = html.escape(f"{table.dataset} · {table.task} · {table.protocol}")
        parts.append(f"<table><caption>{caption}</caption><tr><th>tokenizer</th>{head}</tr>{body}</table>")
    return "".join(parts)


def _tooltip(row: Row | None) -> str:
    if row is None:
        return ""
    interval = (
        f"95 % interval {number(row.ci_low)} to {number(row.ci_high)}, n = {row.n}, failed = {row.failed}"
    )
    return f"{interval}; {row.reason}" if row.reason else interval
