"""What people and programs see: data on stdout, everything else on stderr, plain when not a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from tokbench.errors import TokbenchError

PLAIN_WIDTH = 100


def console(stderr: bool = False) -> Console:
    """Return a console; rich itself respects NO_COLOR, and a pipe gets plain text of 100 columns."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream, highlight=False, soft_wrap=False, width=None if stream.isatty() else PLAIN_WIDTH
    )


def print_line(text: str = "") -> None:
    """Write one line of data to stdout as it is."""
    sys.stdout.write(text + "\n")


def print_note(text: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(text + "\n")


def print_json(value: Mapping[str, Any]) -> None:
    """Write one JSON object to stdout."""
    from tokbench.results.schema import to_json

    print_line(to_json(value, indent=1))


def show_error(error: TokbenchError) -> None:
    """Write an error and its hint to stderr; control characters of foreign names are shown, not obeyed."""
    print_note(f"error: {printable(error.message)}")
    if error.hint:
        print_note(f"hint: {printable(error.hint)}")


def printable(text: str) -> str:
    """Escape control characters, so that a file name cannot steer the terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
