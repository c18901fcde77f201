"""An image set from another distribution: a card whose images lie beside this file."""

from pathlib import Path

from tokbench.images.card import Card

CARD = Card(
    name="example-photos",
    version="1",
    title="two small pictures",
    license="CC0-1.0",
    source="tests",
    purpose="proof that a distribution can offer image sets",
    reader="folder",
    path=str(Path(__file__).parent / "photos"),
    count=2,
)
