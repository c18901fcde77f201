"""Frames on a pair of pipes: what tokbench and a worker say to each other.

A frame is ``TOKB``, the length of its header (u32) and of its body (u64), little-endian, then the header (JSON, an
object) and the body. ``parts`` of the header lists what the body holds, one after the other: ``[name, type, shape]``.
Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import math
import os
import select
import struct
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_HEADER = 1 << 20
MAX_BODY = 1 << 34
ITEM_BYTES = {
    "bytes": 1,
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
}
"""Types a part may have; ``bytes`` is no tensor."""

_MAGIC = b"TOKB"
_LENGTHS = struct.Struct("<4sIQ")
_CHUNK = 1 << 20
_LOOK_SECONDS = 0.25


class FrameError(Exception):
    """What came is no frame, or what should go is none."""


class Part(NamedTuple):
    """One piece of a body.

    Attributes:
        name: what it is called.
        kind: its type, a key of `ITEM_BYTES`.
        shape: its axes; ``[n]`` for bytes.
        data: its bytes, rows last.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    data: bytes | bytearray


class Frame(NamedTuple):
    """A header of plain JSON values and the parts that came with it."""

    head: dict[str, Any]
    parts: tuple[Part, ...] = ()

    def part(self, name: str) -> Part:
        """Return the part of that name.

        Raises:
            FrameError: there is none.
        """
        for each in self.parts:
            if each.name == name:
                return each
        raise FrameError(f"no part `{name}`")


class Channel:
    """One end of a conversation.

    Args:
        incoming: file descriptor that frames are read from.
        outgoing: file descriptor that frames are written to.
        ended: asked now and then while nothing comes; True when the other side is gone although the pipe is open,
            because something that it started holds it.
    """

    def __init__(self, incoming: int, outgoing: int, ended: Callable[[], bool] = lambda: False) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._ended = ended
        for descriptor in (incoming, outgoing):
            os.set_blocking(descriptor, False)

    def close(self) -> None:
        """Close both ends."""
        os.close(self._incoming)
        os.close(self._outgoing)

    def send(self, frame: Frame, seconds: float = math.inf) -> None:
        """Write one frame.

        Raises:
            FrameError: the header is too long.
            TimeoutError: the other side does not read.
            EOFError: the other side is gone.
        """
        until = time.monotonic() + seconds
        listed = [[part.name, part.kind, list(part.shape)] for part in frame.parts]
        header = json.dumps({**frame.head, "parts": listed}).encode()
        if len(header) > MAX_HEADER:
            raise FrameError(f"header of {len(header)} bytes")
        body = sum(len(part.data) for part in frame.parts)
        self._write(_LENGTHS.pack(_MAGIC, len(header), body) + header, until)
        for part in frame.parts:
            self._write(part.data, until)

    def receive(self, seconds: float = math.inf) -> Frame:
        """Read one frame.

        Raises:
            FrameError: what comes is no frame.
            TimeoutError: nothing comes, or not all of it.
            EOFError: the other side is gone.
        """
        until = time.monotonic() + seconds
        magic, header_bytes, body_bytes = _LENGTHS.unpack(self._read(_LENGTHS.size, until))
        if magic != _MAGIC:
            raise FrameError(f"it starts with {magic!r}")
        if header_bytes > MAX_HEADER:
            raise FrameError(f"header of {header_bytes} bytes")
        try:
            head: dict[str, Any] = dict(json.loads(self._read(header_bytes, until)))
            listed = [(str(name), str(kind), _shape(shape)) for name, kind, shape in head.pop("parts")]
            sizes = [math.prod(shape) * ITEM_BYTES[kind] for _, kind, shape in listed]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FrameError(f"header that cannot be read: {type(error).__name__}: {error}") from error
        if sum(sizes) != body_bytes or body_bytes > MAX_BODY:
            raise FrameError(f"body of {body_bytes} bytes, and parts of {sum(sizes)}")
        parts = [Part(*what, self._read(size, until)) for what, size in zip(listed, sizes)]  # noqa: B905 (3.9)
        return Frame(head, tuple(parts))

    def _read(self, count: int, until: float) -> bytearray:
        data = bytearray(count)
        view = memoryview(data)
        done = 0
        while done < count:
            try:
                got = os.readv(self._incoming, [view[done : done + _CHUNK]])
            except BlockingIOError:
                self._wait(self._incoming, select.POLLIN, until)
                continue
            if not got:
                raise EOFError
            done += got
        return data

    def _write(self, data: bytes | bytearray, until: float) -> None:
        view = memoryview(data)
        done = 0
        while done < len(view):
            try:
                done += os.write(self._outgoing, view[done : done + _CHUNK])
            except BlockingIOError:
                self._wait(self._outgoing, select.POLLOUT, until)
            except BrokenPipeError as error:
                raise EOFError from error

    def _wait(self, descriptor: int, event: int, until: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        while True:
            left = until - time.monotonic()
            ended = self._ended()  # asked first: what was written before the end is still read
            if poll.poll(1000 * max(0.0, min(left, _LOOK_SECONDS))):
                return
            if ended:
                raise EOFError
            if left <= 0:
                raise TimeoutError


def _shape(sides: Sequence[Any]) -> tuple[int, ...]:
    if not all(type(side) is int and side >= 0 for side in sides):
        raise ValueError(f"shape {sides!r}")
    return tuple(sides)
