"""Image sets in a tar file, WebDataset layout: members that share a key are one sample.

The archive is never extracted. Its headers are read once for the offsets; images are then read by range.
Names that could lead anywhere (absolute, ``..``), links, devices and duplicate names are refused, because
an archive that holds them is not what an image set looks like.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tokbench.documents import parse_json
from tokbench.errors import DataError, ImageError
from tokbench.images.ahead import ahead
from tokbench.images.card import Item
from tokbench.images.storage import (
    IMAGE_SUFFIXES,
    MAX_FILE_BYTES,
    Location,
    ids_of,
    is_hidden,
    is_image_name,
    too_large,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TRUTH_SUFFIXES = (".txt", ".cls", ".json")
_MAX_TRUTH_BYTES = 16 << 20
_MAX_MEMBERS = 500_000
"""Two kilobytes each while indexing, so a gigabyte at most; more than sets put into one archive."""


@dataclass(frozen=True)
class TarReader:
    """Reads members by range.

    Attributes:
        place: the archive.
        offsets: member name to ``(offset, size)`` of its data in bytes.
    """

    place: Location
    offsets: Mapping[str, tuple[int, int]]

    def read(self, items: Sequence[Item]) -> Iterator[bytes | ImageError]:
        """Yield each item's bytes; an archive that got shorter is an `ImageError` for what it lost."""
        try:
            archive = self.place.open(self.place.path)
        except OSError as error:
            raise DataError(f"`{self.place.shown}` cannot be opened: {error.strerror or error}") from error
        with archive:
            calls = (partial(self._bytes, archive, item) for item in items)
            yield from (call() for call in calls) if self.place.is_local else ahead(calls)

    def _bytes(self, archive: Any, item: Item) -> bytes | ImageError:
        if (refused := too_large(item)) is not None:
            return refused
        offset, size = self.offsets[item.file]
        try:
            archive.seek(offset)
            data: bytes = archive.read(size)
        except OSError as error:
            return ImageError(f"{item.file} in {self.place.shown}: cannot be read: {error.strerror or error}")
        if len(data) != size:
            return ImageError(f"{item.file} in {self.place.shown}: ends after {len(data)} of {size} bytes")
        return data


def index_tar(place: Location) -> tuple[list[Item], list[str], TarReader]:
    """Read an archive's headers and truth.

    Truth beside an image: ``.txt`` becomes ``text``, ``.cls`` becomes the integer ``label``, and the keys
    of a ``.json`` object are taken as they are.

    Returns:
        Items in archive order, the names of members that belong to no image, and the reader.

    Raises:
        DataError: it is not an uncompressed tar, is damaged or truncated, or holds a member that is refused.
    """
    try:
        with place.open(place.path) as archive:
            offsets = _offsets(place, archive)
            images, truths = _samples(offsets)
            items = [
                Item(
                    name, path, offsets[path][1], truth=_truth(place, archive, truths.get(path, ()), offsets)
                )
                for path, name in images.items()
            ]
    except (tarfile.TarError, OSError, EOFError, ValueError, ArithmeticError, RecursionError) as error:
        # tarfile calls itself for every long name, and converts the numbers of a header as they come.
        hint = "decompress it first" if place.path.endswith((".gz", ".tgz", ".bz2", ".xz", ".zst")) else None
        raise DataError(f"`{place.shown}` is not a readable tar file: {error}", hint=hint) from error
    used = {path for paths in truths.values() for path in paths} | set(images)
    return items, [path for path in offsets if path not in used], TarReader(place, offsets)


def _offsets(place: Location, archive: Any) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    with tarfile.open(fileobj=archive, mode="r:") as tar:
        for count, member in enumerate(tar, 1):
            if count > _MAX_MEMBERS:
                raise _refused(place, member, f"the archive has more than {_MAX_MEMBERS:,} members")
            name = member.name.removeprefix("./")
            if member.name.startswith("/") or ".." in PurePosixPath(member.name).parts:
                raise _refused(place, member, "its name leads out of the archive")
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise _refused(place, member, "it is a link, a device or a sparse file")
            if name in found:
                raise _refused(place, member, "its name occurs twice")
            if member.size > MAX_FILE_BYTES:
                raise _refused(
                    place, member, f"it is {member.size / 2**20:,.0f} MiB, above {MAX_FILE_BYTES >> 20} MiB"
                )
            found[name] = (member.offset_data, member.size)
        end = tar.offset
    # tarfile stops silently at a damaged header and at a missing end; both would shorten the set unnoticed.
    archive.seek(end)
    if archive.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        last = next(reversed(found), "the start")
        raise DataError(f"`{place.shown}` is damaged or truncated after {last}", hint="copy it again")
    return {name: where for name, where in found.items() if not is_hidden(name)}


def _refused(place: Location, member: tarfile.TarInfo, reason: str) -> DataError:
    return DataError(
        f"`{place.shown}`: member {member.name!r} is refused: {reason}", hint="rebuild the archive"
    )


def _key(path: str) -> tuple[str, str]:
    """Split a member name as WebDataset does, at the first dot of its last part."""
    folder, slash, base = path.rpartition("/")
    stem, dot, extension = base.partition(".")
    return folder + slash + stem, (dot + extension).lower()


def _samples(paths: Mapping[str, object]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Find the images and the truth that belongs to them.

    A key with one image is one sample. Where several images share a key (ordinary files with dots in their
    names, or ``a.jpg`` beside ``a.png``), each is an image of its own, named as in a folder and without
    truth.

    Returns:
        Image path to id, and image path to the paths of its truth.
    """
    groups: dict[str, dict[str, str]] = {}
    for path in paths:
        key, extension = _key(path)
        groups.setdefault(key, {})[path] = extension
    images: dict[str, str] = {}
    truths: dict[str, list[str]] = {}
    several: list[str] = []
    for key, members in groups.items():
        # `a.seg.png` beside `a.jpg` is an annotation; alone it is the image.
        found = [path for path, extension in members.items() if extension in IMAGE_SUFFIXES]
        found = found or [path for path in members if is_image_name(path)]
        if len(found) == 1:
            images[found[0]] = key
            truths[found[0]] = [path for path, extension in members.items() if extension in _TRUTH_SUFFIXES]
        several += found if len(found) > 1 else []
    return images | ids_of(several), truths


def _truth(
    place: Location, archive: Any, paths: Sequence[str], offsets: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    truth: dict[str, Any] = {}
    for path in paths:
        offset, size = offsets[path]
        if size > _MAX_TRUTH_BYTES:
            raise DataError(f"`{place.shown}`: member {path!r} is {size} bytes of truth, too many")
        archive.seek(offset)
        try:
            text = archive.read(size).decode("utf-8")
            if path.lower().endswith(".txt"):
                truth["text"] = text.strip()
            elif path.lower().endswith(".cls"):
                truth["label"] = int(text)
            else:
                truth |= dict(parse_json(text))
        except (ValueError, TypeError) as error:
            raise DataError(f"`{place.shown}`: member {path!r} cannot be read as truth: {error}") from error
    return truth
