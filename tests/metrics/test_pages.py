"""Error rates are jiwer's; nothing read costs the whole page; VTBench's figures are what its code computes."""

import math
import pickle

import jiwer
import numpy as np
import pytest
import torch
from metric_samples import make_batch

from tokbench.metrics.annotations import words_of
from tokbench.metrics.base import SetMetric
from tokbench.metrics.page_scores import ErrorRate, VTBenchRate, page_metrics
from tokbench.metrics.pages import PageRows, page_collector, page_row
from tokbench.metrics.text import SCRIPTS, page_text

ENGLISH = [
    ("the quick brown fox", "the qick brown fix", "the quick brown fox"),
    ("jumps over the lazy dog", "jumps the lazy old dog", "jumps over lazy dog"),
    ("again and again", "", "again and agaim"),
    ("Zürich 12.50", "Zürich  12.50\nfar too much text that nobody wrote", "Zürich 12.50"),
]
CHINESE = [("北京 大学", "北京大掌", "北京大学"), ("图书馆", "图 书馆", "图书馆")]


def annotated(text, script):
    return words_of(
        {"words": [{"text": word, "box": [0, 0, 9, 9], "script": script} for word in text.split()]}, 0
    )


def state(pages, script="Latn", start=0):
    found = [page_row(annotated(truth, script), read, seen) for truth, read, seen in pages]
    columns = {name: [row[name] for row in found] for name in PageRows.SCHEMA if name != "index"}
    return PageRows.of({"index": np.arange(start, start + len(pages)), **columns})


@pytest.mark.parametrize(("unit", "package"), [("character", jiwer.cer), ("word", jiwer.wer)])
@pytest.mark.parametrize(("side", "column"), [("reconstruction", 1), ("original", 2)])
def test_rates_are_those_of_jiwer(unit, package, side, column):
    truth = [page[0] for page in ENGLISH]
    read = [" ".join(page[column].split()) for page in ENGLISH]
    got = ErrorRate(unit, side=side)([state(ENGLISH)])
    # Both are one quotient of the same two integers.
    assert got.value == pytest.approx(package(truth, read), abs=1e-12)
    assert 0 < got.value < 1.5


def test_nothing_read_is_an_error_rate_of_one():
    pages = [(truth, "", truth) for truth, _, _ in ENGLISH]
    for unit in ("character", "word"):
        got = ErrorRate(unit)([state(pages)])
        assert (got.value, got.reliable) == (1, True)


def test_too_much_text_exceeds_one():
    assert ErrorRate("character")([state([("ab", "abcdefgh", "ab")])]).value == 3


def test_whitespace_does_not_count_where_a_script_has_none():
    got = ErrorRate("character", "chinese")([state(CHINESE, "Hans")])
    assert got.value == pytest.approx(1 / 7)
    assert page_text(" a\n\tb ", 0) == "a b"
    assert page_text("e\u0301", 0) == "é"
    assert page_text("北京\n大学", SCRIPTS.index("chinese")) == "北京大学"


def test_scripts_have_their_own_rates():
    states = [state(ENGLISH), state(CHINESE, "Hans", start=10)]
    assert ErrorRate("character", "latin")(states).value == ErrorRate("character")(states[:1]).value
    # Chinese has no blanks, so its pages do not enter the word error rate.
    assert ErrorRate("word")(states).value == ErrorRate("word")(states[:1]).value
    absent = ErrorRate("character", "korean")(states)
    assert math.isnan(absent.value)
    assert absent.reason == "no word in this script"
    blank = ErrorRate("character")([PageRows.empty()])
    assert blank.reason == "no page with characters in these images"


def test_against_the_originals():
    states = [state(ENGLISH)]
    rate, original = (
        ErrorRate("character", side=side)(states).value for side in ("reconstruction", "original")
    )
    assert ErrorRate("character", side="added")(states).value == pytest.approx(rate - original)
    assert ErrorRate("character", side="kept")(states).value == pytest.approx((1 - rate) / (1 - original))
    same = [state([(truth, seen, seen) for truth, _, seen in ENGLISH])]
    assert ErrorRate("character", side="kept")(same).value == 1
    assert ErrorRate("character", side="added")(same).value == 0


def test_a_script_that_the_recogniser_cannot_read_is_not_ranked():
    got = ErrorRate("character", "greek")([state([("Αθήνα", "A0nva", "A0nva")], "Grek")])
    assert not got.reliable
    assert got.reason == "character error rate 1.00 on the originals"
    assert ErrorRate("character", "greek", side="original")(
        [state([("Αθήνα", "A0nva", "A0nva")], "Grek")]
    ).reliable


def test_vtbench_takes_the_original_for_the_truth_and_divides_characters_by_words():
    pages = [("the true text", "the brown  fax", "the brown fox"), ("x", "", "")]
    states = [state(pages)]
    # One character differs and one blank more, out of the 13 characters and 3 words that were read on the original.
    assert VTBenchRate("character")(states).value == 2 / 13
    assert VTBenchRate("word")(states).value == 1 / 3
    assert jiwer.wer("the brown fox", "the brown fax") == 1 / 3
    assert VTBenchRate("word")([state([("a", "the brown sheep", "the brown fox")])]).value == 5 / 3
    assert VTBenchRate("word")([state([("a", "b", "")])]).reason == "nothing is read on the originals"


def test_intervals_leave_images_out():
    states = [state(ENGLISH)]
    got = ErrorRate("character")(states)
    without = ErrorRate("character")([state(ENGLISH[:1] + ENGLISH[2:])])
    assert got.replicates[1] == pytest.approx(without.value, abs=1e-12)
    assert 0 <= got.low < got.value < got.high


def test_states_are_a_monoid():
    whole = state(ENGLISH + ENGLISH)
    a, b, c = (
        whole.where(whole["index"] < 2),
        whole.where(whole["index"] == 5),
        whole.where(whole["index"] >= 4),
    )
    for left, right in [(a + b, b + a), ((a + b) + c, a + (b + c)), (PageRows.empty() + a, a), (a + a, a)]:
        assert all(np.array_equal(left[name], right[name]) for name in PageRows.SCHEMA)
    assert all(np.array_equal(whole[n], PageRows.from_arrays(whole.arrays())[n]) for n in PageRows.SCHEMA)


def test_a_batch_is_read_page_by_page():
    class Reader:
        asked = 0

        def read_page(self, image):
            self.asked += 1
            return "" if image.max() == 0 else "ab\ncd"

    reader = Reader()
    truth = {"words": [{"text": "ab", "box": [0, 0, 9, 9]}, {"text": "cd", "box": [0, 9, 9, 18]}]}
    original = torch.full((3, 3, 20, 20), 9, dtype=torch.uint8)
    back = original.clone()
    back[1] = 0
    seen = make_batch(
        original, back, index=[4, 5, 6], truth=[truth, truth, {}], evaluators={"rapidocr": reader}
    )
    rows = page_collector("rapidocr").of(seen)
    # The image without words is not a page, and not read.
    assert rows["index"].tolist() == [4, 5]
    assert reader.asked == 4
    assert rows["distance"].tolist() == [0, 5]
    assert rows["original_distance"].tolist() == [0, 0]
    assert rows["words"].tolist() == [2, 2]


@pytest.mark.parametrize("metric", page_metrics("rapidocr"), ids=lambda metric: metric.name)
def test_a_metric_crosses_to_workers(metric):
    assert isinstance(metric, SetMetric)
    assert pickle.loads(pickle.dumps(metric)) == metric
    assert len(metric.title) <= 8
    assert metric.definition.endswith(".")
