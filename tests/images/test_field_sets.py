"""Cards of sets that do not travel with tokbench: what they must say, and what happens where their images are not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tokbench.errors import BrokenPluginError, DataError
from tokbench.images.card import Card, load_card
from tokbench.images.imageset import open_card
from tokbench.images.places import data_folder, how_to_get, is_here

DATASETS = Path(__file__).parents[2] / "datasets"
CARDS = {path.stem: load_card(path) for path in sorted(DATASETS.glob("*.toml"))}
FIELD = {name: card for name, card in CARDS.items() if card.fetch}
TEXT_SETS = {"ic13", "ic15", "tt", "textocr", "sroie", "cord", "infograph", "docvqa"}
MINIMAL = """
name = "mini"
version = "1"
title = "Two pictures"
license = "CC0-1.0"
source = "made up"
purpose = "tests"
reader = "folder"
path = "mini"
count = 0
fetch = "Ask."
"""


def tokbench(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tokbench", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "TOKBENCH_DATA": str(home), "COLUMNS": "200", "TOKBENCH_PLUGINS": ""},
        timeout=120,
        check=False,
    )


def test_the_field_is_covered() -> None:
    assert {f"tokbench-{name}" for name in TEXT_SETS | {"wflw"}} <= FIELD.keys()
    assert len([name for name in FIELD if name.startswith("vtbench-")]) == 7
    assert {card.reader for name, card in FIELD.items() if name.startswith("imagenet-val")} == {
        "folder",
        "tar",
        "parquet",
    }
    assert {name for name, card in CARDS.items() if card.embedded} == CARDS.keys() - FIELD.keys()


@pytest.mark.parametrize("card", FIELD.values(), ids=FIELD.keys())
def test_a_card_says_what_a_stranger_needs(card: Card) -> None:
    for key in ("citation", "not_for", "bias"):
        assert getattr(card, key), key
    assert card.source.startswith("https://")
    assert not card.embedded
    assert not Path(card.path).is_absolute()
    # A digest of pixels can only be pinned by somebody who has the images; none of these was at hand.
    assert card.digest == ""


@pytest.mark.parametrize("name", [name for name in FIELD if "imagenet" in name])
def test_imagenet_asks_a_person_to_accept_its_terms(name: str) -> None:
    assert "accept" in FIELD[name].license_step
    assert any(line.startswith("first, a person must accept") for line in how_to_get(FIELD[name]))


def test_absent_images_are_an_error_that_says_where_they_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKBENCH_DATA", str(tmp_path))
    for name, card in FIELD.items():
        assert is_here(card, DATASETS) is False
        with pytest.raises(DataError, match=f"`{name}` is not on this machine") as caught:
            open_card(card, DATASETS)
        assert str(tmp_path / card.path) in caught.value.message
        assert f"tokbench fetch {name}" in str(caught.value.hint)


def test_images_in_the_folder_are_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKBENCH_DATA", str(tmp_path))
    (tmp_path / "kodak").mkdir()
    for number in range(1, 25):
        Image.new("RGB", (3, 2), (number, 0, 0)).save(tmp_path / "kodak" / f"kodim{number:02d}.png")
    assert is_here(FIELD["kodak"], DATASETS) is True
    images = open_card(FIELD["kodak"], DATASETS)
    assert (images.name, len(images.items)) == ("kodak", 24)


def test_the_folder_is_the_users_own_where_none_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKBENCH_DATA", raising=False)
    assert data_folder().name == "tokbench"
    assert data_folder().is_absolute()


def test_fetch_tells_the_steps_and_exits_as_not_set_up(tmp_path: Path) -> None:
    done = tokbench("fetch", "imagenet-val", home=tmp_path)
    assert done.returncode == 3
    assert "accept the ImageNet terms of access" in done.stdout
    assert str(tmp_path / "imagenet-val") in done.stdout
    assert "imagenet-val: not on this machine" in done.stderr
    (tmp_path / "imagenet-val").mkdir()
    done = tokbench("fetch", "imagenet-val", "photos-mini", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["imagenet-val", "photos-mini"]


def test_run_and_list_tell_what_is_not_here(tmp_path: Path) -> None:
    done = tokbench("run", "-t", "identity", "--dataset", "imagenet-val", home=tmp_path)
    assert done.returncode == 4
    assert "not on this machine" in done.stderr
    assert "tokbench fetch imagenet-val" in done.stderr
    (tmp_path / "kodak").mkdir()
    listed = tokbench("list", "datasets", home=tmp_path).stdout
    assert re.search(r"imagenet-val +not here ", listed)
    assert re.search(r"kodak +here ", listed)
    assert re.search(r"photos-mini +here ", listed)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count = 0", "count = -1", r"`count` must be at least 0"),
        ('fetch = "Ask."', "", r"`count` must be at least 1 \(0, not known, needs `fetch`\)"),
        ('count = 0\nfetch = "Ask."', 'count = 1\nlicense_step = "Sign."', r"`fetch` must be given beside"),
        ("count = 0", "count = 0\nembedded = true", r"`embedded` must be false in a card with `fetch`"),
        ("count = 0", "count = 0\nsplit = 3", r"`split` must be a string"),
        ("count = 0", 'count = 0\nannotations = "x"', r"`annotations` must be a table"),
        ("count = 0", 'count = 0\nannotations = {file = "x"}', r"table of strings with file and format"),
        (
            "count = 0",
            'count = 0\nannotations = {format = "textocr"}',
            r"table of strings with file and format",
        ),
        ("count = 0", 'count = 0\nannotations = {format = "textocr", file = 3}', r"table of strings"),
        (
            "count = 0",
            'count = 0\nannotations = {format = "class-folders", file = "x"}',
            r"table of strings with format",
        ),
        (
            "count = 0",
            'count = 0\nannotations = {format = "voc", file = "x"}',
            r"`annotations\.format` must be",
        ),
        (
            "count = 0",
            'count = 0\nannotations = {format = "textocr", file = "../x"}',
            r"`annotations\.file` must be a relative path",
        ),
    ],
)
def test_mistakes_in_the_new_keys_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in MINIMAL
    path = tmp_path / "mini.toml"
    path.write_text(MINIMAL.replace(old, new), encoding="utf-8")
    with pytest.raises(BrokenPluginError, match=message):
        load_card(path)
