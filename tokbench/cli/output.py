"""What people and programs see: data on stdout, everything else on stderr, plain when not a terminal."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from tokbench.errors import TokbenchError

PLAIN_WIDTH = 100
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def console(stderr: bool = False) -> Console:
    """Return a console; rich itself respects NO_COLOR, and a pipe gets plain text of 100 columns."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream, highlight=False, soft_wrap=False, width=None if stream.isatty() else PLAIN_WIDTH
    )


def print_line(text: str = "") -> None:
    """Write lines of data to stdout; what would steer a terminal is shown."""
    sys.stdout.write(_harmless(text) + "\n")


def print_note(text: str) -> None:
    """Write lines to stderr; what would steer a terminal is shown."""
    sys.stderr.write(_harmless(text) + "\n")


def print_json(value: Mapping[str, Any]) -> None:
    """Write one JSON object to stdout."""
    from tokbench.results.schema import to_json

    print_line(to_json(value, indent=1))


@contextlib.contextmanager
def strangers_print_to_stderr() -> Iterator[None]:
    """Keep stdout for data: whatever is printed to it while the block runs goes to stderr.

    Adapters and libraries print as they like, from Python, from native code and from processes that they start.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is no stdout that anything could be mixed into
        yield
        return
    try:
        with contextlib.suppress(OSError):  # without a stderr, what is printed stays where it was
            os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        with contextlib.suppress(
            OSError, TypeError, AttributeError
        ):  # no C library by that name, e.g. on Windows
            ctypes.CDLL(None).fflush(
                None
            )  # a pipe is written to in blocks, the last one when the process ends
        os.dup2(kept, 1)
        os.close(kept)


def show_error(error: TokbenchError) -> None:
    """Write an error and its hint to stderr; control characters of foreign names are shown, not obeyed."""
    print_note(f"error: {printable(error.message)}")
    if error.hint:
        print_note(f"hint: {printable(error.hint)}")


def _harmless(text: str) -> str:
    """Escape control characters but line breaks and tabs, marks of writing direction, and lone surrogates."""
    return _STEERING.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def printable(text: str) -> str:
    """Escape control characters, so that a file name cannot steer the terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
