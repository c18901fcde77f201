"""Where image sets that do not travel with tokbench are looked for on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokbench.images.card import Card


def data_folder() -> Path:
    """Return the folder of image sets that were fetched: ``$TOKBENCH_DATA``, or the user's data folder."""
    chosen = os.environ.get("TOKBENCH_DATA")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_data_path("tokbench")


def base_of(card: Card, folder: Path) -> Path:
    """Return the folder that a card's relative paths start from.

    Args:
        card: the card.
        folder: the folder the card lies in.
    """
    return data_folder() if card.fetch else folder


def is_url(path: str) -> bool:
    """Whether a card's path is an fsspec URL."""
    return "://" in path or "::" in path


def is_here(card: Card, folder: Path) -> bool | None:
    """Whether something lies where a card says its images are; None for a URL, which is not asked.

    Args:
        card: the card.
        folder: the folder the card lies in.
    """
    if is_url(card.path):
        return None
    return (base_of(card, folder) / Path(card.path).expanduser()).exists()


def how_to_get(card: Card) -> list[str]:
    """Return lines that tell a person how to get the images of a card with `fetch`, licence step first."""
    where = card.path if is_url(card.path) else data_folder() / card.path
    lines = [
        f"{card.name}: {card.title}",
        f"source: {card.source}{f' (revision {card.revision})' if card.revision else ''}",
        f"licence: {card.license}",
    ]
    if card.license_step:
        lines.append(f"first, a person must accept the terms: {card.license_step}")
    lines += [f"how: {card.fetch}", f"images belong at: {where}"]
    if "file" in card.annotations:
        lines.append(f"truth belongs at: {data_folder() / card.annotations['file']}")
    return lines
