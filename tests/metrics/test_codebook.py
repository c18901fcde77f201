import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_samples import make_batch
from scipy import stats

from tokbench.metrics.codebook import PERPLEXITY, USAGE, TokenCounts, entropy, perplexity, usage
from tokbench.metrics.rate import BPP, BPP_ENTROPY
from tokbench.tokenizer import Codes, TokenSpec

VQ = TokenSpec("vq", "discrete", vocab=6)
RVQ = TokenSpec("rvq", "discrete", vocab=4, codebooks=2)


def tokens(ids, spec=VQ, index=None, side=4):
    ids = torch.as_tensor(ids)
    picture = torch.zeros(len(ids), 3, side, side, dtype=torch.uint8)
    return TokenCounts.of(make_batch(picture, picture, index=index, spec=spec, codes=Codes(ids=ids)))


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.arrays().values(), b.arrays().values(), strict=True))


batches = st.lists(
    st.tuples(st.integers(0, 45), st.lists(st.integers(0, 5), min_size=3, max_size=3)), min_size=1, max_size=6
)
states = batches.map(
    lambda rows: tokens([ids for _, ids in rows], index=[index for index, _ in rows])
) | st.just(TokenCounts.empty())


@settings(max_examples=60, deadline=None)
@given(states, states, states)
def test_states_are_a_commutative_monoid(a, b, c):
    assert same(a + b, b + a)
    assert same((a + b) + c, a + (b + c))
    assert same(a + TokenCounts.empty(), a)
    assert same(TokenCounts.from_arrays(a.arrays()), a)


def test_counts_by_hand():
    state = tokens([[0, 0, 5], [5, 5, 1]], index=[3, 24])
    assert state.table().tolist() == [[2, 1, 0, 0, 0, 3]]
    assert state.table(without=3).tolist() == [[0, 1, 0, 0, 0, 2]]
    assert state.table(without=4).tolist() == [[2, 0, 0, 0, 0, 1]]
    assert state.pixels[[3, 4]].tolist() == [16, 16]
    assert state.pixels.sum() == 32


def test_codebooks_are_counted_apart():
    ids = torch.tensor([[[[0, 1]], [[3, 3]]]])  # one image, two codebooks, one row of two positions
    state = tokens(ids, RVQ)
    assert state.table().tolist() == [[1, 1, 0, 0], [0, 0, 0, 2]]
    assert usage(state.table()) == (2 / 4 + 1 / 4) / 2
    assert perplexity(state.table()) == pytest.approx((2 + 1) / 2)


def test_levels_cut_off_count_nothing():
    state = tokens(torch.tensor([[[0, 1, 2, 3]]]), RVQ)  # one image, one of two codebooks, four positions
    assert state.table().tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
    assert BPP_ENTROPY.finish([state]).value == pytest.approx(4 * 2 / 16, rel=1e-12)


def test_entropy_is_that_of_scipy():
    counts = np.random.default_rng(0).integers(0, 9, (3, 50))
    assert entropy(counts) == pytest.approx(stats.entropy(counts, base=2, axis=1), rel=1e-12)
    assert perplexity(np.full((1, 64), 7)) == pytest.approx(64, rel=1e-12)


def test_estimates_and_their_intervals():
    random = np.random.default_rng(1)
    ids = random.choice(6, (60, 8), p=[0.5, 0.2, 0.1, 0.1, 0.1, 0.0])
    parts = [tokens(ids[i::4], index=np.arange(60)[i::4]) for i in range(4)]
    share = np.bincount(ids.ravel(), minlength=6) / ids.size
    bits = stats.entropy(share, base=2)

    used = USAGE.finish(parts)
    assert used.value == 5 / 6
    assert used.reason == "over 480 tokens"
    assert used.high <= 1

    spread = PERPLEXITY.finish(parts)
    assert spread.value == pytest.approx(2**bits, rel=1e-12)
    assert spread.low < spread.value < spread.high

    rate = BPP_ENTROPY.finish(parts)
    assert rate.value == pytest.approx(bits * 8 / 16, rel=1e-12)
    left_out = [
        stats.entropy(np.bincount(ids[np.arange(60) % 20 != g].ravel()), base=2) * 8 / 16 for g in range(20)
    ]
    error = math.sqrt(19 / 20 * sum((value - np.mean(left_out)) ** 2 for value in left_out))
    assert rate.high - rate.value == pytest.approx(2.0930 * error, rel=1e-4)
    assert BPP_ENTROPY.finish([sum(parts, TokenCounts.empty())]) == rate


def test_one_group_has_no_interval_and_nothing_no_number():
    one = USAGE.finish([tokens([[0, 1]])])
    assert one.value == 2 / 6
    assert math.isnan(one.low)
    for metric in (USAGE, PERPLEXITY, BPP_ENTROPY):
        assert math.isnan(metric.finish([TokenCounts.empty()]).value)


def test_states_of_two_tokenizers_are_refused():
    with pytest.raises(ValueError, match="1 × 6 and 2 × 4"):
        tokens([[0]]) + tokens(torch.tensor([[[0], [0]]]), RVQ)


@pytest.mark.parametrize(
    "changes",
    [
        {"cells": np.array([5, 4, 4])},
        {"counts": np.array([1])},
        {"pixels": np.zeros(3, np.int64)},
        {"shape": np.array([1, 1])},
    ],
)
def test_damaged_arrays_are_refused(changes):
    arrays = tokens([[0, 1, 2]], index=[19]).arrays() | changes
    with pytest.raises(ValueError, match="do not fit"):
        TokenCounts.from_arrays(arrays)
    with pytest.raises(ValueError, match="need shape"):
        TokenCounts.from_arrays({})


def test_only_codebooks_have_usage():
    for metric in (USAGE, PERPLEXITY, BPP_ENTROPY):
        assert metric.applies(VQ) == ""
        for kind in ("codec", "continuous", "images"):
            assert metric.applies(TokenSpec("x", kind)) == "needs a codebook"
    picture = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match="has no codebook"):
        TokenCounts.of(make_batch(picture, picture, codes=Codes(payloads=(b"",))))


def test_bits_per_pixel_of_the_original():
    picture = torch.zeros(2, 3, 4, 5, dtype=torch.uint8)
    assert BPP.measure(make_batch(picture, picture, bits=[40, 10])).tolist() == [2, 0.5]
    assert BPP.higher_is_better is None
    assert BPP.applies(TokenSpec("x", "codec")) == ""
    assert "no codes" in BPP.applies(TokenSpec("x", "images"))
