"""Image sets in a folder of tar files: WebDataset shards, taken together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from tokbench.errors import DataError
from tokbench.images.remote import reach
from tokbench.images.tar import TarReader, index_tar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tokbench.errors import ImageError
    from tokbench.images.card import Item
    from tokbench.images.storage import Location


@dataclass(frozen=True)
class ShardReader:
    """Reads items whose `file` is ``shard.tar/member``.

    Attributes:
        shards: file name of a shard to its reader.
    """

    shards: Mapping[str, TarReader]

    def read(self, items: Sequence[Item]) -> Iterator[bytes | ImageError]:
        """Yield each item's bytes; a shard is opened once for the items of it that follow each other."""
        for shard, group in groupby(items, lambda item: item.file.partition("/")[0]):
            inner = [replace(item, file=item.file.partition("/")[2]) for item in group]
            yield from self.shards[shard].read(inner)


def index_shards(place: Location) -> tuple[list[Item], list[str], ShardReader]:
    """Read the headers and truth of every ``.tar`` in a folder, in order of names.

    Returns:
        Items shard by shard, the names of members that belong to no image, and the reader.

    Raises:
        DataError: there is no shard, one is refused (`tokbench.images.tar.index_tar`), or a key is in two shards.
    """
    try:
        listed = reach(partial(place.fs.ls, place.path, detail=False), place.path)
    except OSError as error:
        raise DataError(f"`{place.shown}` cannot be listed: {error.strerror or error}") from error
    found = sorted(path for path in listed if path.endswith(".tar"))
    if not found:
        raise DataError(f"`{place.shown}` holds no .tar file", hint="put the shards themselves there")
    items: dict[str, Item] = {}
    others: list[str] = []
    readers: dict[str, TarReader] = {}
    for path in found:
        name = path.rpartition("/")[2]
        inner, left, readers[name] = index_tar(replace(place, path=path, shown=f"{place.shown}/{name}"))
        others += [f"{name}/{member}" for member in left]
        for item in inner:
            if item.id in items:
                first = items[item.id].file.partition("/")[0]
                raise DataError(f"`{place.shown}`: key {item.id!r} is in {first} and in {name}")
            items[item.id] = replace(item, file=f"{name}/{item.file}")
    return list(items.values()), others, ShardReader(readers)
