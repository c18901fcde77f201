"""An image set: named images in a fixed order, whatever storage they lie on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tokbench.errors import DataError, DigestError, EmptyImageSetError, ImageError, as_utf8
from tokbench.images.annotate import annotate
from tokbench.images.card import load_card
from tokbench.images.folder import FolderReader, file_size, list_folder
from tokbench.images.parquet import index_parquet
from tokbench.images.places import base_of, is_url
from tokbench.images.shards import index_shards
from tokbench.images.storage import Location, Reader, is_image_name, locate
from tokbench.images.tar import index_tar
from tokbench.images.truth import wrong_truth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tokbench.images.card import Card, Format, Item


@dataclass(frozen=True)
class ImageSet:
    """Images to evaluate on; a value that can be sent to another process.

    Attributes:
        name: name of the card, or ``images:<basename>`` for a user's own.
        version: the card's version, or "".
        license: SPDX expression, or "".
        digest: the pinned digest over decoded pixels (`tokbench.images.decode.set_digest`), or "".
        items: the images, by ascending id.
        reader: where their bytes come from.
        ignored: files that were found beside the images and left out.
    """

    name: str
    version: str
    license: str
    digest: str
    items: tuple[Item, ...]
    reader: Reader
    ignored: int = 0

    def __post_init__(self) -> None:
        """Refuse what a run would stumble over in its middle: truth of the wrong form, two images of one name.

        Raises:
            DataError: names the image and the entry.
        """
        ids: set[str] = set()
        for item in self.items:
            if item.id in ids:
                raise DataError(f"image set `{self.name}`: id {item.id!r} occurs twice", hint="rename one")
            ids.add(item.id)
            if item.truth and (reason := wrong_truth(item.truth)):
                raise DataError(
                    f"image set `{self.name}`: truth of {item.file}: {reason}",
                    hint="mend it in the card, annotation file or archive that holds it",
                )

    @cached_property
    def identity(self) -> str:
        """What enters result keys.

        The pinned digest; else ``files:`` and a SHA-256 over ids and pinned hashes when every item has one;
        else ``listing:`` and a SHA-256 over ids and byte sizes. The same set in a folder, a tar and Parquet
        has the same identity in each case, as long as its ids are the same.
        """
        if self.digest:
            return self.digest
        pinned = all(item.sha256 for item in self.items)
        whole = hashlib.sha256()
        for item in self.items:
            line = f"{item.id}\0{item.sha256 if pinned else item.size}\n"
            whole.update(line.encode("utf-8", "surrogateescape"))
        return f"{'files' if pinned else 'listing'}:{whole.hexdigest()}"

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | ImageError]]:
        """Yield the encoded bytes of items of this set, in the order given, in bounded memory.

        An image that cannot be read is yielded as an `ImageError`, and the rest follows.

        Raises:
            DigestError: an item's bytes are not those its card pins; the set is not what the card says.
            DataError: the storage as a whole cannot be read.
        """
        for item, data in zip(items, self.reader.read(items), strict=True):
            if isinstance(data, bytes) and item.sha256 and hashlib.sha256(data).hexdigest() != item.sha256:
                raise DigestError(
                    f"image set `{self.name}`: {item.file} is not the file the card names (SHA-256 differs)",
                    hint="restore the original file, or evaluate the folder with --images under its own name",
                )
            yield item, data


def open_images(source: str) -> ImageSet:
    """Open a user's own images.

    Args:
        source: a folder (searched with its subfolders), a ``.tar`` file, a ``.parquet`` file or a folder of
            them, as a path or an fsspec URL; or a local card, ``.toml``, whose set is then named
            ``images:<name of the card>``, so that it cannot pass for one that ships with tokbench.

    Raises:
        BrokenPluginError: the card is not valid.
        DataError: nothing is there, it is of no known layout, or it is damaged.
        EmptyImageSetError: it holds no image.
        MissingPackageError: the URL's scheme needs a package that is not installed.
    """
    if source.lower().endswith(".toml") and "://" not in source:
        return _own_card(Path(source).expanduser())
    place = locate(source)
    layout = _layout(place)
    items, others, reader = _index(place, layout, {}, sizes=True)
    if not items and layout == "folder" and any(path.endswith(".parquet") for path in others):
        items, others, reader = _index(place, "parquet", {}, sizes=True)
    base = as_utf8(PurePosixPath(place.path).name)
    name = base if layout == "folder" else base.removesuffix(f".{layout}")
    return ImageSet(f"images:{name}", "", "", "", _sorted(place, items, others), reader, len(others))


def _own_card(path: Path) -> ImageSet:
    card = load_card(path)
    return replace(open_card(card, path.parent), name=f"images:{card.name}")


def open_card(card: Card, base: Path) -> ImageSet:
    """Open the image set a card describes.

    Args:
        card: the card.
        base: the folder the card lies in; its relative paths start there, those of a card with `fetch` from
            `tokbench.images.places.data_folder`.

    Raises:
        DataError: the images or their truth are not where the card says, or cannot be read.
        DigestError: there are more or fewer images than the card says.
        MissingPackageError: the storage needs a package that is not installed.
    """
    base = base_of(card, base)
    try:
        place = locate(card.path, base)
    except DataError as error:
        raise _absent(card, base, error) from error
    pinned = bool(card.digest) or (bool(card.items) and all(item.sha256 for item in card.items))
    if card.items and card.reader == "folder":
        listed = _listed(card, place, sizes=place.is_local or not pinned)
        return ImageSet(card.name, card.version, card.license, card.digest, listed, FolderReader(place))
    found, others, reader = _index(place, card.reader, card.columns, sizes=not pinned)
    if card.annotations:
        found = annotate(card, base, found)
    items = _matched(card, found) if card.items else _sorted(place, found, others)
    if card.count and len(items) != card.count:
        raise DigestError(
            f"image set `{card.name}`: the card says {card.count} images, {card.path} holds {len(items)}",
            hint="the images changed; evaluate them with --images under their own name",
        )
    return ImageSet(card.name, card.version, card.license, card.digest, items, reader, len(others))


def _absent(card: Card, base: Path, error: DataError) -> DataError:
    if not card.fetch or is_url(card.path):
        hint = "reinstall tokbench" if card.embedded else f"get the images from {card.source}"
        return DataError(f"image set `{card.name}`: {error.message}", hint=hint)
    return DataError(
        f"image set `{card.name}` is not on this machine: nothing is at {base / card.path}",
        hint=f"`tokbench fetch {card.name}` says how to get them; TOKBENCH_DATA chooses the folder of all sets",
    )


def _layout(place: Location) -> Format:
    if place.is_folder():
        return "folder"
    suffix = PurePosixPath(place.path).suffix.lower()
    if suffix == ".tar":
        return "tar"
    if suffix == ".parquet":
        return "parquet"
    raise DataError(
        f"`{place.shown}` is not a folder, a .tar or a .parquet file",
        hint="give the folder that holds the image"
        if is_image_name(place.path)
        else "unpack other archives first",
    )


def _index(
    place: Location, layout: Format, columns: Mapping[str, str], *, sizes: bool
) -> tuple[list[Item], list[str], Reader]:
    if layout == "folder":
        items, others = list_folder(place)
        return items, others, FolderReader(place)
    if layout == "tar":
        return index_shards(place) if place.is_folder() else index_tar(place)
    return index_parquet(place, columns, sizes=sizes)


def _sorted(place: Location, items: Iterable[Item], others: Sequence[str]) -> tuple[Item, ...]:
    ordered = tuple(sorted(items, key=lambda item: item.id))
    if not ordered:
        raise EmptyImageSetError(
            f"`{place.shown}` holds no image ({len(others)} other files)",
            hint="images are told by their suffix: .png .jpg .webp .bmp .tif .gif .avif .jp2 .jxl",
        )
    return ordered


def _listed(card: Card, place: Location, *, sizes: bool) -> tuple[Item, ...]:
    """Take a folder's items from the card; where sizes are wanted, see that every file is there."""
    if not sizes:
        return card.items
    items = []
    for item in card.items:
        size = file_size(place, item.file)
        if size is None:
            raise DataError(
                f"image set `{card.name}`: {item.file} is missing in {card.path}",
                hint="reinstall tokbench" if card.embedded else f"get it from {card.source}",
            )
        items.append(replace(item, size=size))
    return tuple(items)


def _matched(card: Card, found: Iterable[Item]) -> tuple[Item, ...]:
    """Join an archive's images with the card's items by id; what the card does not list is left out."""
    by_id = {item.id: item for item in found}
    missing = [item.id for item in card.items if item.id not in by_id]
    if missing:
        raise DigestError(
            f"image set `{card.name}`: {card.path} has no image `{missing[0]}` ({len(missing)} missing)"
        )
    return tuple(
        replace(
            item,
            file=by_id[item.id].file,
            size=by_id[item.id].size,
            truth={**by_id[item.id].truth, **item.truth},
        )
        for item in card.items
    )
