"""Legible size: a known threshold is found again, bounds are named, and the task runs with the real recogniser."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_samples import make_batch
from scipy.optimize import isotonic_regression

from tokbench import evaluate
from tokbench.images.imageset import open_images
from tokbench.images.synthetic.text import TextStyle
from tokbench.images.synthetic.write import make_pictures, write_pictures
from tokbench.metrics.legibility import LegibleSize, crossing, isotonic
from tokbench.metrics.words import WordRows, word_collector
from tokbench.tasks.legibility import LEGIBILITY

if TYPE_CHECKING:
    from pathlib import Path

MEASURE = LegibleSize("correct")


def rows(shares: dict[float, float], images: int = 40, words: int = 20, seed: int = 0) -> WordRows:
    """Words of one size an image, sizes in turn, read with a chance that depends on size."""
    random = np.random.default_rng(seed)
    index = np.repeat(np.arange(images), words)
    sizes = np.array(list(shares))[index % len(shares)]
    correct = random.random(len(index)) < np.array([shares[size] for size in sizes])
    nothing = np.zeros(len(index))
    return WordRows.of(
        {
            "index": index,
            "word": np.tile(np.arange(words), images),
            "length": nothing + 4,
            "ratio": nothing,
            "size": sizes,
            "script": nothing,
            "correct": correct,
            "similarity": correct,
            "original_correct": nothing + 1,
            "original_similarity": nothing + 1,
        }
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 9)), min_size=1, max_size=9))
def test_isotonic_is_scipys(points: list[tuple[float, int]]) -> None:
    shares, weights = zip(*points, strict=True)
    wanted = isotonic_regression(shares, weights=weights).x
    assert isotonic(shares, weights) == pytest.approx(wanted, abs=1e-9)  # sums of at most nine doubles


def test_crossing_by_hand() -> None:
    assert crossing([6, 8, 10], [0.1, 0.4, 0.8]) == pytest.approx(8.5)
    assert crossing([6, 8, 10], [0.1, 0.5, 0.5]) == 8
    assert math.isnan(crossing([6, 8], [0.5, 0.9]))
    assert math.isnan(crossing([6, 8], [0.1, 0.4]))


class Reader:
    """Reads a box of pixels as "word" when it is at least so high, else wrongly."""

    def __init__(self, least: float) -> None:
        self.least = least

    def read_words(self, crops: list[np.ndarray]) -> list[str]:
        return ["word" if crop.shape[0] >= self.least else "ward" for crop in crops]


@pytest.mark.parametrize("least", [7, 9, 12])
def test_the_threshold_of_a_known_recogniser_is_found(least: int) -> None:
    sizes = range(5, 15)
    truth = [
        {"words": [{"text": "word", "box": [0, 0, 20, size], "size": size} for size in sizes]}
        for _ in range(20)
    ]
    images = torch.zeros(20, 3, 16, 24, dtype=torch.uint8)
    collect = word_collector("rapidocr")
    state = collect.of(make_batch(images, images, truth=truth, evaluators={"rapidocr": Reader(least)}))
    found = MEASURE([state])
    # Nothing is read one pixel below the threshold and everything at it: one half lies in the middle.
    assert found.value == pytest.approx(least - 0.5, abs=0.01)
    assert found.low == pytest.approx(found.value, abs=1e-9)  # every group of images says the same
    assert found.method == "jackknife-20"


def test_a_noisy_threshold_is_found_within_its_interval() -> None:
    shares = {size: 1 / (1 + math.exp(11 - size)) for size in (6.0, 8.0, 10.0, 12.0, 14.0)}
    found = MEASURE([rows(shares, images=200)])
    assert found.low < 11 < found.high
    assert found.high - found.low < 1.5
    half = rows(shares, images=200)
    parts = [half.where(half["index"] % 3 == part) for part in range(3)]
    assert MEASURE(parts) == found


def test_bounds_are_named() -> None:
    always = MEASURE([rows({6: 1.0, 8: 1.0})])
    assert math.isnan(always.value)
    assert always.reason == "half the words or more are read at every size: at most 6 px"
    never = MEASURE([rows({6: 0.0, 8: 0.0})])
    assert never.reason == "fewer than half the words are read at every size: more than 8 px"
    held = rows({6: 1.0})
    unsized = MEASURE([WordRows.of(held.arrays() | {"size": np.full(len(held), np.nan)})])
    assert "states the size" in unsized.reason
    assert not any(each.reliable for each in (always, never, unsized))


def test_fewer_pixels_need_larger_letters(tmp_path: Path) -> None:
    style = TextStyle(sizes=(4, 6, 10, 28), side=128)
    pages = make_pictures("text", 4, style, seed=4)
    pictures = [replace(page, truth={"words": page.truth["words"][:8]}) for page in pages]
    path, _ = write_pictures(tmp_path / "pages", "text", pictures, "a test")
    done = evaluate(["identity", "area-4"], open_images(str(path)), LEGIBILITY, out=tmp_path / "out")
    found = {(row.tokenizer, row.metric): row for row in done.rows}
    fine, coarse = (found[name, "legible_size"] for name in ("identity", "area-4"))
    assert (fine.status, coarse.status) == ("ok", "ok"), (fine.reason, coarse.reason)
    assert 4 < fine.value < coarse.value < 28
    assert fine.value == found["identity", "legible_size_original"].value
