"""Generated images are what their truth says: ink, frequency, values; the same seed gives the same set."""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tokbench.cli.app import app
from tokbench.errors import UsageError
from tokbench.images.card import load_card
from tokbench.images.decode import decode, set_digest
from tokbench.images.imageset import open_images
from tokbench.images.preprocess import prepare
from tokbench.images.synthetic.charts import charts
from tokbench.images.synthetic.patterns import grating, gratings, zone_plate, zone_plates
from tokbench.images.synthetic.text import TextStyle, text_pages
from tokbench.images.synthetic.write import KINDS, make_pictures, write_pictures
from tokbench.images.truth import place_truth
from tokbench.protocol import get_protocol

if TYPE_CHECKING:
    from pathlib import Path

STYLES = {
    "default": TextStyle(sizes=(5, 8, 13, 24)),
    "faint": TextStyle(sizes=(12,), contrast=0.2, background="cream"),
    "dark": TextStyle(sizes=(10,), contrast=0.5, background="black", side=200),
}


@pytest.mark.parametrize("name", STYLES)
def test_boxes_hold_all_ink_and_nothing_else_has_any(name: str) -> None:
    style = STYLES[name]
    pages = text_pages(len(style.sizes), style, random.Random(3))
    for page in pages:
        # At low contrast the faintest edge of a letter rounds to the paper's own level, so a box may be larger.
        exact = style.contrast == 1
        ink = (page.pixels != page.pixels[0, 0]).any(-1)
        covered = np.zeros_like(ink)
        for word in page.truth["words"]:
            x0, y0, x1, y1 = word["box"]
            inside = ink[y0:y1, x0:x1]
            assert inside.any()
            assert not covered[y0:y1, x0:x1].any()  # no two boxes share a pixel
            covered[y0:y1, x0:x1] = True
            if exact:
                assert inside[0].any()
                assert inside[-1].any()
                assert inside[:, 0].any()
                assert inside[:, -1].any()
        assert not (ink & ~covered).any()
    assert [page.truth["words"][0]["size"] for page in pages] == list(style.sizes)


def test_contrast_is_what_is_asked_for() -> None:
    (page,) = text_pages(1, TextStyle(sizes=(24,), contrast=0.25), random.Random(0))
    assert (page.pixels.max(), page.pixels.min()) == (255, 191)  # round(255 - 0.25 · 255)


@pytest.mark.parametrize("orientation", [0, 30, 90])
@pytest.mark.parametrize("frequency", [1 / 16, 0.25, 0.375])
def test_a_grating_has_the_stated_frequency(frequency: float, orientation: float) -> None:
    side = 256
    picture = grating(side, frequency, orientation, 0.8)
    grey = picture.pixels[..., 0].astype(float)
    window = np.hanning(side)[:, None] * np.hanning(side)
    spectrum = np.abs(np.fft.fft2((grey - grey.mean()) * window))
    row, column = np.unravel_index(np.argmax(spectrum[:, : side // 2]), (side, side // 2))
    found = np.fft.fftfreq(side)[[row, column]]
    angle = math.radians(orientation)
    wanted = np.array([frequency * math.sin(angle), frequency * math.cos(angle)])
    # The peak lies within one bin of the transform, whose bins are 1/256 apart; its sign is free on the axis.
    assert min(np.abs(found - wanted).max(), np.abs(found + wanted).max()) <= 1 / side
    # round() moves a level by half at most: contrast is exact to 1/255.
    assert (grey.max() - grey.min()) / 255 == pytest.approx(0.8, abs=0.03)
    assert picture.truth["frequency"] == frequency


def test_gratings_state_what_they_draw() -> None:
    found = gratings(7, 64, 0.5, random.Random(1))
    stated = [each.truth["frequency"] for each in found]
    assert (stated[0], stated[-1]) == (0.0312, 0.5)
    assert np.allclose(np.diff(np.log2(stated)), 4 / 6, atol=0.01)  # four decimals of 1/32 are 0.2 % off
    assert len({each.id for each in found}) == 7
    fastest = found[-1].pixels[..., 0].astype(int)
    assert np.ptp(fastest) >= 126  # at half a cycle a pixel it must not fade away


def test_a_zone_plate_reaches_its_frequency_at_the_edge() -> None:
    grey = zone_plate(256, 0.25, 1).pixels[128, :, 0].astype(float)
    signs = np.sign(grey[128:] - 127.5)
    crossings = np.flatnonzero(np.diff(signs)) + 128
    # The phase π f r² / R at the edge r = R = 128 is 32 π: 32 half periods from the centre outwards.
    assert len(crossings) in {31, 32}
    # The last half periods are 1 / (2 · 0.25) = 2 pixels wide, in whole pixels.
    assert np.diff(crossings)[-6:].mean() == pytest.approx(2, abs=0.25)
    assert [each.truth["max_frequency"] for each in zone_plates(3, 64, 1)] == [0.125, 0.25, 0.5]


def test_bars_are_as_high_as_their_values() -> None:
    chart = charts(1, 256, (10,), None, random.Random(5))[0]
    x0, y0, x1, y1 = chart.truth["plot"]
    area = chart.pixels[y0:y1, x0:x1].astype(int)
    bars = (area.max(-1) - area.min(-1)) > 30  # coloured, unlike paper and axes
    step = (x1 - x0) / len(chart.truth["values"])
    for at, value in enumerate(chart.truth["values"]):
        height = bars[:, round((at + 0.5) * step)].sum()
        # One pixel for the rounding of the top edge, and the bar holds both of its edges.
        assert height == pytest.approx(value / 100 * (y1 - 1 - y0), abs=1.5)
    assert [word["text"] for word in chart.truth["words"][1:]] == ["0", "50", "100"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_everything(kind: str, tmp_path: Path) -> None:
    style = TextStyle(sizes=(8, 16), side=128)
    first, again, other = (make_pictures(kind, 3, style, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, again, strict=True))
    assert [a.truth for a in first] == [b.truth for b in again]
    if kind != "zone-plates":  # nothing of them is drawn by chance
        assert any(not np.array_equal(a.pixels, b.pixels) for a, b in zip(first, other, strict=True))
    path, card = write_pictures(tmp_path / "set", kind, first, "a test")
    images = open_images(str(path))
    assert (images.name, images.digest, len(images.items)) == ("images:set", card.digest, 3)
    digests = [(item.id, decode(data, item.file).digest) for item, data in images.read(images.items)]
    assert set_digest(digests) == card.digest
    truth = {item.id: dict(item.truth) for item in load_card(path).items}
    assert truth == {each.id: json.loads(json.dumps(each.truth)) for each in first}


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no `у`, which pages in cyrillic need"):
        text_pages(1, TextStyle("cyrillic"), random.Random(0))
    (tmp_path / "no.ttf").write_bytes(b"no font")
    with pytest.raises(UsageError, match="cannot be read"):
        text_pages(1, TextStyle(font=tmp_path / "no.ttf"), random.Random(0))
    for wrong in ({"script": "klingon"}, {"contrast": 0}, {"background": "plaid"}, {"sizes": (3,)}):
        with pytest.raises(UsageError):
            TextStyle(**wrong)
    for frequency, contrast in ((0.6, 1), (0, 1), (0.2, 1.5)):
        with pytest.raises(UsageError, match="out of range"):
            grating(64, frequency, 0, contrast)
    with pytest.raises(UsageError, match="makes no image"):
        make_pictures("text", 0, TextStyle())
    with pytest.raises(UsageError, match="not empty"):
        write_pictures(tmp_path, "text", make_pictures("text", 1, TextStyle()), "a test")


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "pages"
    done = CliRunner().invoke(
        app, ["images", "synthesise", "text", "--out", str(out), "--count", "2", "--sizes", "9"]
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out / "pages.toml")
    card = load_card(out / "pages.toml")
    assert card.count == 2
    assert "--sizes 9" in card.source
    with Image.open(out / card.items[0].file) as image:
        assert image.size == (256, 256)
    with pytest.raises(UsageError, match="no list of numbers"):
        CliRunner().invoke(
            app, ["images", "synthesise", "text", "-o", str(out), "--sizes", "big"], catch_exceptions=False
        )


def test_sizes_move_with_the_pixels() -> None:
    pictures = make_pictures("text", 1, TextStyle(sizes=(24,), side=256), 1)
    word = pictures[0].truth["words"][0]
    moved = place_truth(pictures[0].truth, prepare(pictures[0].pixels, get_protocol("adm-128")))
    assert moved["words"][0]["size"] == 12
    assert moved["words"][0]["box"] == [side / 2 for side in word["box"]]
