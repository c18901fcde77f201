"""The image sets that travel with tokbench: digests, files, licences, and that nothing was trained on them."""

import hashlib
import json
import re
import struct
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tokbench.metrics.face import BINS as FACE_BINS
from tokbench.metrics.text import BINS, bin_numbers, size_ratio

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


def test_faces_fill_every_bin_and_one_person_has_two_photographs():
    items = card("faces-mini")["items"]
    shown = [(item["from_photo"], face) for item in items for face in item["truth"]["faces"]]
    with_points = [(photo, face) for photo, face in shown if "points" in face]
    ratios = [max(x1 - x0, y1 - y0) / 256 for _, face in with_points for x0, y0, x1, y1 in [face["box"]]]
    counts = [sum(low <= ratio < high for ratio in ratios) for low, high in FACE_BINS[256]]
    assert counts == [5, 6, 11]  # as the card says
    assert (len(shown), len(with_points)) == (26, 22)
    photos = {}
    for photo, face in with_points:
        photos.setdefault(face["identity"], set()).add(photo)
        left, right, nose, *mouth = face["points"]
        assert left[0] < right[0]
        assert mouth[0][0] < mouth[1][0]
        assert max(left[1], right[1]) < nose[1] < max(each[1] for each in mouth)
    assert {name for name, seen in photos.items() if len(seen) > 1} == {"nikola-tesla"}
    assert len(photos) == 7


def words_of(items):
    return [word for item in items for word in item["truth"]["words"]]


def test_text_covers_scripts_and_sizes():
    items = card("text-mini")["items"]
    words = words_of(item for item in items if not item["id"].startswith("document-"))
    assert {word["script"] for word in words} == {"Latn", "Grek", "Cyrl", "Deva", "Hans", "Jpan", "Kore"}
    assert {8, 10, 12, 14, 16, 20, 24, 32, 48} <= {word["size"] for word in words}
    for item in items:
        assert ("paper" in item["truth"]) == (not item.get("from_photo") and "document-" not in item["id"])


def test_text_has_real_documents_with_words_credit_and_licence():
    documents = [item for item in card("text-mini")["items"] if item["id"].startswith("document-")]
    assert len(documents) == 10
    assert len(words_of(documents)) == 354
    readme = (DATASETS / "README.md").read_text(encoding="utf-8")
    for item in documents:
        title, _, rest = item["credit"].partition(", by ")
        row = next(line for line in readme.splitlines() if f"[{title}]" in line or f"| {title} |" in line)
        assert item["license"] in row
        assert rest.split(", ", 1)[0] in row
        # A word cut out of print is at least as wide as high, or a single character or two of a large title.
        for word in item["truth"]["words"]:
            assert set(word) == {"text", "box", "script"}
            assert word["text"].split() == [word["text"]]


@pytest.mark.parametrize("setting", [256, 512, 1024])
def test_every_scale_bin_of_text_is_populated(setting):
    words = words_of(card("text-mini")["items"])
    ratios = np.array([size_ratio(word["box"], len(word["text"]), 256, 256) for word in words])
    counts = np.bincount(bin_numbers(ratios, setting) + 1, minlength=len(BINS) + 1)[1:]
    # At 1024 a letter of the smallest bin is under 2.6 pixels wide here: such words are left to larger images.
    assert all(count >= 100 for count in (counts if setting < 1024 else counts[1:])), counts


def test_classes_of_photos_belong_to_the_photograph_and_are_enough_for_the_probe():
    labelled = [item for item in card("photos-mini")["items"] if "truth" in item]
    photos = {}
    for item in labelled:
        assert item["truth"]["group"] == item["from_photo"]
        photos.setdefault(item["truth"]["class"], set()).add(item["from_photo"])
    assert photos.keys() == {"animal", "building", "nature"}
    assert all(len(shown) >= 5 for shown in photos.values())
    assert not photos["animal"] & photos["building"] | photos["animal"] & photos["nature"]
    assert len(labelled) >= 100


def test_drawings_state_the_colour_of_their_paper_rightly():
    drawings = [item for item in card("detail-mini")["items"] if "paper" in item["truth"]]
    assert {item["truth"]["kind"] for item in drawings} == {"line-art", "small-print", "chart"}
    assert len(drawings) == 9
    for item in drawings:
        with Image.open(DATASETS / "detail-mini" / item["file"]) as image:
            count, colour = max(image.getcolors(256 * 256))
        assert list(colour) == item["truth"]["paper"], item["id"]
        assert 0.3 < count / 256**2 < 1, item["id"]


def test_sizes_and_no_python_in_datasets():
    files = [path for name in NAMES for path in (DATASETS / name).iterdir()]
    assert sum(path.stat().st_size for path in files) <= 16 * MEGABYTE
    assert all(path.stat().st_size <= MEGABYTE for path in files)
    assert not list(DATASETS.rglob("*.py"))
