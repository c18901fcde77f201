"""The card of an image set: one TOML file that says what the set is, where it lies and how its truth is read.

A card is data: reading one runs no code, opens no image and imports neither numpy nor Pillow. Every mistake
in it is a `BrokenPluginError` that names the card, the key and what was expected there.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, get_args

from tokbench.documents import parse_toml
from tokbench.errors import BrokenPluginError, as_utf8

if TYPE_CHECKING:
    from collections.abc import Mapping

Format = Literal["folder", "tar", "parquet"]
Annotation = Literal[
    "class-folders", "coco-instances", "funsd", "textocr", "tokbench-faces", "tokbench-words", "wflw-98"
]

_MAX_BYTES = 64 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COLUMNS = frozenset({"image", "id"})


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a set.

    Attributes:
        id: unique in the set; sets are ordered by it. Bytes of a name that are not UTF-8 are written as escapes.
        file: path inside the folder or archive, or the name a Parquet row carries; for messages and reading.
        size: encoded bytes; 0 when not known without reading the image.
        sha256: of the encoded bytes, 64 hex digits; "" when not pinned.
        truth: what is known to be in the image (class, text, boxes), as tasks read it.
        license: SPDX expression for this image.
        credit: author and origin.
        from_photo: name of the photograph this is a crop of; "" when it stands for itself.
    """

    id: str
    file: str
    size: int = 0
    sha256: str = ""
    truth: Mapping[str, Any] = field(default_factory=dict)
    license: str = ""
    credit: str = ""
    from_photo: str = ""

    def __post_init__(self) -> None:
        """Make the id text that any file can hold."""
        object.__setattr__(self, "id", as_utf8(self.id))


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        name: name on the command line; equals the file's stem.
        version: raised when the images change.
        title: one line for lists.
        license: SPDX expression of the set; items may differ.
        source: where the images come from.
        purpose: what the set is for.
        reader: layout of the storage.
        path: where the images lie: relative to the card, absolute, or an fsspec URL.
        count: number of images; 0 in a card with `fetch` whose number is not known, and then nothing is checked.
        citation: how to cite it.
        not_for: what it must not be used for.
        bias: known bias.
        digest: ``sha256:…`` over decoded pixels (`tokbench.images.decode.set_digest`); "" when not pinned.
        embedded: True when the images travel in the wheel beside the card.
        columns: for Parquet, the names of the ``image`` and ``id`` columns.
        split: the part of the source that the set is ("validation"); "" when there is one only.
        revision: commit, tag or version of the source the card speaks of; "" when not known.
        fetch: for sets that do not travel with tokbench: how to get the images and how to lay them out. Where it is
            given, relative paths start from `tokbench.images.places.data_folder`, not from the card.
        license_step: what a person has to read and accept before the images may be downloaded.
        annotations: ``format``, one of `Annotation`, and for all but ``class-folders`` the ``file`` (or folder) of
            the truth, relative as `path` is (`tokbench.images.annotate`).
        items: the images, when the card lists them; a set of many pins `count` and `digest` only.
    """

    name: str
    version: str
    title: str
    license: str
    source: str
    purpose: str
    reader: Format
    path: str
    count: int
    citation: str = ""
    not_for: str = ""
    bias: str = ""
    digest: str = ""
    embedded: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    split: str = ""
    revision: str = ""
    fetch: str = ""
    license_step: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    items: tuple[Item, ...] = ()


def load_card(path: Path) -> Card:
    """Read and check a whole card.

    Raises:
        BrokenPluginError: it cannot be read or something in it is wrong.
    """
    table = _parse(path, _read(path))
    rows = table.pop("items", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _broken(path, "items", "tables [[items]]", rows)
    card = _card(path, table)
    items = tuple(_item(path, card, row, f"items[{index}]") for index, row in enumerate(rows))
    for key in ("id", "file"):
        seen: set[str] = set()
        for item in items:
            if getattr(item, key) in seen:
                raise _broken(path, f"items.{key}", "no value twice", getattr(item, key))
            seen.add(getattr(item, key))
    if items and len(items) != card.count:
        raise _broken(path, "count", f"the number of items, {len(items)}", card.count)
    return replace(card, items=tuple(sorted(items, key=lambda item: item.id)))


def read_card_header(path: Path) -> Card:
    """Read what stands before the first ``[[items]]``: a card without items, cheap however long the list is.

    Raises:
        BrokenPluginError: as `load_card`, for the part that is read.
    """
    head = re.split(r"(?m)^[ \t]*\[\[[ \t]*items[ \t]*\]\]", _read(path), maxsplit=1)[0]
    table = _parse(path, head)
    table.pop("items", None)
    return _card(path, table)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BrokenPluginError(f"card `{path.name}` is larger than {_MAX_BYTES >> 20} MiB")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenPluginError(f"card `{path.name}` cannot be read: {error}") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        raise BrokenPluginError(f"card `{path.name}` is not TOML: {error}") from error


def _broken(path: Path, key: str, wanted: str, got: object) -> BrokenPluginError:
    shown = repr(got)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}…"
    return BrokenPluginError(f"card `{path.name}`: `{key}` must be {wanted}, got {shown}")


_WORDS: dict[type, str] = {str: "a string", int: "an integer", bool: "true or false", dict: "a table"}


def _take(
    path: Path, table: Mapping[str, Any], kind: type[Card] | type[Item], where: str, skip: set[str]
) -> dict[str, Any]:
    """Check names and types of a table's keys against the dataclass they fill."""
    wanted = {each.name: each for each in fields(kind) if each.name not in skip}
    types = {"count": int, "embedded": bool, "columns": dict, "annotations": dict, "truth": dict}
    for key, value in table.items():
        if key not in wanted:
            raise BrokenPluginError(
                f"card `{path.name}`: unknown key `{where}{key}`", hint=f"keys are {', '.join(wanted)}"
            )
        expected = types.get(key, str)
        if type(value) is not expected:  # a TOML boolean is a Python int
            raise _broken(path, where + key, _WORDS[expected], value)
    for name, each in wanted.items():
        needed = each.default is MISSING and each.default_factory is MISSING
        if needed and name not in table:
            raise BrokenPluginError(f"card `{path.name}`: `{where}{name}` is missing")
        if needed and table[name] == "":
            raise _broken(path, where + name, "not empty", "")
    return dict(table)


def _card(path: Path, table: Mapping[str, Any]) -> Card:
    card = Card(**_take(path, table, Card, "", {"items"}))
    if not _NAME.fullmatch(card.name) or card.name != path.stem:
        raise _broken(path, "name", f"the file's stem `{path.stem}`, of letters, digits and . _ -", card.name)
    if card.reader not in get_args(Format):
        raise _broken(path, "reader", " or ".join(get_args(Format)), card.reader)
    if card.count < (0 if card.fetch else 1):
        wanted = "at least 0" if card.fetch else "at least 1 (0, not known, needs `fetch`)"
        raise _broken(path, "count", wanted, card.count)
    if card.digest and not _DIGEST.fullmatch(card.digest):
        raise _broken(path, "digest", "sha256: and 64 hex digits, or empty", card.digest)
    if card.embedded:
        _check_inside(path, "path", card.path)
        if card.fetch or card.license_step:
            raise _broken(path, "embedded", "false in a card with `fetch` or `license_step`", card.embedded)
    if card.license_step and not card.fetch:
        raise _broken(path, "fetch", "given beside `license_step`", card.fetch)
    if card.annotations:
        _check_annotations(path, card)
    for key, value in card.columns.items():
        if key not in _COLUMNS or not isinstance(value, str):
            raise _broken(
                path, f"columns.{key}", f"the name of a column, for {' or '.join(sorted(_COLUMNS))}", value
            )
    return card


def _check_annotations(path: Path, card: Card) -> None:
    wanted = {"format"} if card.annotations.get("format") == "class-folders" else {"format", "file"}
    if card.annotations.keys() != wanted or not all(
        isinstance(value, str) and value for value in card.annotations.values()
    ):
        raise _broken(
            path,
            "annotations",
            f"a table of strings with {' and '.join(sorted(wanted))}",
            dict(card.annotations),
        )
    if card.annotations["format"] not in get_args(Annotation):
        raise _broken(
            path, "annotations.format", " or ".join(get_args(Annotation)), card.annotations["format"]
        )
    if "file" in card.annotations and "://" not in card.annotations["file"]:
        _check_inside(path, "annotations.file", card.annotations["file"])


def _item(path: Path, card: Card, table: Mapping[str, Any], where: str) -> Item:
    item = Item(**{"license": card.license} | _take(path, table, Item, f"{where}.", {"size"}))
    _check_inside(path, f"{where}.id", item.id)
    _check_inside(path, f"{where}.file", item.file)
    if item.sha256 and not _SHA256.fullmatch(item.sha256):
        raise _broken(path, f"{where}.sha256", "64 hex digits, or empty", item.sha256)
    return item


def _check_inside(path: Path, key: str, name: str) -> None:
    """Refuse names that could lead out of the set's folder, or that no file system and terminal can show."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or "://" in name or ".." in parts or not name.isprintable():
        raise _broken(path, key, "a relative path with forward slashes and no `..`", name)
