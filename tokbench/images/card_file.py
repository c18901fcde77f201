"""Writing a card: the reverse of `tokbench.images.card.load_card`."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from tokbench.errors import StorageError
from tokbench.images.card import load_card

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tokbench.images.card import Card, Item


def write_card(path: Path, card: Card) -> Card:
    """Write a card and read it back, so that a card that was written is one that can be used.

    Args:
        path: ``<card.name>.toml``; replaced when it exists.
        card: what it shall say; keys at their defaults are left out.

    Returns:
        The card as it is read.

    Raises:
        StorageError: it cannot be written.
        BrokenPluginError: the card says something that a card must not say.
    """
    lines = [*_lines(card, skip="items")]
    for item in card.items:
        lines += ["", "[[items]]", *_lines(item, skip="truth")]
        if item.truth:
            lines += [
                "[items.truth]",
                *(f"{_key(key)} = {_value(value)}" for key, value in item.truth.items()),
            ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"card `{path.name}` cannot be written: {error.strerror or error}") from error
    return load_card(path)


def _lines(value: Card | Item, skip: str) -> Iterator[str]:
    for field in fields(value):
        held = getattr(value, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        # `size` is what the storage says when a set is opened, not what a card pins.
        if field.name not in (skip, "size") and held != default:
            yield f"{field.name} = {_value(held)}"


def _value(value: Any) -> str:
    """Spell a value; TOML shares the escapes of JSON strings, but DEL must be escaped too."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], dict):
            return "[\n" + "".join(f"  {_value(entry)},\n" for entry in value) + "]"
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    return "{" + ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items()) + "}"


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _value(key)
