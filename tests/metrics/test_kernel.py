import hashlib
import math

import numpy as np
import pytest
from metric_samples import degrade, features, rows
from torch_fidelity.metric_kid import kernel_poly, mmd2

from tokbench.metrics import kernel
from tokbench.metrics.kernel import estimate, kernel_distance

POLY = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1.0}


def torch_fidelity(x, y, kind):
    x, y = x.astype(float), y.astype(float)
    return mmd2(kernel_poly(x, x, **POLY), kernel_poly(x, y, **POLY), kernel_poly(y, y, **POLY), mmd_est=kind)


@pytest.mark.parametrize("n", [2, 50, 1500])  # 1500 takes more than one block
def test_both_estimators_are_torch_fidelitys(n):
    x = features(n, 16)
    y = features(n, 16, seed=9)
    assert kernel_distance(x, y, paired=False) == pytest.approx(
        torch_fidelity(x, y, "unbiased"), rel=1e-9, abs=1e-13
    )
    assert kernel_distance(x, y) == pytest.approx(torch_fidelity(x, y, "u-statistic"), rel=1e-9, abs=1e-13)


def test_pairing_matters_for_identical_sets():
    x = features(40, 16)
    assert kernel_distance(x, x) == pytest.approx(0, abs=1e-12)
    # The usual estimator rewards the same images beyond perfection.
    assert kernel_distance(x, x, paired=False) < -1e-3


def test_the_interval_is_the_delete_one_group_jackknife():
    x = features(110, 16)
    y = degrade(x, 0.5)
    got = estimate(rows(x, y))
    index = np.arange(110)
    left_out = [torch_fidelity(x[index % 20 != g], y[index % 20 != g], "u-statistic") for g in range(20)]
    spread = math.sqrt(19 / 20 * sum((value - np.mean(left_out)) ** 2 for value in left_out))
    assert got.value == pytest.approx(torch_fidelity(x, y, "u-statistic"), rel=1e-10)
    assert got.high - got.value == pytest.approx(2.0930 * spread, rel=1e-4)


def test_noise_makes_worse():
    x = features(60, 32)
    values = [estimate(rows(x, degrade(x, level))).value for level in (0.3, 0.8, 2.0)]
    assert values == sorted(values)
    # Being unbiased, it may fall below zero where little was lost.
    assert values[-1] > 0 > values[0] - 0.1


def test_too_few_images():
    x = features(1, 8)
    assert math.isnan(estimate(rows(x, x, 1)).value)
    assert math.isnan(estimate([]).value)


def test_a_fixed_subset_stands_for_very_many(monkeypatch):
    monkeypatch.setattr(kernel, "LARGEST", 12)
    x = features(40, 8)
    y = degrade(x, 0.5)
    chosen = sorted(range(40), key=lambda position: hashlib.sha256(str(position).encode()).digest())[:12]
    got = estimate(rows(x, y))
    assert got.value == pytest.approx(kernel_distance(x[sorted(chosen)], y[sorted(chosen)]), rel=1e-12)
    assert estimate(rows(x, y, 5)).value == pytest.approx(got.value, rel=1e-12)
    for shards in (1, 5, 40):
        assert kernel.subset(rows(x, y, shards)).index.tolist() == sorted(chosen)


def test_products_are_computed_once_for_both_estimators_and_every_tokenizer(monkeypatch):
    rows_seen = []

    def counting(left, right):
        rows_seen.append(len(left) * len(right))
        return left @ right.T

    monkeypatch.setattr(kernel, "_BLOCK", 8)
    x = features(20, 8, seed=31)
    y, z = degrade(x, 0.2), degrade(x, 0.4)
    groups = np.arange(20) % 3
    first = kernel.group_sums(x, y, groups, 3, counting)
    # 8 + 8 + 4 rows: six of nine tiles of each symmetric matrix, all of the other.
    half = 8 * 20 + 8 * 12 + 4 * 4
    assert sum(rows_seen) == 2 * half + 400
    assert np.array_equal(kernel.group_sums(x.copy(), y, groups, 3, counting), first)
    assert sum(rows_seen) == 2 * half + 400
    kernel.group_sums(x, z, groups, 3, counting)
    assert sum(rows_seen) == 3 * half + 800
    products = (x @ y.T).astype(float)
    paired = np.trace(products)
    assert first[2].sum() == pytest.approx(products.sum() - paired, rel=1e-5)  # rows are float32 here
    assert first[3].sum() == pytest.approx(paired, rel=1e-5)
    same = (x @ x.T).astype(float)
    np.fill_diagonal(same, 0)
    for one in range(3):
        for other in range(3):
            wanted = same[np.ix_(groups == one, groups == other)].sum()
            assert first[0, one, other] == pytest.approx(wanted, rel=1e-5)
