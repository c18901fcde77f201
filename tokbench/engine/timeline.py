"""What every thread of a run was doing, and when: the raw material of `tokbench run --profile`.

A span is a stretch of time with a name; spans of one thread nest. Names are paths whose first part is the kind of work:
``read``, ``decode+resize``, ``tokenizer/NAME``, ``network/NAME`` and ``network/NAME/originals``, ``metric/NAME``,
``state/NAME``, ``view/NAME``, ``write``, ``cache``, ``finish``. Spans named ``wait/…`` are time in which a thread did
nothing but wait for another one, and count as idle.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of time in one thread.

    Attributes:
        name: what was done, a path.
        start: when it began, in seconds of `time.perf_counter`, which all processes of a machine share.
        end: when it ended.
        process: process id.
        thread: the thread's identifier within the process.
        lane: the thread's name.
        images: images worked on; 0 when that says nothing.
        inside: seconds of it that spans within it took.
    """

    name: str
    start: float
    end: float
    process: int
    thread: int
    lane: str
    images: int = 0
    inside: float = 0.0

    @property
    def seconds(self) -> float:
        """Its whole length."""
        return self.end - self.start

    @property
    def own(self) -> float:
        """Its length without the spans within it."""
        return self.seconds - self.inside


class Clock(Protocol):
    """What work is timed with: a `Timeline`, or `NO_TIMELINE`."""

    def span(self, name: str, images: int = 0) -> AbstractContextManager[object]:
        """Time a block of work of this thread."""
        ...


class Timeline:
    """Collects spans from any number of threads.

    Attributes:
        start: when it was made, in seconds of `time.perf_counter`.
        spans: finished spans, in the order in which they ended; those of worker processes where they were added.
    """

    def __init__(self) -> None:
        """Begin now."""
        self.start = time.perf_counter()
        self.spans: list[Span] = []
        self._open = _Open()

    def span(self, name: str, images: int = 0) -> AbstractContextManager[object]:
        """Time a block of work of this thread, whether it ends well or raises.

        Args:
            name: a path, see above.
            images: images worked on; 0 when that says nothing.
        """
        return _Running(self, self._open.insides, name, images)

    def extend(self, spans: Iterable[Span]) -> None:
        """Add spans from elsewhere, such as a worker process."""
        self.spans.extend(spans)

    def take(self) -> list[Span]:
        """Return the finished spans and forget them, for a worker process that reports now and then."""
        taken = self.spans
        count = len(taken)
        spans = taken[:count]
        del taken[:count]  # other threads may have appended meanwhile
        return spans


class NoTimeline:
    """Times nothing and costs next to nothing."""

    def span(self, name: str, images: int = 0) -> AbstractContextManager[object]:
        """Return a context that does nothing, the same one every time."""
        return _NOTHING


_NOTHING = nullcontext()
NO_TIMELINE = NoTimeline()


class _Open(threading.local):
    """The spans of this thread that are running: for each the seconds that finished spans within it took."""

    def __init__(self) -> None:
        self.insides: list[float] = []


class _Running:
    """A span from its beginning to its end."""

    __slots__ = ("_images", "_insides", "_name", "_start", "_timeline")

    def __init__(self, timeline: Timeline, insides: list[float], name: str, images: int) -> None:
        self._timeline = timeline
        self._insides = insides
        self._name = name
        self._images = images

    def __enter__(self) -> None:
        self._insides.append(0.0)
        self._start = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = time.perf_counter()
        inside = self._insides.pop()
        if self._insides:
            self._insides[-1] += end - self._start
        thread = threading.current_thread()
        # Appending to a list is atomic, so threads need no lock.
        self._timeline.spans.append(
            Span(
                self._name,
                self._start,
                end,
                os.getpid(),
                thread.ident or 0,
                thread.name,
                self._images,
                inside,
            )
        )
