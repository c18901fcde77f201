"""Where images lie: a local path or any fsspec URL, and how their names become ids."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from tokbench.errors import DataError, ImageError, MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
    """

    fs: Any
    path: str
    shown: str

    @property
    def is_local(self) -> bool:
        """Whether the place is on this machine's disk."""
        return "file" in self.fs.protocol

    def join(self, relative: str) -> str:
        """Return the storage's path of a relative POSIX path inside this place."""
        return f"{self.path}/{relative}"


def locate(source: str, base: Path | None = None) -> Location:
    """Find out what storage `source` is on, and that it exists.

    Args:
        source: a path, relative to `base` or the working folder, or an fsspec URL (chains with ``::`` too).
        base: folder that relative paths start from.

    Raises:
        DataError: nothing is there, or the URL's scheme is unknown.
        MissingPackageError: the scheme needs a package that is not installed.
    """
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    is_url = "://" in source or "::" in source
    try:
        fs, path = url_to_fs(source if is_url else str((base or Path.cwd()) / Path(source).expanduser()))
    except ImportError as error:
        raise MissingPackageError(
            f"`{source}` cannot be opened: {error}", hint="install that package"
        ) from error
    except ValueError as error:
        raise DataError(
            f"`{source}` cannot be opened: {error}", hint="give a local path or a URL such as s3://, https://"
        ) from error
    place = Location(fs, path.rstrip("/") or path, source)
    try:
        found = fs.exists(path)
    except OSError as error:
        raise DataError(f"`{source}` cannot be opened: {error}") from error
    if not found:
        raise DataError(
            f"there is nothing at `{source}`",
            hint="check the spelling; relative paths start at the working folder",
        )
    return place


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
