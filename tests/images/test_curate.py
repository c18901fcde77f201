"""Building a set from a folder: what is dropped and why, what is proposed, and that the set then runs."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tokbench import evaluate
from tokbench.cli.app import app
from tokbench.errors import DigestError, EmptyImageSetError, SetupError, UsageError
from tokbench.images.card import load_card
from tokbench.images.curate.build import build_set
from tokbench.images.curate.duplicates import MOST_BITS, differing_bits, look_at
from tokbench.images.curate.words import overlap, propose_words
from tokbench.images.imageset import open_images
from tokbench.images.synthetic.text import TextStyle
from tokbench.images.synthetic.write import make_pictures

if TYPE_CHECKING:
    from pathlib import Path


def scene(seed: int, side: int = 96) -> Image.Image:
    """A picture with structure at two scales."""
    random = np.random.default_rng(seed)
    total = np.zeros((side, side, 3))
    for cells in (4, 12):
        coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        total += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), float) / 2
    return Image.fromarray(total.round().astype(np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures in two classes: two of them again in other clothes, and files that are no pictures."""
    place = tmp_path / "mess"
    for name in ("cats", "dogs"):
        (place / name).mkdir(parents=True)
    for number in range(3):
        scene(number).save(place / "cats" / f"{number}.png")
        scene(number + 10).save(place / "dogs" / f"{number}.png")
    scene(1).save(place / "dogs" / "z-copy.webp", lossless=True)
    scene(2, 96).resize((64, 64), Image.Resampling.LANCZOS).save(place / "cats" / "9-small.jpg", quality=60)
    (place / "cats" / "torn.png").write_bytes((place / "cats" / "0.png").read_bytes()[:2000])
    (place / "cats" / "lies.jpg").write_text("no picture")
    scene(30).save(place / "loose.png")
    (place / "notes.txt").write_text("not an image name")
    return place


def test_what_is_dropped_and_why(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    built = build_set(folder, "mine", classes=True)
    assert {each.file: each.why for each in built.dropped} == {
        "dogs/z-copy.webp": "duplicate",
        "cats/9-small.jpg": "near-duplicate",
        "cats/torn.png": "broken",
        "cats/lies.jpg": "broken",
        "loose.png": "no class",
    }
    details = {each.file: each.detail for each in built.dropped}
    assert details["dogs/z-copy.webp"] == "the same pixels as cats/1.png"
    assert details["cats/9-small.jpg"].endswith("from cats/2.png")
    assert details["cats/torn.png"].startswith("cats/torn.png: damaged")
    assert {path: path.read_bytes() for path in before} == before
    assert {item.id: item.truth["label"] for item in built.card.items} == {
        f"{name}/{number}": name for name in ("cats", "dogs") for number in range(3)
    }


def test_the_set_runs_by_its_card_and_refuses_changed_pictures(folder: Path, tmp_path: Path) -> None:
    built = build_set(folder, "mine", out=tmp_path / "cards")
    assert built.path == tmp_path / "cards" / "mine.toml"
    assert load_card(built.path).path == "../mess"
    images = open_images(str(built.path))
    assert (images.name, images.identity, len(images.items)) == ("images:mine", built.card.digest, 7)
    done = evaluate("identity", built.path, "reconstruction", protocol="native", out=tmp_path / "out")
    (psnr,) = [row for row in done.rows if row.metric == "psnr"]
    assert (psnr.dataset, psnr.n, psnr.value) == ("images:mine", 7, np.inf)
    scene(77).save(folder / "cats" / "0.png")

    with pytest.raises(DigestError, match="not the file the card names"):
        list(open_images(str(built.path)).read(open_images(str(built.path)).items))


def test_digest_does_not_depend_on_the_encoding(tmp_path: Path) -> None:
    found = []
    for suffix, options in (("png", {}), ("webp", {"lossless": True})):
        (tmp_path / suffix).mkdir()
        scene(5).save(tmp_path / suffix / f"a.{suffix}", **options)
        found.append(build_set(tmp_path / suffix, "one").card.digest)
    assert found[0] == found[1]


@pytest.mark.parametrize("quality", [30, 75])
def test_a_picture_saved_anew_looks_the_same_and_others_do_not(quality: int) -> None:
    for seed in range(8):
        stream = io.BytesIO()
        scene(seed).save(stream, "JPEG", quality=quality)
        first, again, other = (
            look_at(np.array(each)) for each in (scene(seed), Image.open(stream), scene(seed + 50))
        )
        apart = differing_bits(first, np.stack([again.bits, other.bits]))
        assert apart[0] <= MOST_BITS
        assert (
            apart[1] > 4 * MOST_BITS
        )  # independent bits: 128 of 256 and eight standard deviations below, 64


def test_flat_pictures_are_never_near_duplicates(tmp_path: Path) -> None:
    for level in (100, 101, 102):
        Image.new("RGB", (40, 40), (level,) * 3).save(tmp_path / f"{level}.png")
    assert build_set(tmp_path, "flat").dropped == ()


class Recogniser:
    """Finds what it is told, by the height of the image, and reads every crop as the word it stands for."""

    def __init__(self, native: list, enlarged: list, crops: list[str]) -> None:
        self.answers = {100: native, 150: enlarged}
        self.crops = crops
        self.sizes: list[tuple[int, ...]] = []

    def find_words(self, image: np.ndarray) -> list:
        return self.answers[image.shape[0]]

    def read_words(self, crops: list[np.ndarray]) -> list[str]:
        self.sizes = [crop.shape[:2] for crop in crops]
        return self.crops


def test_only_words_read_alike_are_kept() -> None:
    native = [
        ("both", (10, 10, 40, 20)),
        ("differs", (10, 30, 40, 40)),
        ("elsewhere", (10, 50, 40, 60)),
        ("alone", (10, 70, 40, 80)),
        (" ", (60, 70, 80, 80)),
    ]
    enlarged = [
        ("both", (16.5, 13.5, 60, 30)),
        ("different", (15, 45, 60, 60)),
        ("elsewhere", (100, 75, 140, 90)),
        ("alone", (15, 105, 60, 120)),
        (" ", (90, 105, 120, 120)),
    ]
    reader = Recogniser(native, enlarged, ["both", "al one"])
    found = propose_words(np.zeros((100, 100, 3), np.uint8), reader)
    # The box holds (10, 10, 40, 20) and (11, 9, 40, 20).
    assert found.words == [{"text": "both", "box": [10, 9, 40, 20]}]
    assert found.dropped == {
        "texts differ": 1,
        "boxes differ": 1,
        "not read in its box": 1,
        "not printable": 1,
    }
    assert reader.sizes == [(11, 30), (10, 30)]


def test_overlap_by_hand() -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == 2 / 6
    assert overlap((0, 0, 2, 2), (2, 0, 3, 2)) == 0
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1


def test_words_of_a_real_page_by_the_command(tmp_path: Path) -> None:
    (page,) = make_pictures("text", 1, TextStyle(sizes=(16,), side=128), 3)
    Image.fromarray(page.pixels).save(tmp_path / "page.png")
    done = CliRunner().invoke(
        app, ["images", "build", str(tmp_path), "--name", "mine", "--ocr", "--json"], catch_exceptions=False
    )
    said = json.loads(done.stdout)
    (item,) = load_card(tmp_path / "mine.toml").items
    true = {word["text"]: word["box"] for word in page.truth["words"]}
    found = {word["text"]: word["box"] for word in item.truth["words"]}
    assert said["words"]["kept"] == len(item.truth["words"])
    assert len(found) >= len(true) / 2
    assert found.keys() <= true.keys()  # what is kept is true
    assert all(overlap(box, true[text]) > 0.4 for text, box in found.items())


def test_a_table_for_people(folder: Path) -> None:
    done = CliRunner().invoke(app, ["images", "build", str(folder), "--name", "mine"], catch_exceptions=False)
    lines = done.stdout.splitlines()
    assert any(line.split()[:2] == ["dogs/z-copy.webp", "duplicate"] for line in lines)
    assert lines[-1] == str(folder / "mine.toml")
    assert "7 images kept, 4 dropped; sha256:" in done.stderr


def test_what_cannot_be_built_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="weights of mtcnn are not on this machine") as caught:
        CliRunner().invoke(
            app, ["images", "build", str(folder), "--name", "a", "--faces"], catch_exceptions=False
        )
    assert caught.value.hint == "`tokbench fetch mtcnn` downloads them"
    assert not (folder / "a.toml").exists()
    for name in ("../up", "", "a/b"):
        with pytest.raises(UsageError, match="cannot name a set"):
            build_set(folder, name)
    build_set(folder, "mine")
    with pytest.raises(UsageError, match="exists already"):
        build_set(folder, "mine")
    with pytest.raises(UsageError, match="not a folder"):
        build_set(tmp_path / "nowhere", "mine")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("x")
    with pytest.raises(EmptyImageSetError, match="none of the 1 images"):
        build_set(tmp_path / "bad", "mine")
