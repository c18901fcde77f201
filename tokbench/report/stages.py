"""Where the time of a run went, read from its `profile.json`: by stage, and by lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.engine.trace import PROFILE
from tokbench.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WAIT = "wait"
"""First part of the names of time in which a thread only waited for another one."""
_ROUNDING = 2e-9
"""Times in a trace are whole nanoseconds, so one block may seem to begin just before the last one ended."""


@dataclass(frozen=True)
class Block:
    """One call of a stage.

    Attributes:
        name: the stage.
        start: seconds since the run began.
        seconds: its length.
        own: its length without the blocks within it, in seconds.
        depth: how many blocks it lies within.
        images: images worked on; 0 when that says nothing.
    """

    name: str
    start: float
    seconds: float
    own: float
    depth: int
    images: int


@dataclass(frozen=True)
class Lane:
    """A thread, or several that took turns.

    Attributes:
        name: the thread's name.
        process: name of its process.
        blocks: outer ones before those within.
    """

    name: str
    process: str
    blocks: tuple[Block, ...]

    @property
    def busy(self) -> float:
        """Seconds in which it worked."""
        return sum(block.own for block in self.blocks if not waits(block.name))

    @property
    def waited(self) -> float:
        """Seconds in which it waited for another lane."""
        return sum(block.own for block in self.blocks if waits(block.name))


@dataclass(frozen=True)
class Stage:
    """Everything of one name.

    Attributes:
        name: the name, a path.
        calls: how often.
        images: images worked on in all; 0 when that says nothing.
        seconds: time of threads, without the stages within it.
    """

    name: str
    calls: int
    images: int
    seconds: float


@dataclass(frozen=True)
class Breakdown:
    """Where the time of a run went.

    Attributes:
        wall: seconds from the beginning to the end.
        first: seconds until the first batch was reconstructed; None if none was.
        lanes: in the order in which they are drawn.
        stages: work by time, longest first; waiting is not among them.
    """

    wall: float
    first: float | None
    lanes: tuple[Lane, ...]
    stages: tuple[Stage, ...]

    @property
    def busy(self) -> float:
        """Seconds of work of all lanes together."""
        return sum(lane.busy for lane in self.lanes)


def waits(name: str) -> bool:
    """Say whether a stage is waiting."""
    return name.partition("/")[0] == WAIT


def read_breakdown(folder: Path | str) -> Breakdown:
    """Read the profile of a results folder.

    Raises:
        IntegrityError: there is none, or it is damaged.
    """
    from tokbench.results.store import Store

    document = Store(folder).read_json(PROFILE)
    if document is None:
        raise IntegrityError(f"`{folder}` has no profile", hint="run the command again with --profile")
    try:
        return breakdown(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"`{folder}/{PROFILE}` is no profile of tokbench: {type(error).__name__} {error}"
        ) from error


def breakdown(document: Mapping[str, Any]) -> Breakdown:
    """Add a trace document up.

    Args:
        document: what `tokbench.engine.trace.trace` made.
    """
    processes: dict[int, str] = {}
    names: dict[tuple[int, int], str] = {}
    events: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for event in document["traceEvents"]:
        if event["name"] == "process_name":
            processes[event["pid"]] = event["args"]["name"]
        elif event["name"] == "thread_name":
            names[event["pid"], event["tid"]] = event["args"]["name"]
        else:
            events.setdefault((event["pid"], event["tid"]), []).append(event)
    lanes = tuple(Lane(name, processes[place[0]], _blocks(events[place])) for place, name in names.items())
    every = [block for lane in lanes for block in lane.blocks]
    done = [
        block.start + block.seconds for block in every if block.images and block.name.startswith("tokenizer/")
    ]
    wall = document["otherData"]["wall_us"] / 1e6
    return Breakdown(wall, min(done, default=None), lanes, _stages(every))


def _blocks(events: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    """Turn the events of a lane, outer ones first, into blocks."""
    blocks = []
    ends: list[float] = []  # of the blocks that the next one may lie within
    for event in events:
        start, seconds = event["ts"] / 1e6, event["dur"] / 1e6
        while ends and start > ends[-1] - _ROUNDING:
            ends.pop()
        args = event["args"]
        blocks.append(
            Block(event["name"], start, seconds, args["own_us"] / 1e6, len(ends), args.get("images", 0))
        )
        ends.append(start + seconds)
    return tuple(blocks)


def _stages(blocks: Sequence[Block]) -> tuple[Stage, ...]:
    found: dict[str, Stage] = {}
    for block in blocks:
        if waits(block.name):
            continue
        so_far = found.get(block.name, Stage(block.name, 0, 0, 0.0))
        found[block.name] = Stage(
            block.name,
            so_far.calls + 1,
            so_far.images + block.images,
            so_far.seconds + block.own,
        )
    return tuple(sorted(found.values(), key=lambda stage: (-stage.seconds, stage.name)))
