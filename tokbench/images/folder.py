"""Image sets in a folder, local or on a storage that lists."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tokbench.errors import DataError, ImageError
from tokbench.images.ahead import ahead
from tokbench.images.card import Item
from tokbench.images.remote import reach
from tokbench.images.storage import Location, ids_of, is_hidden, is_image_name, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_THREADS = 8
"""Requests for remote files that are on their way at once: each is short, and waiting is most of it."""


@dataclass(frozen=True)
class FolderReader:
    """Reads the files of a folder: one at a time from disk, a few ahead from remote storage."""

    place: Location

    def read(self, items: Sequence[Item]) -> Iterator[bytes | ImageError]:
        """Yield each item's bytes; a file that is gone or unreadable is an `ImageError`."""
        calls = (partial(self._bytes, item) for item in items)
        yield from (call() for call in calls) if self.place.is_local else ahead(calls, threads=_THREADS)

    def _bytes(self, item: Item) -> bytes | ImageError:
        if (refused := too_large(item)) is not None:
            return refused
        try:
            return self.place.read(self.place.join(item.file))
        except OSError as error:
            return ImageError(
                f"{item.file}: cannot be read: {error.strerror or error or type(error).__name__}"
            )


def list_folder(place: Location) -> tuple[list[Item], list[str]]:
    """List the images of a folder and its subfolders.

    Hidden files and folders are skipped.

    Returns:
        Items in no particular order, and the relative paths of the other files.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        sizes = dict(_local_files(Path(place.path)) if place.is_local else _remote_files(place))
    except OSError as error:
        raise DataError(f"`{place.shown}` cannot be listed: {error.strerror or error}") from error
    images = {path: size for path, size in sizes.items() if is_image_name(path)}
    ids = ids_of(images)
    items = [Item(ids[path], path, size) for path, size in images.items()]
    return items, [path for path in sizes if path not in images]


def file_size(place: Location, relative: str) -> int | None:
    """Return the size of one file in bytes, 0 when the storage does not say, None when the file is absent."""
    try:
        return int(place.info(place.join(relative)).get("size") or 0)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            f"`{place.shown}`: {relative} cannot be looked up: {error.strerror or error}"
        ) from error


def _local_files(root: Path) -> Iterator[tuple[str, int]]:
    """Walk a local folder; links are followed, but no folder is entered twice."""
    seen = set()
    for folder, names, files in os.walk(root, followlinks=True, onerror=_raise):
        real = Path(folder).resolve()
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            path = Path(folder, name)
            if name.startswith(".") or not path.exists():  # a link to nothing
                continue
            status = path.stat()
            if stat.S_ISREG(status.st_mode):  # reading a pipe would never end
                yield path.relative_to(root).as_posix(), status.st_size


def _raise(error: OSError) -> None:
    raise error


def _remote_files(place: Location) -> Iterator[tuple[str, int]]:
    find = partial(place.fs.find, place.path, detail=True)
    files = _linked_files(place) if place.is_web else reach(find, place.path)
    prefix = place.path + "/"
    sizes = {path.removeprefix(prefix): info.get("size") for path, info in files.items()}
    if place.is_web:
        sizes = {unquote(relative): size for relative, size in sizes.items()}
    names = [relative for relative in sizes if not is_hidden(relative)]
    unknown = [relative for relative in names if sizes[relative] is None]  # pages of links state none
    looked_up = ahead((partial(file_size, place, relative) for relative in unknown), threads=_THREADS)
    sizes |= dict(zip(unknown, looked_up, strict=True))
    yield from ((relative, int(sizes[relative] or 0)) for relative in names)


def _linked_files(place: Location) -> dict[str, dict[str, Any]]:
    """Follow the links of a web server's pages downwards.

    The walk of fsspec passes over a page below the first that is gone or whose connection breaks, which would shorten
    the set without a word.
    """
    files: dict[str, dict[str, Any]] = {}
    seen = set()
    waiting = [place.path]
    while waiting:
        folder = waiting.pop()
        seen.add(folder)
        for info in reach(partial(place.fs.ls, folder, detail=True), folder):
            name = info["name"].rstrip("/")
            if not name.startswith(folder + "/"):  # up, or to elsewhere
                continue
            if info["type"] != "directory":
                files[name] = info
            elif name not in seen:
                waiting.append(name)
    return files
