"""The progress bar: images per second and time left on a terminal, a line now and then elsewhere; on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tokbench.cli.output import console, print_note, strangers_print_to_stderr

Start = Callable[[int, int], None]
Step = Callable[[int], None]
_EVERY_SECONDS = 15.0


@contextmanager
def progress(quiet: bool) -> Iterator[tuple[Start, Step]]:
    """Show progress while the block runs; what tokenizers print meanwhile goes to stderr.

    Args:
        quiet: show nothing, e.g. under ``--json``.

    Yields:
        Functions to call with (done, total) at the start and with each number of images finished.
    """
    with strangers_print_to_stderr(), _shown(quiet) as steps:
        yield steps


@contextmanager
def _shown(quiet: bool) -> Iterator[tuple[Start, Step]]:
    screen = console(stderr=True)
    if quiet:
        yield (lambda done, total: None), (lambda count: None)
    elif screen.is_terminal:
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
        from rich.text import Text

        class Rate(ProgressColumn):
            """Images per second."""

            def render(self, task: object) -> Text:
                speed = getattr(task, "finished_speed", None) or getattr(task, "speed", None)
                return Text(f"{speed:.1f} images/s" if speed else "")

        bar = Progress(
            TextColumn("evaluating"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            Rate(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=screen,
            transient=True,
        )
        with bar:
            number = bar.add_task("", total=None)
            yield (
                lambda done, total: bar.update(number, completed=done, total=total),
                lambda count: bar.update(number, advance=count),
            )
    else:
        lines = _Lines()
        yield lines.start, lines.step


class _Lines:
    """Progress as plain lines, for logs."""

    def __init__(self) -> None:
        self._done = self._total = self._before = 0
        self._began = self._last = time.monotonic()

    def start(self, done: int, total: int) -> None:
        """Say how much there is to do."""
        self._done, self._total, self._before = done, total, done
        self._began = self._last = time.monotonic()
        kept = f", {done} already done" if done else ""
        print_note(f"evaluating {total} reconstructions{kept}")

    def step(self, count: int) -> None:
        """Count, and say so when some time has passed since the last line."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= _EVERY_SECONDS:
            self._last = now
            rate = (self._done - self._before) / (now - self._began)
            left = f", {(self._total - self._done) / rate:.0f} s left" if rate > 0 else ""
            print_note(f"{self._done}/{self._total} images, {rate:.1f} images/s{left}")


@contextmanager
def download_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a download while the block runs.

    Yields:
        A function to call with (bytes so far, bytes in all; 0 when unknown).
    """
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import Progress

    with Progress(console=screen, transient=True) as bar:
        number = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(number, completed=done, total=total or None)
