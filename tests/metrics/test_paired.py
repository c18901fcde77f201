"""Paired differences: coverage, uniform p-values, exactness, infinities, Holm's correction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tokbench.metrics.jackknife import standard_error
from tokbench.metrics.paired import holm, of_images, of_replicates
from tokbench.metrics.pixel import mean_psnr

TRIALS = 300


def skewed(random: np.random.Generator, n: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Values with much in common, and differences with a tail: mean `shift`, a little skew."""
    a = random.normal(30, 4, n)
    return a, a + shift + 0.3 * (random.gamma(4, 1, n) - 4)


def test_the_interval_covers_95_percent() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for trial in range(TRIALS):
        a, b = skewed(random, 80, 0.2)
        found = of_images(a, b, seed=trial)
        hits += found.low <= 0.2 <= found.high
    # 95 ± 2 %; the binomial error of 300 trials is 1.3 %, and they are seeded.
    assert abs(hits / TRIALS - 0.95) <= 0.02


def test_the_interval_of_set_metrics_covers_95_percent() -> None:
    """The statistic is a standard deviation, which is no mean."""
    random = np.random.default_rng(2)
    truth = math.sqrt(1.25) - 1
    groups = np.arange(200) % 20
    hits = 0
    for _ in range(TRIALS):
        a = random.normal(0, 1, 200)
        b = a + random.normal(0, 0.5, 200)
        left = [[side[groups != group].std() for group in range(20)] for side in (a, b)]
        found = of_replicates(a.std(), b.std(), *left)
        hits += found.low <= truth <= found.high
    assert abs(hits / TRIALS - 0.95) <= 0.02


def test_p_is_uniform_when_nothing_changed() -> None:
    random = np.random.default_rng(3)
    found = []
    for trial in range(200):
        a = random.normal(30, 4, 30)
        found.append(of_images(a, a + random.standard_t(3, 30), seed=trial).p)
    # Kolmogorov–Smirnov against the uniform distribution; seeded, so this passes always or never.
    assert stats.kstest(found, "uniform").pvalue > 0.05
    assert abs(np.mean(np.array(found) < 0.05) - 0.05) < 0.03


def test_p_of_set_metrics_is_uniform_when_nothing_changed() -> None:
    random = np.random.default_rng(4)
    groups = np.arange(200) % 20
    found = []
    for _ in range(300):
        common = random.normal(0, 1, 200)
        sides = [common + random.normal(0, 0.5, 200) for _ in range(2)]
        left = [[side[groups != group].std() for group in range(20)] for side in sides]
        found.append(of_replicates(sides[0].std(), sides[1].std(), *left).p)
    assert stats.kstest(found, "uniform").pvalue > 0.05


def test_sign_flips_agree_with_scipy() -> None:
    random = np.random.default_rng(5)
    a = random.normal(0, 1, 12)
    b = a + random.normal(0.4, 1, 12)
    exact = stats.permutation_test((b - a,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    # 9,999 random swappings of 4,096: the standard error of p is below 0.005.
    assert of_images(a, b).p == pytest.approx(exact, abs=0.015)


def test_many_images_take_the_normal_tail() -> None:
    random = np.random.default_rng(6)
    a = random.normal(0, 1, 3000)
    b = a + random.normal(0.06, 1, 3000)
    found = of_images(a, b)
    # The spread is that of 999 swappings: 2.2 % off, a third of p this far out.
    assert found.p == pytest.approx(stats.ttest_rel(b, a).pvalue, rel=0.4)
    assert found.method == "paired bootstrap-percentile"


def test_a_rule_that_is_the_mean_gives_what_the_mean_gives() -> None:
    a, b = skewed(np.random.default_rng(8), 25, 0.1)
    plain, ruled = of_images(a, b), of_images(a, b, lambda values: values.mean(-1))
    assert (plain.low, plain.high, plain.p) == pytest.approx((ruled.low, ruled.high, ruled.p), rel=1e-9)


def test_same_seed_same_answer() -> None:
    a, b = skewed(np.random.default_rng(7), 20, 0.0)
    assert of_images(a, b, seed=3) == of_images(a, b, seed=3)
    assert of_images(a, b, seed=3).p != of_images(a, b, seed=4).p


def test_equal_columns_differ_by_exactly_nothing() -> None:
    found = of_images(np.array([1.0, math.inf]), np.array([1.0, math.inf]), mean_psnr)
    assert (found.value, found.low, found.high, found.p, found.method) == (0.0, 0.0, 0.0, 1.0, "exact")


def test_one_step_on_every_image_is_exact_and_certain() -> None:
    found = of_images(np.full(12, 2.0), np.full(12, 2.5))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert found.p < 0.002  # of 4,096 swappings two are as far from zero


def test_images_measured_on_one_side_only_are_left_out() -> None:
    found = of_images(np.array([1.0, math.nan, 3.0, 4.0]), np.array([2.0, 9.0, math.nan, 6.0]))
    assert (found.value, found.n) == (1.5, 2)
    assert math.isnan(of_images(np.array([math.nan]), np.array([1.0])).value)


def test_exact_images_beside_others() -> None:
    a = np.array([math.inf] * 10)
    b = np.linspace(30, 40, 10)
    found = of_images(a, b, mean_psnr)
    assert found.value == -math.inf
    assert found.p < 0.01
    assert math.isnan(found.low)
    one = of_images(np.array([math.inf] * 9 + [30.0]), b, mean_psnr)
    assert one.low <= one.value <= one.high
    back = of_images(np.array([math.inf, *b[1:]]), b, mean_psnr)
    assert back.value == pytest.approx((30 - 101.0726) / 10, abs=1e-3)


def test_replicates_that_do_not_correspond_give_no_interval() -> None:
    found = of_replicates(1.0, 2.0, [1.0] * 20, [2.0] * 19)
    assert found.value == 1.0
    assert math.isnan(found.low)
    assert math.isnan(found.p)
    assert of_replicates(math.inf, math.inf, [], []).value == 0


def test_replicates_by_hand() -> None:
    left_a, left_b = [1.0, 1.1, 0.9, 1.0], [1.3, 1.5, 1.2, 1.2]
    found = of_replicates(1.0, 1.3, left_a, left_b)
    error = standard_error([0.3, 0.4, 0.3, 0.2])
    assert found.p == pytest.approx(2 * stats.t.sf(0.3 / error, 3))
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 3) * error)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, math.nan, 0.5])[:3] == pytest.approx([0.04, 0.09, 0.09])
    assert math.isnan(holm([0.01, math.nan])[1])
    assert holm([0.4, 0.4, 0.4]) == [1.0, 1.0, 1.0]
