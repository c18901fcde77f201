"""Truth from annotation files: each image of a set gets what its file says.

A file that lists images decides which of them belong to the set: images beside them are left out, a listed image that
is absent is an error. The layouts are read by `tokbench.images.annotation_files`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tokbench.documents import parse_json
from tokbench.errors import DataError
from tokbench.images.annotation_files import LISTS, read_funsd
from tokbench.images.storage import locate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tokbench.images.card import Card, Item
    from tokbench.images.storage import Location

_MAX_BYTES = 2 << 30


def annotate(card: Card, base: Path, items: Sequence[Item]) -> list[Item]:
    """Return the items of a set with the truth that ``card.annotations`` names.

    Args:
        card: a card with `annotations`.
        base: the folder that its relative paths start from.
        items: every image that was found.

    Raises:
        DataError: the file is absent, not of its layout, or names images that are not there.
    """
    kind = card.annotations["format"]
    if kind == "class-folders":
        return _class_folders(card, items)
    try:
        place = locate(card.annotations["file"], base)
    except DataError as error:
        raise DataError(
            f"image set `{card.name}`: its truth is missing: {error.message}",
            hint=f"put it at {base / card.annotations['file']}; `tokbench fetch {card.name}` says where to get it",
        ) from error
    where = f"image set `{card.name}`: {card.annotations['file']}"
    try:
        if kind == "funsd":
            return [
                replace(item, truth={**item.truth, **read_funsd(_json(place, path))})
                for item in items
                for path in [place.join(f"{PurePosixPath(item.file).stem}.json")]
            ]
        content = _bytes(place, place.path).decode("utf-8") if kind == "wflw-98" else _json(place, place.path)
        truths = LISTS[kind](content)
    except OSError as error:
        raise DataError(f"{where} cannot be read: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # Whatever a file of another layout makes the reader stumble over.
        raise DataError(
            f"{where} is not of the layout {kind}: {type(error).__name__}: {error}",
            hint="datasets/README.md describes the layouts",
        ) from error
    return _joined(where, items, truths)


def _bytes(place: Location, path: str) -> bytes:
    if int(place.info(path).get("size") or 0) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES >> 30} GiB")
    return place.read(path)


def _json(place: Location, path: str) -> Any:
    return parse_json(_bytes(place, path))


def _joined(where: str, items: Sequence[Item], truths: Mapping[str, dict[str, Any]]) -> list[Item]:
    """Join by whole relative path, else by base name where that is unique."""
    by_path = {item.file: item for item in items}
    by_name: dict[str, list[Item]] = {}
    for item in items:
        by_name.setdefault(PurePosixPath(item.file).name, []).append(item)
    chosen: dict[str, Item] = {}
    missing = []
    for name, truth in truths.items():
        near = by_name.get(PurePosixPath(name).name, [])
        found = by_path.get(name) or (near[0] if len(near) == 1 else None)
        if found is None:
            missing.append(name)
        elif found.id in chosen:
            raise DataError(f"{where} describes {found.file} twice, the second time as {name!r}")
        else:
            chosen[found.id] = replace(found, truth={**found.truth, **truth})
    if missing:
        raise DataError(
            f"{where} names {missing[0]!r}, which is not among the images ({len(missing)} missing)"
        )
    return list(chosen.values())


def _class_folders(card: Card, items: Sequence[Item]) -> list[Item]:
    """Label each image by its top folder: its name is the class, its place in the sorted list the label."""
    flat = [item.file for item in items if "/" not in item.file]
    if flat:
        raise DataError(
            f"image set `{card.name}`: {flat[0]} lies in no class folder ({len(flat)} such images)",
            hint=f"one folder a class under {card.path}; `tokbench fetch {card.name}` says how",
        )
    names = sorted({item.file.partition("/")[0] for item in items})
    number = {name: label for label, name in enumerate(names)}
    return [
        replace(item, truth={**item.truth, "label": number[folder], "class": folder})
        for item in items
        for folder in [item.file.partition("/")[0]]
    ]
