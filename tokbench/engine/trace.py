"""A timeline on disk: `profile.json`, in the trace-event format that Perfetto and chrome://tracing open.

Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (complete events, ``ph: X``).
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokbench.engine.timeline import Span, Timeline
    from tokbench.results.store import Store

PROFILE = "profile.json"
_MAIN = "MainThread"


def write_trace(store: Store, timeline: Timeline) -> None:
    """Write what a run did up to now into its results folder.

    Raises:
        StorageError: it cannot be written.
    """
    document = trace(timeline.spans, timeline.start, time.perf_counter())
    # One event a line: a long run has a million of them.
    events = ",\n".join(json.dumps(event) for event in document.pop("traceEvents"))
    head = json.dumps(document, indent=1)[:-2]
    store.write_bytes(PROFILE, f'{head},\n "traceEvents": [\n{events}\n]\n}}\n'.encode())


def trace(spans: Sequence[Span], start: float, end: float) -> dict[str, Any]:
    """Arrange spans as a trace document; times in it are microseconds since `start`.

    Args:
        spans: what was done.
        start: when the run began, in seconds of `time.perf_counter`.
        end: when it ended.
    """
    from tokbench import __version__

    events: list[dict[str, Any]] = []
    named: set[int] = set()
    for number, lane in enumerate(lanes(spans)):
        process = lane[0].process
        if process not in named:
            named.add(process)
            name = "tokbench" if process == os.getpid() else f"worker {process}"
            events.append({"name": "process_name", "ph": "M", "pid": process, "args": {"name": name}})
        # Identifiers of threads are too wide for the viewers, so threads are numbered.
        place = {"pid": process, "tid": number}
        name = "main" if lane[0].lane == _MAIN else lane[0].lane
        events.append({"name": "thread_name", "ph": "M", **place, "args": {"name": name}})
        for span in lane:
            args: dict[str, Any] = {"own_us": _microseconds(span.own)}
            if span.images:
                args["images"] = span.images
            times = {"ts": _microseconds(span.start - start), "dur": _microseconds(span.seconds)}
            kind = span.name.partition("/")[0]
            events.append({"name": span.name, "cat": kind, "ph": "X", **times, **place, "args": args})
    return {
        "displayTimeUnit": "ms",
        "otherData": {"tokbench": __version__, "wall_us": _microseconds(end - start)},
        "traceEvents": events,
    }


def lanes(spans: Sequence[Span]) -> list[list[Span]]:
    """Group spans into lanes that each do one thing at a time, outer spans before those within.

    A lane is a thread. Threads that do the same work one after another, as those of short-lived pools, share one: in
    the same process, with names that differ in numbers only.
    """
    threads: dict[tuple[int, int, str], list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        threads.setdefault((span.process, span.thread, span.lane), []).append(span)
    found: list[list[Span]] = []
    ends: list[float] = []
    for thread in threads.values():
        number = next(_places(found, ends, thread[0]), None)
        if number is None:
            found.append(thread)
            ends.append(max(span.end for span in thread))
        else:
            found[number].extend(thread)
            ends[number] = max(span.end for span in thread)
    order = list(dict.fromkeys(lane[0].process for lane in found))
    return sorted(found, key=lambda lane: (order.index(lane[0].process), lane[0].lane != _MAIN))


def _places(found: Sequence[Sequence[Span]], ends: Sequence[float], first: Span) -> Iterator[int]:
    """Give the lanes that are free when a thread begins and did the same work before."""
    for number, (lane, end) in enumerate(zip(found, ends, strict=True)):
        other = lane[0]
        if other.process == first.process and end <= first.start and _kind(other.lane) == _kind(first.lane):
            yield number


def _kind(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _microseconds(seconds: float) -> float:
    return round(seconds * 1e6, 3)
