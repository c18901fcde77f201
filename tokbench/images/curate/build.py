"""Builds the card of a folder of pictures: checks every file, drops repetitions, proposes truth."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from tokbench.errors import EmptyImageSetError, ImageError, UsageError
from tokbench.images.card import Card, Item
from tokbench.images.card_file import write_card
from tokbench.images.curate.duplicates import Seen, look_at
from tokbench.images.curate.faces import propose_faces
from tokbench.images.curate.words import propose_words
from tokbench.images.decode import decode, set_digest
from tokbench.images.imageset import open_images

if TYPE_CHECKING:
    from tokbench.images.curate.faces import FaceFinder
    from tokbench.images.curate.words import Finder
    from tokbench.images.decode import Decoded
    from tokbench.images.imageset import ImageSet

Why = Literal["broken", "duplicate", "near-duplicate", "no class", "unusable name"]

_WORDS = "page error rates: only words that a recogniser reads alike in three ways are listed"
_FACES = "counts of faces: only those that a detector finds alike in two ways are listed"


@dataclass(frozen=True)
class Dropped:
    """A file that is not in the set.

    Attributes:
        file: relative to the folder.
        why: the kind of reason.
        detail: the reason in words.
    """

    file: str
    why: Why
    detail: str


@dataclass(frozen=True)
class Built:
    """A set that was built.

    Attributes:
        path: of the card.
        card: what it says.
        dropped: files that were left out.
        words: proposed words that are kept.
        words_dropped: proposed words that are not, by reason.
        faces: proposed faces that are kept.
        faces_dropped: proposed faces that are not, by reason.
    """

    path: Path
    card: Card
    dropped: tuple[Dropped, ...]
    words: int = 0
    words_dropped: Counter[str] = field(default_factory=Counter)
    faces: int = 0
    faces_dropped: Counter[str] = field(default_factory=Counter)


def build_set(
    folder: Path,
    name: str,
    *,
    out: Path | None = None,
    classes: bool = False,
    recogniser: Finder | None = None,
    detector: FaceFinder | None = None,
    license_: str = "LicenseRef-unknown",
) -> Built:
    """Write the card of a folder of pictures.

    Files are looked at by descending size of the picture, so that of near duplicates the largest is kept, then by id.

    Args:
        folder: searched with its subfolders; its files are left as they are.
        name: of the set; the card is ``<name>.toml``.
        out: where the card goes; default the folder itself.
        classes: take the first subfolder as ``truth.label``; pictures in none are dropped.
        recogniser: proposes ``truth.words``; None for no words.
        detector: proposes ``truth.faces``; None for no faces.
        license_: SPDX expression.

    Raises:
        UsageError: the name cannot be a card's, or the card exists.
        DataError: the folder is not there.
        EmptyImageSetError: nothing is left.
        ImageError: a file vanished while the set was built.
        StorageError: the card cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"`{name}` cannot name a set", hint="use letters, digits and . _ -")
    path = (out or folder) / f"{name}.toml"
    if path.exists():
        raise UsageError(f"{path} exists already", hint="choose another --name, or delete the card")
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="give the folder that holds the images")
    images = open_images(str(folder))
    kept, dropped = _sift(images, classes)
    if not kept:
        raise EmptyImageSetError(
            f"none of the {len(images.items)} images in {folder} can be used",
            hint=f"the first was dropped: {dropped[0].detail}",
        )
    items, words_dropped, faces_dropped = [], Counter[str](), Counter[str]()
    for item, data in images.read([item for item, _ in kept]):
        if isinstance(data, ImageError):  # it was read a moment ago
            raise data
        truth: dict[str, Any] = {"label": PurePosixPath(item.file).parts[0]} if classes else {}
        if recogniser is not None:
            proposal = propose_words(decode(data, item.file).pixels, recogniser)
            truth["words"] = proposal.words
            words_dropped += proposal.dropped
        if detector is not None:
            found = propose_faces(decode(data, item.file).pixels, detector)
            truth["faces"] = found.faces
            faces_dropped += found.dropped
        pinned = hashlib.sha256(data).hexdigest()
        items.append(Item(item.id, item.file, sha256=pinned, truth=truth, license=license_))
    words, faces = (sum(len(item.truth.get(key, ())) for item in items) for key in ("words", "faces"))
    limits = [limit for limit, holds in ((_WORDS, recogniser), (_FACES, detector)) if holds]
    card = Card(
        name=name,
        version="1",
        title=f"{len(items)} images of the folder {folder.resolve().name}",
        license=license_,
        source=f"the folder {folder.resolve().name}, by tokbench images build",
        purpose="one's own evaluation",
        reader="folder",
        path=Path(os.path.relpath(folder, path.parent)).as_posix(),
        count=len(items),
        not_for="; ".join(limits),
        digest=set_digest((item.id, digest) for item, digest in kept),
        items=tuple(items),
    )
    return Built(path, write_card(path, card), tuple(dropped), words, words_dropped, faces, faces_dropped)


def _sift(images: ImageSet, classes: bool) -> tuple[list[tuple[Item, bytes]], list[Dropped]]:
    """Return the pictures to keep, by id, with their pixel digests, and the files to drop, by name."""
    dropped: list[Dropped] = []
    found = []
    for item, data in images.read(images.items):
        if not item.file.isprintable() or "\\" in item.file:
            shown = item.file.encode("unicode_escape").decode()
            dropped.append(Dropped(shown, "unusable name", "a card cannot spell this name"))
        elif classes and "/" not in item.file:
            dropped.append(Dropped(item.file, "no class", "it lies in no subfolder"))
        else:
            decoded = _decoded(data, item)
            if isinstance(decoded, ImageError):
                dropped.append(Dropped(item.file, "broken", decoded.message))
            else:
                height, width = decoded.pixels.shape[:2]
                found.append((-height * width, item.id, item, decoded.digest, look_at(decoded.pixels)))
    seen = Seen()
    kept = []
    for _, _, item, digest, look in sorted(found, key=lambda each: each[:2]):
        again = seen.repeats(digest, look)
        if again is not None:
            dropped.append(Dropped(item.file, *again))
        else:
            seen.add(item.file, digest, look)
            kept.append((item, digest))
    return sorted(kept, key=lambda each: each[0].id), sorted(dropped, key=lambda each: each.file)


def _decoded(data: bytes | ImageError, item: Item) -> Decoded | ImageError:
    if isinstance(data, ImageError):
        return data
    try:
        return decode(data, item.file)
    except ImageError as error:
        return error
