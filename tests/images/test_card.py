"""Cards: what is accepted, and that every mistake is named."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tokbench.errors import BrokenPluginError
from tokbench.images.card import load_card, read_card_header

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
name = "mini"
version = "1"
title = "Two pictures"
license = "CC0-1.0"
source = "made up"
purpose = "tests"
reader = "folder"
path = "mini"
count = 2
"""
ITEMS = """
[[items]]
id = "b"
file = "x/b.png"
sha256 = "{sha}"
license = "CC-BY-4.0"
credit = "B. Author"
from_photo = "p"
[items.truth]
label = 3
[[items]]
id = "a"
file = "a.png"
""".format(sha="0" * 64)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mini.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_card_is_read_whole_and_sorted(tmp_path: Path) -> None:
    card = load_card(write(tmp_path, HEAD + ITEMS))
    assert (card.name, card.version, card.reader, card.count, card.embedded) == (
        "mini",
        "1",
        "folder",
        2,
        False,
    )
    assert [item.id for item in card.items] == ["a", "b"]
    b = card.items[1]
    assert (b.file, b.license, b.credit, b.from_photo, b.truth) == (
        "x/b.png",
        "CC-BY-4.0",
        "B. Author",
        "p",
        {"label": 3},
    )
    assert card.items[0].license == "CC0-1.0"  # the set's own where an item names none


def test_the_header_stops_at_the_items(tmp_path: Path) -> None:
    card = read_card_header(write(tmp_path, HEAD + ITEMS + "\nthis is = not toml at all ["))
    assert card.items == ()
    assert card.count == 2
    with pytest.raises(BrokenPluginError, match=r"`mini\.toml` is not TOML"):
        load_card(tmp_path / "mini.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count = 2", "count = 3", r"`count` must be the number of items, 2, got 3"),
        ("count = 2", 'count = "2"', r"`count` must be an integer, got '2'"),
        ("count = 2", "count = true", r"`count` must be an integer, got True"),
        ("count = 2", "count = 0", r"`count` must be at least 1"),
        ("count = 2", "", r"`count` is missing"),
        ("count = 2", "count = 2\ncuont = 2", r"unknown key `cuont`"),
        ('name = "mini"', 'name = "other"', r"`name` must be the file's stem `mini`"),
        ('title = "Two pictures"', 'title = ""', r"`title` must be not empty"),
        ('reader = "folder"', 'reader = "zip"', r"`reader` must be folder or tar or parquet"),
        ("count = 2", 'count = 2\ndigest = "sha256:12"', r"`digest` must be sha256: and 64 hex"),
        ("count = 2", 'count = 2\nembedded = "yes"', r"`embedded` must be true or false"),
        ('path = "mini"', 'path = "../mini"\nembedded = true', r"`path` must be a relative path"),
        ("count = 2", 'count = 2\ncolumns = {picture = "p"}', r"`columns\.picture` must be"),
        ("count = 2", "count = 2\ncolumns = {image = 3}", r"`columns\.image` must be"),
        ('id = "b"', 'id = "a"', r"`items\.id` must be no value twice, got 'a'"),
        ('file = "x/b.png"', 'file = "a.png"', r"`items\.file` must be no value twice"),
        ('file = "x/b.png"', 'file = "x/../../b.png"', r"`items\[0\]\.file` must be a relative path"),
        ('file = "x/b.png"', 'file = "/etc/b.png"', r"`items\[0\]\.file` must be a relative path"),
        ('file = "x/b.png"', r'file = "x\\b.png"', r"`items\[0\]\.file` must be a relative path"),
        ('id = "b"', r'id = "b\n"', r"`items\[0\]\.id` must be a relative path"),
        ('id = "b"', "id = 7", r"`items\[0\]\.id` must be a string, got 7"),
        ('credit = "B. Author"', "size = 3", r"unknown key `items\[0\]\.size`"),
        ("0" * 64, "0" * 63, r"`items\[0\]\.sha256` must be 64 hex digits"),
        ("label = 3", "label = ", r"is not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = HEAD + ITEMS
    assert old in text
    with pytest.raises(BrokenPluginError, match=message) as caught:
        load_card(write(tmp_path, text.replace(old, new, 1)))
    assert "mini.toml" in caught.value.message


def test_items_must_be_tables_and_files_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BrokenPluginError, match=r"`items` must be tables"):
        load_card(write(tmp_path, HEAD + "items = [1, 2]"))
    with pytest.raises(BrokenPluginError, match=r"`none\.toml` cannot be read"):
        load_card(tmp_path / "none.toml")
    (tmp_path / "mini.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BrokenPluginError, match=r"`mini\.toml` cannot be read"):
        read_card_header(tmp_path / "mini.toml")


def test_reading_cards_imports_nothing_heavy() -> None:
    heavy = ("numpy", "PIL", "torch", "fsspec")
    code = f"import sys, tokbench.images.card; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
