"""Word scores are TokBench's own, for all of its published words that are at hand; states add up exactly."""

import csv
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_samples import make_batch

from tokbench.errors import DataError
from tokbench.metrics.base import SetMetric
from tokbench.metrics.text import BINS, EDGES, UNKNOWN, bin_numbers, script_number, size_ratio, t_acc, t_ned
from tokbench.metrics.word_file import ReadWord, score_words
from tokbench.metrics.word_scores import BesideOriginal, BinnedMean, word_metrics
from tokbench.metrics.words import WordRows, word_collector

PUBLISHED = Path(__file__).parents[1] / "data" / "tokbench_text"


def published(name):
    with (PUBLISHED / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_published_word_has_its_scores():
    words = published("tt") + published("sroie")
    assert len(words) == 7426
    for word in words:
        assert t_acc(word["truth"], word["predicted"]) == int(word["t_acc"])
        # The same quotient of integers: no rounding may differ, 1e-12 allows for another order of operations.
        assert t_ned(word["truth"], word["predicted"]) == pytest.approx(float(word["t_ned"]), abs=1e-12)
    assert sum(int(word["t_acc"]) for word in words) > 0


@pytest.mark.parametrize("setting", EDGES)
def test_published_means_of_the_bins(setting):
    wanted = json.loads((PUBLISHED / f"expected_{setting}.json").read_text())
    words = [
        ReadWord(word["truth"], word["predicted"], float(word["ratio"]), word["file_name"])
        for name in wanted["sets"]
        for word in published(name)
    ]
    got = score_words(words, setting)
    assert list(EDGES[setting]) == wanted["edges"]
    assert [got["bins"][name]["n"] for name in BINS] == wanted["words_per_bin"]
    assert got["dropped"] == 7426 - sum(wanted["words_per_bin"])
    for score in ("t_acc", "t_ned"):
        # Sums of up to 3,500 doubles in [0, 1], in another order: rounding stays below 1e-12.
        assert [got["bins"][name][score] for name in BINS] == pytest.approx(
            wanted[f"{score}_bins"], abs=1e-12
        )
        assert got["mean"][score] == pytest.approx(wanted[f"{score}_mean"], abs=1e-12)
        low, high = got["mean"][f"{score}_ci"]
        assert 0 <= low < got["mean"][score] < high <= 1


def test_scores_of_a_word():
    assert (t_acc("Total", "total"), t_acc("Total", "Total ")) == (0, 0)
    assert t_ned("Total", "total") == 1 - 1 / 5
    assert t_ned("ab", "ba") == 0  # no transpositions
    assert t_ned("a", "") == 0
    assert t_ned("a", "abcd") == 0.25
    with pytest.raises(ValueError, match="must not be empty"):
        t_ned("", "a")


def test_bins_are_half_open():
    ratios = np.array([0, 0.0199, 0.02, 0.03, 0.0399, 0.04, 0.999, 1, 2, math.nan])
    assert bin_numbers(ratios, 256).tolist() == [-1, -1, 0, 1, 1, 2, 2, -1, -1, -1]


def test_size_ratio_is_that_of_tokbench():
    # "THE" of Total-Text image 0000001, 1024×768, ratio 0.0361328125 as published: a box 111 pixels wide.
    assert size_ratio((10.9, 5, 121.2, 60), 3, 768, 1024) == pytest.approx(0.0361328125, abs=1e-15)
    assert size_ratio((0, 0, 10, 40), 2, 100, 50) == 40 / (2 * 100)


def test_scripts_by_code_and_name():
    assert script_number("Latn") == script_number("latin") == 0
    assert script_number("Hans") == script_number("Hant") == 3
    assert script_number("Arab") == script_number("") == UNKNOWN


class Reader:
    """Reads the value of a crop's first pixel and says the word of that number; counts what it was asked."""

    def __init__(self, *words):
        self.words = words
        self.asked = 0

    def read_words(self, crops):
        self.asked += len(crops)
        return [self.words[int(crop[0, 0, 0])] for crop in crops]


def picture(*values):
    """An image of 100×200 whose 20-pixel columns hold values."""
    image = torch.zeros(3, 100, 200, dtype=torch.uint8)
    for column, value in enumerate(values):
        image[:, :, 20 * column : 20 * column + 20] = value
    return image


def truth(*texts, **more):
    return {
        "words": [
            {"text": text, "box": [20 * n, 0, 20 * n + 20.7, 10], "script": "Latn", **more}
            for n, text in enumerate(texts)
        ]
    }


def batch(before, after, truths, reader, index=None):
    return make_batch(
        torch.stack(before), torch.stack(after), index=index, truth=truths, evaluators={"rapidocr": reader}
    )


COLLECT = word_collector("rapidocr")


def test_rows_of_a_batch():
    reader = Reader("", "abc", "abd", "xy")
    rows = COLLECT.of(
        batch(
            [picture(1, 3), picture(2)],
            [picture(2, 3), picture(0)],
            [truth("abc", "xy"), truth("abd")],
            reader,
            index=[7, 3],
        )
    )
    assert rows["index"].tolist() == [3, 7, 7]
    assert rows["correct"].tolist() == [0, 0, 1]
    assert rows["similarity"].tolist() == [0, 1 - 1 / 3, 1]
    assert rows["original_correct"].tolist() == [1, 1, 1]
    assert rows["ratio"] == pytest.approx([20 / 3 / 200, 20 / 3 / 200, 20 / 2 / 200])
    assert rows["script"].tolist() == [0, 0, 0]


def test_originals_are_read_once_for_all_tokenizers():
    reader = Reader("", "abc")
    seen = batch([picture(1)], [picture(1)], [truth("abc")], reader)
    for _ in range(3):
        COLLECT.of(seen)
    assert reader.asked == 1 + 3


def test_a_stated_ratio_wins():
    rows = COLLECT.of(batch([picture(1)], [picture(1)], [truth("abc", ratio=0.5)], Reader("", "abc")))
    assert rows["ratio"].tolist() == [0.5]


def test_a_box_without_a_pixel_reads_nothing():
    words = {"words": [{"text": "abc", "box": [3.2, 3, 3.9, 9]}]}
    rows = COLLECT.of(batch([picture(1)], [picture(1)], [words], Reader("", "abc")))
    assert rows["similarity"].tolist() == [0]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ({"text": "", "box": [0, 0, 9, 9]}, "image 4, word 0: the true text is empty"),
        ({"text": " ", "box": [0, 0, 9, 9]}, "the true text is empty"),
        ({"box": [0, 0, 9, 9]}, "the true text is empty"),
        ({"text": "a", "box": [9, 0, 0, 9]}, r"`a`\): box"),
        ({"text": "a", "box": [0, 0, 9]}, "is not"),
        ({"text": "a", "box": [0, 0, 9, 9], "ratio": -1}, "ratio -1"),
    ],
)
def test_unusable_words_are_refused(word, message):
    with pytest.raises(DataError, match=message):
        COLLECT.of(batch([picture(1)], [picture(1)], [{"words": [word]}], Reader("", "a"), index=[4]))


def rows(images=12, words=9, seed=0):
    """Words of three sizes, read better on the originals."""
    random = np.random.default_rng(seed)
    n = images * words
    similarity = random.choice([0, 0.5, 1], n)
    return WordRows.of(
        {
            "index": np.repeat(np.arange(images), words),
            "word": np.tile(np.arange(words), images),
            "length": np.full(n, 4),
            "ratio": random.choice([0.001, 0.025, 0.035, 0.2], n),
            "size": np.full(n, np.nan),
            "script": np.zeros(n),
            "correct": similarity == 1,
            "similarity": similarity,
            "original_correct": random.random(n) < 0.9,
            "original_similarity": np.maximum(similarity, 0.75),
        }
    )


def equal(a, b):
    return all(np.array_equal(a[name], b[name], equal_nan=True) for name in WordRows.SCHEMA)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=108, max_size=108))
def test_states_are_a_monoid(part):
    whole = rows()
    a, b, c = (whole.where(np.array(part) == number) for number in range(3))
    assert equal(a + b, b + a)
    assert equal((a + b) + c, a + (b + c))
    assert equal(WordRows.empty() + a, a)
    assert equal(a + a, a)
    assert equal(a + b + c, whole)
    assert equal(WordRows.from_arrays(whole.arrays()), whole)


def test_states_that_contradict_are_refused():
    whole = rows()
    other = WordRows.of(whole.arrays() | {"similarity": 1 - whole["similarity"]})
    with pytest.raises(ValueError, match="two different rows"):
        _ = whole + other
    with pytest.raises(ValueError, match="need index"):
        WordRows.from_arrays({"index": np.zeros(1)})
    with pytest.raises(ValueError, match="differ in length"):
        WordRows.of(whole.arrays() | {"ratio": np.zeros(1)})


def test_a_mean_of_bins_and_its_interval():
    whole = rows()
    number = bin_numbers(whole["ratio"], 256)
    by_hand = np.mean([whole["similarity"][number == at].mean() for at in range(3)])
    got = BinnedMean(256, "similarity")([whole.where(whole["index"] < 5), whole.where(whole["index"] >= 5)])
    assert got.value == pytest.approx(by_hand, abs=1e-12)
    assert got.low < got.value < got.high
    assert got.reason == f"{(number < 0).sum()} of 108 words lie outside the bins"
    # Delete-one-group: with 12 images each group is one image.
    out = whole.where(whole["index"] != 3)
    assert got.replicates[3] == pytest.approx(BinnedMean(256, "similarity").of(out).value, abs=1e-12)


def test_an_empty_bin_leaves_the_mean_blank():
    small = rows().where(rows()["ratio"] < 0.03)
    got = BinnedMean(256, "correct")([small])
    assert math.isnan(got.value)
    assert got.reason == "no word in bin medium and large"
    assert BinnedMean(256, "correct", "small")([small]).value >= 0
    assert BinnedMean(256, "correct")([WordRows.empty()]).reason == "no annotated word in these images"


def test_beside_the_original():
    whole = rows()
    value = {
        metric.name: metric.finish([whole]).value for metric in word_metrics("rapidocr", 256) if metric.name
    }
    assert value["t_acc_relative"] == pytest.approx(value["t_acc"] / value["t_acc_original"])
    assert value["t_acc_drop"] == pytest.approx(value["t_acc_original"] - value["t_acc"])
    assert value["words"] + value["words_dropped"] == len(whole)
    kept = whole.where(whole["original_correct"] == 1)
    assert value["t_acc_readable"] == BinnedMean(256, "correct").of(kept).value
    perfect = WordRows.of(
        whole.arrays() | {"original_correct": whole["correct"], "original_similarity": whole["similarity"]}
    )
    got = BesideOriginal(256, "correct")([perfect])
    assert (got.value, got.low, got.high) == (1, 1, 1)


def test_nothing_read_on_the_originals_is_no_score():
    whole = rows()
    blind = WordRows.of(whole.arrays() | {"original_correct": np.zeros(len(whole))})
    got = BesideOriginal(256, "correct")([blind])
    assert math.isnan(got.value)
    assert got.reason == "nothing is read on the originals"


@pytest.mark.parametrize("metric", word_metrics("rapidocr", 512, "_512"), ids=lambda metric: metric.name)
def test_a_metric_crosses_to_workers(metric):
    assert isinstance(metric, SetMetric)
    assert pickle.loads(pickle.dumps(metric)) == metric
    assert metric.name.endswith("_512")
    assert len(metric.title) <= 8
    assert metric.definition.endswith(".")
    assert metric.network == "rapidocr"
