"""The originals of units of work, decoded and preprocessed ahead of whoever measures them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from tokbench.engine.timeline import NO_TIMELINE
from tokbench.errors import ImageError
from tokbench.images.ahead import ahead
from tokbench.images.decode import decode
from tokbench.images.preprocess import Prepared, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tokbench.engine.run import Pass, Run
    from tokbench.engine.timeline import Clock

Unit = tuple[int, int]
"""A shard of a pass: (pass number, shard number)."""

_THREADS = 2


@dataclass(frozen=True)
class Original:
    """One image of a shard: its pixels after the protocol, or why it has none.

    Attributes:
        index: plan position.
        prepared: its pixels; None when it is unreadable, and once they are no longer needed.
        digest: SHA-256 of the pixels in the file.
        size: height and width after the protocol; zeros when it is unreadable.
        reason: why it is unreadable, or "".
    """

    index: int
    prepared: Prepared | None
    digest: bytes = b""
    size: tuple[int, int] = (0, 0)
    reason: str = ""


def read_units(
    run: Run, units: Iterable[Unit], depth: int, clock: Clock = NO_TIMELINE
) -> Iterator[tuple[Unit, Iterator[Original]]]:
    """Yield units with their images; unreadable images keep their reason.

    Args:
        run: the run they belong to.
        units: taken one by one, as reading gets there.
        depth: images decoded beyond the one that the caller works on, also of units to come.
        clock: what the work is timed with.

    Raises:
        DigestError: an image is not the one its card names.
    """
    flow = ahead(_calls(run, units, clock), threads=_THREADS, depth=depth)
    for unit, pairs in groupby(flow, key=_first):
        yield unit, (original for _, original in pairs)


def batches(originals: Iterable[Original], size: Callable[[], int]) -> Iterator[list[Original]]:
    """Group readable images of equal shapes, in order, into batches of at most ``size()``."""
    groups: dict[tuple[int, ...], list[Original]] = {}
    for original in originals:
        if original.prepared is None:
            continue
        shape = (*original.prepared.reference.shape, *original.prepared.canvas.shape)
        group = groups.setdefault(shape, [])
        group.append(original)
        if len(group) >= size():
            yield groups.pop(shape)
    yield from groups.values()


def _calls(run: Run, units: Iterable[Unit], clock: Clock) -> Iterator[Callable[[], tuple[Unit, Original]]]:
    for unit in units:
        part = run.passes[unit[0]]
        indices = part.plan.indices(unit[1])
        items = [part.plan.items[index] for index in indices]
        for index, (item, data) in zip(indices, part.images.read(items), strict=True):
            yield partial(_original, clock, unit, part, index, item.file, data)


def _original(
    clock: Clock, unit: Unit, part: Pass, index: int, name: str, data: bytes | ImageError
) -> tuple[Unit, Original]:
    try:
        if isinstance(data, ImageError):
            raise data
        with clock.span("decode+resize", 1):
            decoded = decode(data, name)
            prepared = prepare(decoded.pixels, part.protocol, name)
        return unit, Original(index, prepared, decoded.digest, prepared.reference.shape[:2])
    except ImageError as error:
        return unit, Original(index, None, reason=error.message)


def _first(pair: tuple[Unit, Original]) -> Unit:
    return pair[0]
