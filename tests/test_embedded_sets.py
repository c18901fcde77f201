"""The image sets that travel with tokbench: digests, files, licences, and that nothing was trained on them."""

import hashlib
import json
import re
import struct
import tomllib
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
DATASETS = ROOT / "datasets"
NAMES = ("detail-mini", "faces-mini", "photos-mini", "text-mini")
FREE = re.compile(r"CC0-1\.0|CC-BY(-SA)?-[1234]\.[05]|LicenseRef-public-domain")
MEGABYTE = 1_000_000


def card(name):
    return tomllib.loads((DATASETS / f"{name}.toml").read_text(encoding="utf-8"))


def photo_list(path):
    return {row["id"]: row for row in json.loads(path.read_text(encoding="utf-8"))}


EVALUATION = photo_list(DATASETS / "evaluation_photos.json")
TRAINING = photo_list(ROOT / "scripts" / "training_photos.json")


@pytest.mark.parametrize("name", NAMES)
def test_digest_of_pixels_and_of_files(name):
    about = card(name)
    digest = hashlib.sha256()
    for item in sorted(about["items"], key=lambda each: each["id"]):
        path = DATASETS / about["path"] / item["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == item["sha256"], path.name
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("WEBP", "RGB", (256, 256)), path.name
            pixels = struct.pack("<2I", *image.size) + image.tobytes()
            digest.update(item["id"].encode() + b"\0" + hashlib.sha256(pixels).digest())
    assert about["digest"] == f"sha256:{digest.hexdigest()}"


@pytest.mark.parametrize("name", NAMES)
def test_card_lists_exactly_the_files_of_its_folder(name):
    about = card(name)
    listed = [item["file"] for item in about["items"]]
    identifiers = [item["id"] for item in about["items"]]
    assert identifiers == sorted(set(identifiers))
    assert about["count"] == len(listed)
    assert sorted(listed) == sorted(path.name for path in (DATASETS / name).iterdir())
    assert about["name"] == about["path"] == name
    assert about["reader"] == "folder"
    assert about["embedded"] is True
    for key in ("title", "license", "source", "citation", "purpose", "not_for", "bias"):
        assert about[key], key


def test_photos_mini_is_as_large_as_promised():
    items = card("photos-mini")["items"]
    assert len(items) >= 100
    by_photo = [item["from_photo"] for item in items]
    assert len(set(by_photo)) >= 40
    assert max(by_photo.count(photo) for photo in by_photo) <= 4


@pytest.mark.parametrize("name", NAMES)
def test_every_item_names_licence_and_credit(name):
    for item in card(name)["items"]:
        assert FREE.fullmatch(item["license"]), item["id"]
        assert item["credit"], item["id"]
        if "from_photo" in item:
            assert item["license"] == EVALUATION[item["from_photo"]]["licence"], item["id"]
            assert EVALUATION[item["from_photo"]]["author"] in item["credit"], item["id"]


def test_no_photograph_is_in_training_and_evaluation():
    shown = {item["from_photo"] for name in NAMES for item in card(name)["items"] if "from_photo" in item}
    assert shown <= EVALUATION.keys()
    assert not EVALUATION.keys() & TRAINING.keys()
    assert not {row["sha256"] for row in EVALUATION.values()} & {row["sha256"] for row in TRAINING.values()}


def test_readme_attributes_every_photograph():
    text = (DATASETS / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        for item in card(name)["items"]:
            if "from_photo" in item:
                about = EVALUATION[item["from_photo"]]
                row = next(line for line in text.splitlines() if f"`{item['from_photo']}`" in line)
                assert about["author"] in row
                assert about["licence"] in row


def test_boxes_and_points_lie_inside_the_image():
    entries = [
        entry
        for name in NAMES
        for item in card(name)["items"]
        for key in ("words", "faces")
        for entry in item.get("truth", {}).get(key, ())
    ]
    assert len(entries) > 1000
    for entry in entries:
        x0, y0, x1, y1 = entry["box"]
        assert 0 <= x0 < x1 <= 256
        assert 0 <= y0 < y1 <= 256
        assert entry.get("text", entry.get("identity"))
        for x, y in entry.get("points", ()):
            assert x0 <= x <= x1
            assert y0 <= y <= y1


def test_text_covers_scripts_and_sizes():
    words = [word for item in card("text-mini")["items"] for word in item["truth"]["words"]]
    assert {word["script"] for word in words} == {"Latn", "Grek", "Cyrl", "Deva", "Hans", "Jpan", "Kore"}
    assert {8, 10, 12, 14, 16, 20, 24, 32, 48} <= {word["size"] for word in words}


def test_sizes_and_no_python_in_datasets():
    files = [path for name in NAMES for path in (DATASETS / name).iterdir()]
    assert sum(path.stat().st_size for path in files) <= 16 * MEGABYTE
    assert all(path.stat().st_size <= MEGABYTE for path in files)
    assert not list(DATASETS.rglob("*.py"))
