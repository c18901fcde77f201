"""Ctrl-C and SIGTERM, taken at a safe point: between two batches, where nothing is half done.

Python's own handler raises `KeyboardInterrupt` wherever the program stands, so also inside an import, a destructor or a
callback of a library, where it is swallowed or turned into another error. Here the first signal is only noted.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

from tokbench.cli.output import print_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """What has arrived so far."""

    def __init__(self) -> None:
        self.received: int | None = None

    def check(self) -> None:
        """Stop here if a signal has arrived.

        Raises:
            KeyboardInterrupt: one has.
        """
        if self.received is not None:
            raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells count: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.received or signal.SIGINT)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            signal.default_int_handler(number, frame)
        self.received = number
        print_note("stopping once the batch in hand is done; press again to stop at once")


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Note signals while the block runs; a second one raises `KeyboardInterrupt` at once.

    Outside the main thread, where Python allows no handlers, signals stay with whoever has them.
    """
    noted = Interrupts()
    if current_thread() is not main_thread():
        yield noted
        return
    before = {number: signal.signal(number, noted._note) for number in _SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
