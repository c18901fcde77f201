"""A comparison arranged for people: one table per other tokenizer, image set and task; numbers with fitting digits."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

from tokbench.results.table import number
from tokbench.results.wording import amount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokbench.results.comparison import Compared, Comparison

HEADERS = ("metric", "reference", "other", "difference", "95 % interval", "p", "finding")

Group = tuple[str, str, str, str]
"""Label of the other side, image set, task, protocol."""


def groups(comparison: Comparison) -> dict[Group, list[Compared]]:
    """Return the rows table by table."""
    found: dict[Group, list[Compared]] = {}
    for row in comparison.rows:
        found.setdefault((row.b, row.dataset, row.task, row.protocol), []).append(row)
    return found


def cells(row: Compared) -> tuple[str, ...]:
    """Return one line of a table under `HEADERS`: values, difference, interval, corrected p-value, finding."""
    mark = "~" if row.finding == "unreliable" else ""
    unit = f" {row.unit}" if row.unit else ""
    digits = _digits(row)
    interval = ""
    if not math.isnan(row.ci_low) and row.ci_low != row.ci_high:
        interval = f"{_signed(row.ci_low, digits)} to {_signed(row.ci_high, digits)}"
    finding = {
        "none": "no difference seen",
        "unsupported": "not compared",
        "unknown": "no interval",
    }.get(row.finding, row.finding)
    return (
        row.name,
        mark + number(row.value_a),
        mark + number(row.value_b),
        "–" if math.isnan(row.difference) else _signed(row.difference, digits) + unit,
        interval,
        p_value(row.p_holm),
        finding,
    )


def p_value(p: float) -> str:
    """Write a p-value: two digits, and no zero, which no test of finitely many draws can show."""
    if math.isnan(p):
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def headline(rows: Sequence[Compared]) -> list[str]:
    """Return the differences in plain words: certain ones first, then likely ones, then what could not be told."""
    order = ("certain", "likely", "unreliable", "unknown", "none", "unsupported")
    said = [row.effect for finding in order for row in rows if row.finding == finding]
    same = ", ".join(row.name for row in rows if row.finding == "equal")
    return [*said, f"exactly the same: {same}"] if same else said


def _digits(row: Compared) -> int:
    """Return decimals so that the half-width of the interval has two significant digits."""
    half = (row.ci_high - row.ci_low) / 2
    size = half if math.isfinite(half) and half > 0 else abs(row.difference)
    if not math.isfinite(size) or size == 0:
        return 0
    return min(6, max(0, 1 - math.floor(math.log10(size))))


def _signed(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return amount(value)
    text = f"{value:+.{digits}f}"
    return text if float(text) else f"{value:+.1e}" if value else "0"


def html_comparison(comparison: Comparison) -> str:
    """Write every table of a comparison as HTML, for notebooks; all text is escaped."""
    parts = []
    for (other, dataset, task, protocol), rows in groups(comparison).items():
        caption = f"{other} against {comparison.reference} · {dataset} · {task} · {protocol}"
        head = "".join(f"<th>{html.escape(title)}</th>" for title in HEADERS)
        body = "".join(
            f'<tr title="{html.escape(row.effect)}">'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells(row))
            + "</tr>"
            for row in rows
        )
        parts.append(f"<table><caption>{html.escape(caption)}</caption><tr>{head}</tr>{body}</table>")
    note = f"p-values are corrected for {comparison.tests} metrics (Holm)."
    return "".join(parts) + f"<p>{note}</p>"
