import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_samples import make_batch
from scipy import optimize, stats

from tokbench.metrics.codebook import TokenCounts
from tokbench.metrics.coding import HUFFMAN, LZMA, ORDER0, ZLIB, huffman_bits, packed_share
from tokbench.metrics.language import (
    ENTROPY_DOWN,
    ENTROPY_RIGHT,
    ENTROPY_SHARE,
    POSITION_ENTROPY,
    TOKEN_ENTROPY,
    conditional_entropy,
    miller_madow,
    neighbours,
    position_entropies,
)
from tokbench.metrics.sequences import TokenSequences
from tokbench.metrics.zipf import (
    HEAPS,
    ZIPF,
    ZIPF_KS,
    ZIPF_R2,
    goodness_of_fit,
    heaps_curve,
    heaps_exponent,
    ks_distance,
    rank_frequency_r2,
    zipf_exponent,
)
from tokbench.tokenizer import Codes, TokenSpec

VQ = TokenSpec("vq", "discrete", vocab=6)
RVQ = TokenSpec("rvq", "discrete", vocab=4, codebooks=2)
BY_COUNTS = (TOKEN_ENTROPY, ENTROPY_SHARE, ZIPF, ZIPF_KS, ZIPF_R2, HUFFMAN, ORDER0)
BY_SEQUENCE = (ENTROPY_RIGHT, ENTROPY_DOWN, POSITION_ENTROPY, HEAPS, ZLIB, LZMA)


def batch_of(ids, spec=VQ, index=None):
    ids = torch.as_tensor(np.asarray(ids))
    picture = torch.zeros(len(ids), 3, 8, 8, dtype=torch.uint8)
    return make_batch(picture, picture, index=index, spec=spec, codes=Codes(ids=ids))


def sequences(ids, spec=VQ, index=None):
    return TokenSequences.of(batch_of(ids, spec, index))


def counts(ids, spec=VQ, index=None):
    return TokenCounts.of(batch_of(ids, spec, index))


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.arrays().values(), b.arrays().values(), strict=True))


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(9)), st.integers(0, 9), st.integers(0, 9))
def test_sequences_are_a_commutative_monoid(order, first, second):
    ids = np.random.default_rng(0).integers(0, 6, (9, 2, 3))
    cuts = sorted((first, second))
    a, b, c = (
        sequences(ids[part], index=part) if len(part) else TokenSequences.empty()
        for part in np.split(order, cuts)
    )
    assert same(a + b, b + a)
    assert same((a + b) + c, a + (b + c))
    assert same(a + TokenSequences.empty(), a)
    assert same(TokenSequences.from_arrays((a + b + c).arrays()), sequences(ids))


def test_sequences_hold_images_of_several_shapes():
    both = sequences(np.ones((1, 2, 3), int), index=[4]) + sequences(np.zeros((1, 5), int), index=[2])
    assert both.shapes.tolist() == [[1, 1, 5], [1, 2, 3]]
    assert [image.shape for image in both.images()] == [(1, 1, 5), (1, 2, 3)]
    assert sequences(np.ones((1, 2, 3, 4), int), RVQ).shapes.tolist() == [[2, 3, 4]]


def test_sequences_that_do_not_fit_are_refused():
    one = sequences(np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="twice"):
        one + one
    with pytest.raises(ValueError, match="vocabs"):
        one + sequences(np.zeros((1, 2, 3), int), RVQ, index=[9])
    with pytest.raises(ValueError, match="need vocab"):
        TokenSequences.from_arrays({})
    with pytest.raises(ValueError, match="fit together"):
        TokenSequences.from_arrays(one.arrays() | {"ids": one.ids[1:]})
    with pytest.raises(ValueError, match="outside"):
        TokenSequences.from_arrays(one.arrays() | {"ids": one.ids + 6})
    with pytest.raises(ValueError, match="no codebook"):
        TokenSequences.of(make_batch(*[torch.zeros(1, 3, 4, 4, dtype=torch.uint8)] * 2))


def test_miller_madow_by_hand_and_against_simulation():
    table = np.array([5, 3, 0, 2])
    assert miller_madow(table) == pytest.approx(
        stats.entropy(table, base=2) + 2 / (2 * 10 * math.log(2)), rel=1e-12
    )
    random = np.random.default_rng(2)
    share = random.dirichlet(np.ones(20))
    truth = stats.entropy(share, base=2)
    draws = random.multinomial(200, share, 400)
    plain = np.array([stats.entropy(draw, base=2) for draw in draws]).mean() - truth
    corrected = miller_madow(draws).mean() - truth
    assert abs(corrected) < abs(plain) / 3


def test_neighbours_by_hand():
    grid = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    right, down = neighbours(grid, "right"), neighbours(grid, "down")
    assert list(zip(*(side.tolist() for side in right), strict=True)) == [(0, 1), (1, 2), (3, 4), (4, 5)]
    assert list(zip(*(side.tolist() for side in down), strict=True)) == [(0, 3), (1, 4), (2, 5)]


def test_conditional_entropy_is_that_of_scipy():
    random = np.random.default_rng(3)
    first, second = random.integers(0, 6, 500), random.integers(0, 6, 500)
    second[::2] = (first[::2] + 1) % 6
    table = np.zeros((6, 6), int)
    np.add.at(table, (first, second), 1)
    pairs, firsts = table[table > 0], table.sum(1)
    correction = ((len(pairs) - 1) - (6 - 1)) / (2 * 500 * math.log(2))
    wanted = stats.entropy(table.ravel(), base=2) - stats.entropy(firsts, base=2) + correction
    assert conditional_entropy(pairs, firsts) == pytest.approx(wanted, rel=1e-12)
    image = np.stack((first, second), 1).reshape(500, 1, 2)
    found = ENTROPY_RIGHT.finish(
        [
            sequences(image[::2], index=np.arange(0, 500, 2)),
            sequences(image[1::2], index=np.arange(1, 500, 2)),
        ]
    )
    assert found.value == pytest.approx(wanted, rel=1e-12)
    assert found.low < found.value < found.high
    assert found.reliable
    assert found.reason == f"500 pairs, {len(pairs)} distinct"


def test_a_token_that_decides_its_neighbour_leaves_no_entropy():
    rows = np.stack([(np.arange(12) + start) % 6 for start in range(6)])[:, None].repeat(2, 1)
    state = sequences(rows)
    assert ENTROPY_RIGHT.finish([state]).value == pytest.approx(0, abs=1e-12)
    assert ENTROPY_DOWN.finish([state]).value == pytest.approx(0, abs=1e-12)
    random = sequences(np.random.default_rng(4).integers(0, 6, (50, 10, 10)))
    # Independent tokens: log2 6 = 2.585 within sampling error, about 0.01 over 4,500 pairs.
    assert ENTROPY_DOWN.finish([random]).value == pytest.approx(math.log2(6), abs=0.02)


def test_what_has_no_neighbour_has_no_number():
    flat = sequences(np.zeros((3, 5), int))
    assert "no neighbour" in ENTROPY_DOWN.finish([flat]).reason
    assert not ENTROPY_RIGHT.finish([sequences([[0, 1, 5, 3]])]).reliable


def test_entropies_per_position_are_those_of_scipy():
    ids = np.random.default_rng(5).integers(0, 6, (40, 2, 3))
    ids[:, 0, 0] = 4
    found = position_entropies(sequences(ids))
    for row in range(2):
        for column in range(3):
            table = np.bincount(ids[:, row, column])
            table = table[table > 0]
            wanted = stats.entropy(table, base=2) + (len(table) - 1) / (80 * math.log(2))
            assert found[0, row, column] == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    assert found[0, 0, 0] == 0
    estimate = POSITION_ENTROPY.finish([sequences(ids)])
    assert estimate.value == pytest.approx(found.mean())
    assert not estimate.reliable
    mixed = sequences(np.zeros((1, 2, 2), int)) + sequences(np.zeros((1, 3), int), index=[1])
    assert "several shapes" in POSITION_ENTROPY.finish([mixed]).reason


def log_likelihood(table, exponent):
    ranked = np.sort(table[table > 0])[::-1]
    ranks = np.arange(1, len(ranked) + 1)
    return float((ranked * (-exponent * np.log(ranks) - np.log((ranks**-exponent).sum()))).sum())


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_zipf_is_the_peak_of_the_likelihood(exponent):
    share = np.arange(1, 201.0) ** -exponent
    table = np.random.default_rng(6).multinomial(20000, share / share.sum())
    found = zipf_exponent(table)
    grid = np.linspace(0, 4, 4001)
    best = grid[np.argmax([log_likelihood(table, value) for value in grid])]
    assert found == pytest.approx(best, abs=0.00051)  # half a step of the grid
    peak = optimize.minimize_scalar(
        lambda value: -log_likelihood(table, value), bounds=(0, 4), method="bounded", options={"xatol": 1e-9}
    )
    assert found == pytest.approx(peak.x, abs=1e-5)  # a minimum is only found to the square root of rounding
    # About five times the standard error of 20,000 draws; sorting by observed rank adds a little.
    assert found == pytest.approx(exponent, abs=0.05)


def test_zipf_closed_forms():
    assert zipf_exponent(np.full(50, 7)) == 0
    assert math.isnan(zipf_exponent(np.array([0, 9, 0])))
    # Two ranks: share of the first is 1 / (1 + 2^-α).
    assert zipf_exponent(np.array([1, 8])) == pytest.approx(3, abs=1e-9)
    exact = np.round(1e9 * np.arange(1, 101.0) ** -1.3).astype(int)
    assert zipf_exponent(exact) == pytest.approx(1.3, abs=1e-6)
    assert ks_distance(exact, 1.3) < 1e-7
    assert rank_frequency_r2(exact) == pytest.approx(1, abs=1e-9)
    assert ks_distance(np.array([3, 1]), 0.0) == pytest.approx(0.25)


def test_goodness_of_fit_tells_a_power_law_from_another():
    share = np.arange(1, 101.0) ** -1.0
    random = np.random.default_rng(7)
    law = random.multinomial(5000, share / share.sum())
    other = random.multinomial(5000, np.exp(-np.arange(100) / 20) / np.exp(-np.arange(100) / 20).sum())
    assert goodness_of_fit(law) > 0.05
    assert goodness_of_fit(other) == 0
    assert goodness_of_fit(law) == goodness_of_fit(law)


def test_heaps_of_a_known_growth():
    read = np.geomspace(10, 1e5, 60)[None]
    assert heaps_exponent(read, 3 * read**0.7) == pytest.approx(0.7, abs=1e-12)
    assert math.isnan(heaps_exponent(read[:, :2], read[:, :2]))


def test_heaps_curve_counts_what_is_new():
    ids = np.random.default_rng(8).integers(0, 500, (30, 3, 4))
    spec = TokenSpec("vq", "discrete", vocab=500)
    state = sequences(ids, spec)
    read, met = heaps_curve(state, seed=3)
    random = np.random.default_rng(3)
    for curve in met:
        order = random.permutation(30)
        assert curve.tolist() == [len(np.unique(ids[order[: place + 1]])) for place in range(30)]
    assert read.tolist() == [[12 * (place + 1) for place in range(30)]] * 10
    parts = [sequences(ids[i::3], spec, index=np.arange(30)[i::3]) for i in range(3)]
    assert HEAPS.finish(parts) == HEAPS.finish([state])
    all_new = sequences(np.arange(480).reshape(20, 24), spec)
    assert HEAPS.finish([all_new]).value == pytest.approx(1, abs=1e-12)


def test_huffman_by_hand_and_within_its_bounds():
    # 15, 7, 6, 6, 5: codes of 1, 3, 3, 3, 3 bits.
    assert huffman_bits(np.array([6, 15, 0, 7, 5, 6])) == (15 * 1 + 24 * 3) / 39
    assert huffman_bits(np.full(64, 3)) == 6
    assert huffman_bits(np.array([0, 12])) == 0
    table = np.random.default_rng(9).integers(0, 1000, 300)
    bound = stats.entropy(table, base=2)
    assert bound <= huffman_bits(table) < bound + 1


def test_huffman_is_that_of_a_heap():
    import heapq

    table = np.random.default_rng(10).geometric(0.05, 257)
    heap = [int(count) for count in table]
    heapq.heapify(heap)
    spent = 0
    while len(heap) > 1:
        spent += (pair := heapq.heappop(heap) + heapq.heappop(heap))
        heapq.heappush(heap, pair)
    assert huffman_bits(table) == spent / table.sum()


def test_compressors_see_repetition_and_not_noise():
    spec = TokenSpec("vq", "discrete", vocab=1024)
    noise = sequences(np.random.default_rng(11).integers(0, 1024, (20, 32, 32)), spec)
    same_rows = sequences(np.tile(np.arange(32), (20, 32, 1)), spec)
    for packer in ("zlib", "lzma"):
        # 16-bit ids that carry 10 bits: compressors come near, not below.
        assert 1 < packed_share(noise, packer) < 1.35
        assert packed_share(same_rows, packer) < 0.03
    assert ZLIB.finish([noise]).value == packed_share(noise, "zlib")


def test_codebooks_are_averaged():
    ids = np.random.default_rng(12).integers(0, 4, (60, 2, 4, 4))
    ids[:, 1] = 0
    state, table = sequences(ids, RVQ), counts(ids, RVQ)
    one = counts(ids[:, 0], TokenSpec("vq", "discrete", vocab=4))
    assert TOKEN_ENTROPY.finish([table]).value == pytest.approx(
        TOKEN_ENTROPY.finish([one]).value / 2, rel=1e-12
    )
    assert ENTROPY_SHARE.finish([table]).value == pytest.approx(
        TOKEN_ENTROPY.finish([table]).value / 2, rel=1e-12
    )
    assert ORDER0.finish([table]).value <= HUFFMAN.finish([table]).value
    assert position_entropies(state).shape == (2, 4, 4)
    assert position_entropies(state)[1].max() == 0
    assert "fewer than two" in ZIPF.finish([counts(np.zeros((2, 3), int))]).reason


def test_the_fit_is_reported_beside_the_distance():
    share = np.arange(1, 7.0) ** -1
    ids = np.random.default_rng(13).choice(6, (40, 30), p=share / share.sum())
    found = ZIPF_KS.finish([counts(ids)])
    assert 0 <= found.low <= found.value <= found.high
    assert found.reason.startswith("p 0.")
    assert ZIPF_R2.finish([counts(ids)]).value > 0.8


def test_nothing_measured_is_no_number():
    for metric in BY_COUNTS:
        assert math.isnan(metric.finish([TokenCounts.empty()]).value)
    for metric in BY_SEQUENCE:
        assert math.isnan(metric.finish([TokenSequences.empty()]).value)
    for metric in (*BY_COUNTS, *BY_SEQUENCE):
        assert metric.applies(TokenSpec("x", "continuous")) == "needs a codebook"
