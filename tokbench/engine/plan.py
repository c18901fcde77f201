"""Which images a pass reads, and in which fixed shards.

The plan depends on the image set and `limit` alone, never on workers, machines or batch size: that is what lets any
of them change without changing a number.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.errors import EmptyImageSetError, UsageError

if TYPE_CHECKING:
    from tokbench.images.card import Item
    from tokbench.images.imageset import ImageSet

_SMALLEST, _LARGEST, _WANTED = 16, 256, 64


@dataclass(frozen=True)
class Plan:
    """The images of a pass, in order, cut into shards.

    Attributes:
        items: the images, by ascending id; the position in this tuple is an image's index everywhere.
        shard_size: images per shard; the last one may be shorter.
        partial: True when `limit` left images out.
    """

    items: tuple[Item, ...]
    shard_size: int
    partial: bool

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-len(self.items) // self.shard_size)

    def indices(self, shard: int) -> range:
        """Return the plan positions of one shard."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, len(self.items)))

    @property
    def selection(self) -> str:
        """SHA-256 over the ids, one a line as JSON strings: which images of the set take part."""
        import json

        text = "\n".join(json.dumps(item.id) for item in self.items)
        return hashlib.sha256(text.encode()).hexdigest()


def make_plan(images: ImageSet, limit: int | None = None) -> Plan:
    """Plan a pass over an image set.

    Args:
        images: the image set.
        limit: take only so many images, evenly spaced over the sorted ids (class folders stay mixed).

    Raises:
        EmptyImageSetError: the set has no image.
        UsageError: the limit is below 1.
    """
    items = images.items
    if not items:
        raise EmptyImageSetError(f"image set `{images.name}` holds no image")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit} leaves no image", hint="give 1 or more")
    if limit is not None and limit < len(items):
        chosen = tuple(items[i * len(items) // limit] for i in range(limit))
        return Plan(chosen, shard_size(limit), partial=True)
    return Plan(tuple(items), shard_size(len(items)), partial=False)


def shard_size(count: int) -> int:
    """Return the shard size for so many images: about 64 shards, each of 16 to 256 images, a power of two."""
    size = _SMALLEST
    while size < _LARGEST and size * _WANTED < count:
        size *= 2
    return size
