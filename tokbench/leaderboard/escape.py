"""Foreign text in Markdown, LaTeX and CSV: shown as it is, never obeyed. HTML has `html.escape`."""

from __future__ import annotations

import math
import re

_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≈": r"$\approx$",
    "–": "--",
    **{letter: f"\\{letter}" for letter in "%_&#${}"},
}


def one_line(text: str) -> str:
    """Replace line breaks by spaces and show other control characters by their code."""
    return "".join(
        letter if letter.isprintable() else " " if letter in "\n\r\t" else f"U+{ord(letter):04X}"
        for letter in text
    )


def markdown(text: str) -> str:
    """Escape text for a cell of a Markdown table: no markup, no link, no HTML, no second column.

    An underscore between letters (``fd_lite0``) starts nothing in GitHub's Markdown and stays readable.
    """
    return _MARKDOWN.sub(r"\\\g<0>", one_line(text))


def latex(text: str) -> str:
    """Escape text for LaTeX; what a table needs of mathematics (arrows, ±, ∞) becomes its command."""
    return "".join(_LATEX.get(letter, letter) for letter in one_line(text))


def csv_cell(value: str | float | bool | None) -> str:
    """Write a value for CSV: text that a spreadsheet would take for a formula gets an apostrophe before it.

    Numbers stay numbers, a negative one too; infinity is ``inf`` and a missing number is empty.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    text = one_line(value)
    if _NUMBER.fullmatch(text):
        return text
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} or value[:1] in {"\t", "\r", "\n"} else text
