import math
import time

import numpy as np
import pytest
from scipy import stats

from tokbench.metrics import jackknife
from tokbench.metrics.bootstrap import bootstrap
from tokbench.metrics.pixel import EXACT_DB, mean_psnr
from tokbench.metrics.speed import harmonic_mean


def test_jackknife_of_a_mean_is_the_classical_standard_error():
    groups = np.random.default_rng(0).normal(size=20)
    left_out = [np.delete(groups, i).mean() for i in range(20)]
    assert jackknife.standard_error(left_out) == pytest.approx(groups.std(ddof=1) / math.sqrt(20), rel=1e-10)
    low, high = jackknife.interval(groups.mean(), left_out)
    wanted = stats.ttest_1samp(groups, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((wanted.low, wanted.high), rel=1e-10)


def test_jackknife_interval_stays_in_range_and_needs_two_groups():
    cut = jackknife.estimate(0.5, [0.1, 0.9, 0.5], smallest=0.0, largest=1.0)
    assert (cut.low, cut.high) == (0, 1)
    for left_out in ([], [1.0]):
        assert math.isnan(jackknife.estimate(1.0, left_out).low)


def test_bootstrap_of_a_mean_is_near_the_normal_interval():
    values = np.random.default_rng(1).normal(10, 2, 400)
    got = bootstrap(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert got.method == "bootstrap-bca"
    assert got.value == values.mean()
    # 2,000 resamples fix an end of the interval to about 3 % of its half width.
    assert (got.low, got.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.12 * half)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(2)
    samples = random.exponential(1.0, (150, 60))
    hits = sum(interval.low <= 1 <= interval.high for interval in map(bootstrap, samples))
    # 95 % of 150 is 142; skewed samples of 60 cover a little less; below 131 has a chance of about 1e-4 at 93 %.
    assert 131 <= hits <= 150


def test_the_rule_of_the_metric_is_resampled():
    rates = np.random.default_rng(3).uniform(1, 9, 200)
    got = bootstrap(rates, harmonic_mean)
    assert got.value == pytest.approx(stats.hmean(rates), rel=1e-12)
    assert got.low < got.value < got.high < rates.mean()


def test_many_values_take_percentiles():
    values = np.random.default_rng(4).normal(size=3000)
    got = bootstrap(values)
    half = 1.96 / math.sqrt(3000)
    assert got.method == "bootstrap-percentile"
    assert (got.low, got.high) == pytest.approx((got.value - half, got.value + half), abs=0.15 * half)


def test_the_seed_decides():
    values = np.random.default_rng(5).normal(size=50)
    assert bootstrap(values, seed=7) == bootstrap(values, seed=7)
    assert bootstrap(values, seed=7) != bootstrap(values, seed=8)


def test_equal_values_are_exact():
    for value in (0.0, 3.5, math.inf):
        got = bootstrap(np.full(10, value), mean_psnr if value == math.inf else None)
        assert (got.value, got.low, got.high, got.method) == (value, value, value, "exact")


def test_exact_images_among_others():
    got = bootstrap(np.array([math.inf, 30.0, 31.0, 33.0]), mean_psnr)
    assert got.value == pytest.approx((EXACT_DB + 94) / 4)
    assert 30 <= got.low < got.value < got.high
    assert got.method == "bootstrap-percentile"


def test_unmeasured_images_are_left_out():
    values = np.random.default_rng(6).normal(size=30)
    assert bootstrap(np.append(values, [math.nan, math.nan])) == bootstrap(values)


def test_one_value_has_no_interval_and_none_no_number():
    one = bootstrap(np.array([2.0]))
    assert one.value == 2
    assert math.isnan(one.low)
    none = bootstrap(np.array([math.nan]))
    assert math.isnan(none.value)
    assert none.reason == "no image was measured"


def test_nearly_equal_values_still_give_an_interval():
    got = bootstrap(np.array([1.0, 1.0, 1.0, 1.0, 1.0 + 1e-15]))
    assert got.low <= got.value <= got.high


def test_a_summary_is_quick():
    values = np.random.default_rng(8).normal(30, 3, (12, 128))
    bootstrap(values[0])
    start = time.process_time()
    for row in values:
        bootstrap(row, mean_psnr)
    # Measured 0.1 s; the budget of a whole summary is 1 s.
    assert time.process_time() - start < 1
