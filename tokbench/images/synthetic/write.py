"""From a request to a folder of PNG files with its card."""

from __future__ import annotations

import hashlib
import io
import random
from typing import TYPE_CHECKING, Literal, get_args

from tokbench.errors import StorageError, UsageError
from tokbench.images.card import Card, Item
from tokbench.images.card_file import write_card

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from tokbench.images.synthetic import Picture
    from tokbench.images.synthetic.text import TextStyle

Kind = Literal["text", "gratings", "zone-plates", "charts"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_ABOUT: dict[Kind, tuple[str, str, str]] = {
    "text": (
        "generated text pages with the exact box and size of every word",
        "The smallest font that stays legible (task `legibility`), and text tasks in general.",
        "Handwriting, scene text, reading order: words are random, upright, on straight lines.",
    ),
    "gratings": (
        "sine gratings of known frequency, direction and contrast",
        "Which spatial frequencies pass through a tokenizer.",
        "Average quality on natural images.",
    ),
    "zone-plates": (
        "rings whose frequency grows from the centre to a known limit",
        "At which frequency detail fades or aliases, in every direction at once.",
        "Average quality on natural images.",
    ),
    "charts": (
        "bar, line and scatter charts with known values and labels",
        "Thin lines, flat colours and labels together.",
        "Chart understanding: values are random.",
    ),
}


def make_pictures(kind: Kind, count: int, style: TextStyle, seed: int = 0) -> list[Picture]:
    """Draw the pictures of a kind.

    Args:
        kind: what.
        count: how many.
        style: how; gratings and zone plates read `side` and `contrast` alone, charts `side`, `sizes` and `font`.
        seed: same seed, same pictures.

    Raises:
        UsageError: the count is below 1, a side is too small, or the font cannot be used.
    """
    from tokbench.images.synthetic.charts import charts
    from tokbench.images.synthetic.patterns import gratings, zone_plates
    from tokbench.images.synthetic.text import text_pages

    if count < 1:
        raise UsageError(f"--count {count} makes no image", hint="use 1 or more")
    if style.side < 64:
        raise UsageError(f"--side {style.side} is too small", hint="use 64 pixels or more")
    source = random.Random(f"tokbench {kind} {seed}")
    if kind == "text":
        return text_pages(count, style, source)
    if kind == "charts":
        return charts(count, style.side, style.sizes, style.font, source)
    if kind == "gratings":
        return gratings(count, style.side, style.contrast, source)
    return zone_plates(count, style.side, style.contrast)


def write_pictures(folder: Path, kind: Kind, pictures: list[Picture], how: str) -> tuple[Path, Card]:
    """Write pictures as PNG into a folder, and beside them the card ``<name of the folder>.toml``.

    Args:
        folder: made when absent; must be empty otherwise.
        kind: of the pictures, for the card.
        pictures: what to write.
        how: what made them, for the card's `source`.

    Returns:
        The card's path and the card.

    Raises:
        UsageError: the folder holds something already.
        StorageError: it cannot be written.
        BrokenPluginError: the folder's name cannot be the name of a card.
    """
    from tokbench.images.decode import pixel_digest, set_digest

    items = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", hint="name another folder with --out")
        for picture in pictures:
            data = _png(picture.pixels)
            (folder / f"{picture.id}.png").write_bytes(data)
            pinned = hashlib.sha256(data).hexdigest()
            items.append(
                Item(picture.id, f"{picture.id}.png", sha256=pinned, truth=picture.truth, license="CC0-1.0")
            )
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}") from error
    title, purpose, not_for = _ABOUT[kind]
    name = folder.resolve().name
    card = Card(
        name=name,
        version="1",
        title=title,
        license="CC0-1.0",
        source=how,
        purpose=purpose,
        reader="folder",
        path=".",
        count=len(items),
        not_for=not_for,
        digest=set_digest((each.id, pixel_digest(each.pixels)) for each in pictures),
        items=tuple(items),
    )
    path = folder / f"{name}.toml"
    return path, write_card(path, card)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()
