"""Plain columns for long lists: what `tokbench list` prints, without the time that rich takes to import and lay out."""

from __future__ import annotations

import os
import shutil
import sys
from textwrap import wrap
from typing import TYPE_CHECKING

from tokbench.cli.output import PLAIN_WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = 2
_LAST = 30
_LEAST = 24
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def print_columns(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a list in the width of the terminal, or 100 columns elsewhere.

    The first columns take what they need, the last one at most 30, and the last but one is folded into the rest.

    Args:
        title: heading.
        header: names of the columns, at least two.
        rows: as many texts each, without control characters.
    """
    here = sys.stdout.isatty()
    styled = here and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    room = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns if here else PLAIN_WIDTH
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    widths[-1] = min(widths[-1], _LAST)
    widths[-2] = min(widths[-2], max(_LEAST, room - sum(widths) + widths[-2] - _GAP * (len(widths) - 1)))

    def shown(cells: Sequence[str]) -> str:
        *first, last = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        text = "".join(cell + " " * _GAP for cell in first)
        return text + f"{_DIM}{last.rstrip()}{_PLAIN}" if styled and last.strip() else (text + last).rstrip()

    _write(f"{_BOLD}{title}{_PLAIN}" if styled else title)
    _write(shown(header))
    for row in rows:
        folded = [*([text] for text in row[:-2]), _fold(row[-2], widths[-2]), _fold(row[-1], widths[-1])]
        for number in range(max(map(len, folded))):
            _write(shown([lines[number] if number < len(lines) else "" for lines in folded]))


def _write(text: str) -> None:
    """Write a line as it is, with its styles."""
    sys.stdout.write(text + "\n")


def _fold(text: str, width: int) -> list[str]:
    return [text] if len(text) <= width else wrap(text, width)
