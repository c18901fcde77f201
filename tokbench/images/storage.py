"""Where images lie: a local path or any fsspec URL, and how their names become ids."""

from __future__ import annotations

import errno
import io
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from tokbench.errors import DataError, ImageError, MissingPackageError
from tokbench.images.blocks import open_cache
from tokbench.images.remote import ARCHIVE_ERRORS, RemoteFile, reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tokbench.images.blocks import BlockCache
    from tokbench.images.card import Item

IMAGE_SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".gif",
        ".avif",
        ".jp2",
        ".jxl",
    ]  # compared in lower case
)
MAX_FILE_BYTES = 512 << 20
"""No encoded image is larger: 64 megapixels of uncompressed 16-bit RGBA."""

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "http": "http",
    "https": "http",
    "hf": "hub",
}
"""Scheme to the extra that brings its package."""


class Reader(Protocol):
    """Gives the bytes of items; a plain value that can be sent to another process."""

    def read(self, items: Sequence[Item]) -> Iterator[bytes | ImageError]:
        """Yield one result an item, in order, holding few images at a time."""
        ...


@dataclass(frozen=True)
class Location:
    """A place on some storage.

    Attributes:
        fs: the fsspec file system.
        path: the path in its own spelling, without a trailing slash.
        shown: what the user wrote.
        cache: keeps what is read from remote storage, or None.
    """

    fs: Any
    path: str
    shown: str
    cache: BlockCache | None = field(default=None, compare=False)

    @property
    def is_local(self) -> bool:
        """Whether the place is on this machine's disk."""
        return "file" in self.fs.protocol

    @property
    def is_web(self) -> bool:
        """Whether the place is on a web server: paths are URLs, and folders are pages of links."""
        return "http" in self.fs.protocol

    def join(self, relative: str) -> str:
        """Return the storage's path of a relative POSIX path inside this place."""
        return f"{self.path}/{quote(relative) if self.is_web else relative}"

    def info(self, path: str) -> dict[str, Any]:
        """Return what the storage says of a path.

        Raises:
            OSError: it is absent or forbidden.
            DataError: the storage cannot be reached.
        """
        found: dict[str, Any] = reach(partial(self.fs.info, path), path)
        return found

    def is_folder(self) -> bool:
        """Whether the place is a folder; on a web server, a page with links."""
        if self.is_web and PurePosixPath(self.path).suffix.lower() not in {".tar", ".parquet"}:
            return bool(reach(partial(self.fs.ls, self.path, detail=False), self.path))
        return bool(self.info(self.path)["type"] == "directory")

    def open(self, path: str) -> Any:
        """Open a file for reading by range.

        Raises:
            OSError: it is absent or forbidden.
            DataError: the storage cannot be reached.
        """
        if self.is_local:
            return self.fs.open(path, "rb")
        return io.BufferedReader(RemoteFile(self.fs, path, self.cache), 1 << 16)

    def read(self, path: str) -> bytes:
        """Return a whole file of at most `MAX_FILE_BYTES`.

        Raises:
            OSError: it is absent, forbidden or too large.
            DataError: the storage cannot be reached.
        """
        if self.is_local:
            data: bytes = self.fs.cat_file(path)
            return data
        with RemoteFile(self.fs, path, self.cache) as file:
            if file.size > MAX_FILE_BYTES:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            return file.readall()


def locate(source: str, base: Path | None = None) -> Location:
    """Find out what storage `source` is on, and that it exists.

    Args:
        source: a path, relative to `base` or the working folder, or an fsspec URL (chains with ``::`` too).
        base: folder that relative paths start from.

    Raises:
        DataError: nothing is there, the URL's scheme is unknown, or the storage cannot be reached.
        MissingPackageError: the scheme needs a package that is not installed.
    """
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    is_url = "://" in source or "::" in source
    try:
        fs, path = url_to_fs(source if is_url else str((base or Path.cwd()) / Path(source).expanduser()))
    except ImportError as error:
        raise MissingPackageError(f"`{source}` cannot be opened: {error}", hint=_install(source)) from error
    except (ValueError, OSError, *ARCHIVE_ERRORS) as error:
        raise DataError(
            f"`{source}` cannot be opened: {error}", hint="give a local path or a URL such as s3://, https://"
        ) from error
    place = Location(fs, path.rstrip("/") or path, source)
    if not place.is_local:
        place = replace(place, cache=open_cache())
        fs.invalidate_cache()  # file systems are shared in a process, and so are listings of an earlier run
    try:
        place.info(place.path)
    except FileNotFoundError as error:
        raise DataError(
            f"there is nothing at `{source}`",
            hint="check the spelling; relative paths start at the working folder",
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"`{source}` cannot be opened: {error}") from error
    return place


def _install(source: str) -> str:
    scheme = source.partition("://")[0].rpartition("::")[2]
    return f"pip install 'tokbench[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else "install that package"


def is_image_name(path: str) -> bool:
    """Whether a file counts as an image, by its suffix."""
    return PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def is_hidden(path: str) -> bool:
    """Whether a part of a relative path starts with a dot."""
    return any(part.startswith(".") for part in PurePosixPath(path).parts)


def ids_of(paths: Iterable[str]) -> dict[str, str]:
    """Give every path an id: the path without its image suffix where that is unique, else the whole path."""
    whole = list(paths)
    stems = {
        path: path[: -len(PurePosixPath(path).suffix)] if is_image_name(path) else path for path in whole
    }
    counts = Counter(stems.values())
    taken = set(whole)
    return {path: path if counts[stem] > 1 or stem in taken else stem for path, stem in stems.items()}


def too_large(item: Item) -> ImageError | None:
    """Return the error for an item whose encoded size is beyond `MAX_FILE_BYTES`."""
    if item.size <= MAX_FILE_BYTES:
        return None
    return ImageError(
        f"{item.file}: {item.size / 2**20:,.0f} MiB is more than the {MAX_FILE_BYTES >> 20} MiB allowed"
    )
