"""CMMD against the published formula written out, and CLIP similarity."""

import math

import numpy as np
import pytest
import torch
from metric_samples import degrade, make_batch, pictures, rows

from tokbench.metrics.clip import CLIP_SIMILARITY, CMMD
from tokbench.networks.base import Features


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def pair():
    x = np.random.default_rng(3).normal(size=(70, 24))
    return unit(x), unit(degrade(x, 0.4))


def written_out(x, y):
    """The estimator of Gretton et al. 2012, equation 5, one pair at a time."""

    def mean(a, b):
        return np.mean([math.exp(-float(((p - q) ** 2).sum()) / 200) for p in a for q in b])

    x, y = x.astype(float), y.astype(float)
    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


def test_cmmd_is_the_published_formula(pair):
    got = CMMD.finish(rows(*pair))
    # Differences of means near 1, in float64 on both sides, times 1000.
    assert got.value == pytest.approx(written_out(*pair), abs=1e-10)
    assert got.value > 0.01
    assert got.low < got.value < got.high


def test_cmmd_of_identical_sets_is_zero_and_shards_do_not_matter(pair):
    x, y = pair
    assert CMMD.finish(rows(x, x)).value == pytest.approx(0, abs=1e-10)
    assert CMMD.finish(rows(x, y, shards=1)).value == pytest.approx(
        CMMD.finish(rows(x, y, shards=7)).value, abs=1e-10
    )


def test_cmmd_replicates_are_the_statistic_without_a_group(pair):
    x, y = pair
    got = CMMD.finish(rows(x, y))
    keep = np.arange(len(x)) % 20 != 3
    assert got.replicates[3] == pytest.approx(written_out(x[keep], y[keep]), abs=1e-10)


def test_cmmd_of_one_image_is_blank():
    one = unit(np.ones((1, 4)))
    assert math.isnan(CMMD.finish(rows(one, one, shards=1)).value)


def test_clip_similarity_is_the_cosine():
    a, b = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[4.0, 3.0], [-2.0, 0.0]])
    x = pictures(2, 8, 8)
    batch = make_batch(x, x, features=lambda name: (Features(pooled=a), Features(pooled=b)))
    assert CLIP_SIMILARITY.measure(batch) == pytest.approx([24 / 25, -1], abs=1e-12)
