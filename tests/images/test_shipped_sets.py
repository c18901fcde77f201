"""The image sets in `datasets/` are what their cards say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokbench.images.card import load_card, read_card_header
from tokbench.images.decode import decode, set_digest
from tokbench.images.imageset import open_card

CARDS = [
    path
    for path in sorted((Path(__file__).parents[2] / "datasets").glob("*.toml"))
    if read_card_header(path).embedded  # the images of the others are not in the repository
]


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_an_embedded_set_has_the_digest_its_card_pins(path: Path) -> None:
    card = load_card(path)
    images = open_card(card, path.parent)
    got = set_digest((item.id, decode(data, item.file).digest) for item, data in images.read(images.items))
    assert got == card.digest
