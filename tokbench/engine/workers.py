"""Hands units of work to this process or to several, and gathers what they report.

Units are idempotent: a worker that dies costs the shard in hand, and the same command continues after it. Each worker
has a pipe of its own, so that no lock is shared with a process that may be killed.
"""

from __future__ import annotations

import os
import pickle
import signal
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any

from tokbench.engine.timeline import NO_TIMELINE, Timeline
from tokbench.errors import AdapterError, TokbenchError, UsageError
from tokbench.results.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from pathlib import Path

    from tokbench.engine.originals import Unit
    from tokbench.engine.run import Run
    from tokbench.engine.timeline import Clock


def run_units(
    run: Run,
    folder: Path | str,
    units: Sequence[Unit],
    workers: int,
    on_images: Callable[[int], None],
    clock: Clock = NO_TIMELINE,
) -> dict[str, TokbenchError]:
    """Carry out units of work.

    Args:
        run: the run they belong to.
        folder: the results folder, or its URL.
        units: (pass number, shard number) each.
        workers: processes; 1 works in this process.
        on_images: called with the number of image reconstructions finished.
        clock: what the work is timed with; a `Timeline` is given the spans of all processes.

    Returns:
        ``{job id: error}`` of tokenizers that broke.

    Raises:
        TokbenchError: whatever stopped the whole run.
    """
    if workers == 1 or len(units) <= 1:
        with clock.span("start/imports"):
            from tokbench.engine.loop import Loop

        loop = Loop(run, Store(folder), on_images, clock=clock)
        loop.units(units)
        return loop.failed
    return _Crew(run, folder, min(workers, len(units)), on_images, clock).work(list(units))


_LOOK_SECONDS = 1.0
"""How often processes that say nothing are looked at."""


class _Crew:
    """The parent's side of several worker processes."""

    def __init__(
        self, run: Run, folder: Path | str, size: int, on_images: Callable[[int], None], clock: Clock
    ) -> None:
        self._on_images = on_images
        self._timeline = clock if isinstance(clock, Timeline) else None
        self._failed: dict[str, TokbenchError] = {}
        context = get_context("spawn")
        self._members: dict[Connection, SpawnProcess] = {}
        threads = max(1, (os.cpu_count() or 1) // size)
        for number in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_member,
                args=(run, folder, threads, number, self._timeline is not None, theirs),
                daemon=True,
            )
            try:
                with _deaf_to_interrupts():
                    process.start()
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise UsageError(
                    f"this run cannot be handed to worker processes: {error}",
                    hint="--workers needs tokenizers and tasks defined in files, not at a prompt; use --workers 1",
                ) from error
            theirs.close()
            self._members[ours] = process

    def work(self, units: list[Unit]) -> dict[str, TokbenchError]:
        """Hand out units one at a time until all are done."""
        units.reverse()
        try:
            while self._members:
                heard = connection.wait(list(self._members), _LOOK_SECONDS)
                for ready in heard:
                    self._hear(ready, units)  # type: ignore[arg-type]
                if not heard:
                    self._look()
        finally:
            for process in self._members.values():
                process.terminate()
            for process in self._members.values():
                process.join()
        return self._failed

    def _look(self) -> None:
        """Notice processes that died although their pipe is open, because something that they started holds it.

        Raises:
            AdapterError: one did.
        """
        for process in self._members.values():
            if not process.is_alive():
                raise _lost(process)

    def _hear(self, pipe: Connection, units: list[Unit]) -> None:
        process = self._members[pipe]
        try:
            kind, value = pipe.recv()
        except (EOFError, OSError):  # it ended between two messages, or in the middle of one
            process.join()
            raise _lost(process) from None
        if kind == "images":
            self._on_images(value)
        elif kind == "error":
            raise value
        elif kind == "ready":
            pipe.send(units.pop() if units else None)
        else:
            failed, spans = value
            self._failed.update(failed)
            if self._timeline is not None:
                self._timeline.extend(spans)
            process.join()
            del self._members[pipe]


def _lost(process: SpawnProcess) -> AdapterError:
    return AdapterError(
        f"a worker process ended with exit status {process.exitcode} in the middle of a shard",
        hint="out of memory or a crash in native code; finished shards are kept: run the same command again, "
        "with fewer --workers or a smaller --batch-size",
    )


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let processes started in the block ignore Ctrl-C, which a terminal sends to them too: the parent ends them."""
    if current_thread() is not main_thread():  # only the main thread may set signal handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _device(run: Run, number: int) -> str:
    """Spread workers over the CUDA devices when the run uses any."""
    import torch

    from tokbench.engine.device import resolve_device

    device = resolve_device(run.settings.device)
    if device.type == "cuda" and run.settings.device in {"auto", "cuda"}:
        return f"cuda:{number % torch.cuda.device_count()}"
    return str(device)


def _member(run: Run, folder: Path | str, threads: int, number: int, timed: bool, pipe: Connection) -> None:
    """The worker's side: ask for units, do them, report."""
    Thread(target=_end_with_parent, daemon=True).start()
    timeline = Timeline()
    clock = timeline if timed else NO_TIMELINE
    with clock.span("start/imports"):
        import torch

        from tokbench.engine.loop import Loop

    torch.set_num_threads(threads)

    def asked() -> Iterator[Unit]:
        while True:
            pipe.send(("ready", None))
            unit: Any = pipe.recv()
            if unit is None:
                return
            yield unit

    try:
        loop = Loop(
            run,
            Store(folder),
            lambda count: pipe.send(("images", count)),
            device=_device(run, number),
            clock=clock,
        )
        loop.units(asked())
        pipe.send(("done", (loop.failed, timeline.spans)))
    except TokbenchError as error:
        pipe.send(("error", error))
    except (EOFError, BrokenPipeError):
        return


def _end_with_parent() -> None:
    """Leave at once when the parent is gone: a killed run must not go on computing unseen."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
