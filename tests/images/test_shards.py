"""WebDataset shards in a folder are one set."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from tokbench.errors import DataError
from tokbench.images.card import load_card
from tokbench.images.imageset import ImageSet, open_card

if TYPE_CHECKING:
    from pathlib import Path

CARD = """
name = "shards"
version = "1"
title = "Shards"
license = "CC0-1.0"
source = "made up"
purpose = "tests"
reader = "tar"
path = "shards"
count = {count}
"""


def pack(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def opened(folder: Path, count: int) -> ImageSet:
    (folder / "shards.toml").write_text(CARD.format(count=count), encoding="utf-8")
    return open_card(load_card(folder / "shards.toml"), folder)


def test_items_of_all_shards_in_one_order_with_their_own_bytes(tmp_path: Path) -> None:
    pack(tmp_path / "shards" / "val-1.tar", {"b.jpg": b"bb", "b.cls": b"5", "d.jpg": b"dddd", "d.cls": b"7"})
    pack(tmp_path / "shards" / "val-0.tar", {"c.jpg": b"ccc", "c.json": b'{"label": 9}', "a.jpg": b"a"})
    (tmp_path / "shards" / "README.md").write_text("not a shard")
    images = opened(tmp_path, 4)
    assert [(item.id, item.file, dict(item.truth)) for item in images.items] == [
        ("a", "val-0.tar/a.jpg", {}),
        ("b", "val-1.tar/b.jpg", {"label": 5}),
        ("c", "val-0.tar/c.jpg", {"label": 9}),
        ("d", "val-1.tar/d.jpg", {"label": 7}),
    ]
    assert [data for _, data in images.read(images.items)] == [b"a", b"bb", b"ccc", b"dddd"]
    assert [data for _, data in images.read(images.items[::-2])] == [b"dddd", b"bb"]


def test_a_set_in_shards_has_the_identity_of_one_archive(tmp_path: Path) -> None:
    pack(tmp_path / "shards" / "0.tar", {"a.jpg": b"1"})
    pack(tmp_path / "shards" / "1.tar", {"b.jpg": b"22"})
    split = opened(tmp_path, 2).identity
    (tmp_path / "shards" / "0.tar").unlink()
    pack(tmp_path / "shards" / "1.tar", {"b.jpg": b"22", "a.jpg": b"1"})
    assert opened(tmp_path, 2).identity == split


def test_a_key_in_two_shards_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    with pytest.raises(DataError, match=r"holds no \.tar file"):
        opened(tmp_path, 1)
    pack(tmp_path / "shards" / "0.tar", {"a.jpg": b"1"})
    pack(tmp_path / "shards" / "1.tar", {"a.jpg": b"2"})
    with pytest.raises(DataError, match=r"key 'a' is in 0\.tar and in 1\.tar"):
        opened(tmp_path, 2)


def test_what_is_refused_in_one_archive_is_refused_in_a_shard(tmp_path: Path) -> None:
    pack(tmp_path / "shards" / "0.tar", {"../a.jpg": b"1"})
    with pytest.raises(DataError, match=r"0\.tar`: member '\.\./a\.jpg' is refused"):
        opened(tmp_path, 1)
