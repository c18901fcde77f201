import math

import numpy as np
import pytest
from metric_samples import degrade, features, rows
from scipy import linalg

from tokbench.metrics.features import FeatureRows
from tokbench.metrics.frechet import Moments, estimate, frechet_distance


def moments_with(mean, covariance, n=50):
    """Moments of rows that have exactly this mean and covariance."""
    mean, covariance = np.asarray(mean, float), np.asarray(covariance, float)
    return Moments(n, n * mean, (n - 1) * covariance + n * np.outer(mean, mean))


def test_closed_forms():
    a = moments_with([1.0, 2.0], np.diag([4.0, 9.0]))
    b = moments_with([1.5, 2.0], np.diag([1.0, 16.0]))
    # Commuting covariances: the squared difference of the standard deviations.
    assert frechet_distance(a, b) == pytest.approx(0.25 + 1 + 1, rel=1e-12)
    point = moments_with([0.0, 0.0], np.zeros((2, 2)))
    assert frechet_distance(a, point) == pytest.approx(5 + 13, rel=1e-12)


def test_general_covariances_against_a_matrix_root():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(80, 6)) @ random.normal(size=(6, 6)), random.normal(size=(80, 6)) + 0.3
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    wanted = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s + t - 2 * linalg.sqrtm(s @ t).real)
    got = frechet_distance(Moments.of(x), Moments.of(y))
    assert got == pytest.approx(wanted, rel=1e-10)
    assert frechet_distance(Moments.of(y), Moments.of(x)) == pytest.approx(got, rel=1e-12)
    assert frechet_distance(Moments.of(x), Moments.of(y), quick=True) == pytest.approx(got, rel=1e-9)


@pytest.mark.parametrize("n", [40, 41, 400])
def test_few_rows_and_many_rows_agree(n):
    """Moments serve any n; few rows go another way, through their products with each other."""
    x = features(n, 40)
    y = degrade(x, 0.4)
    wanted = frechet_distance(Moments.of(x), Moments.of(y))
    assert estimate(rows(x, y)).value == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("n", "width"), [(30, 64), (500, 64)])
def test_the_interval_is_the_delete_one_group_jackknife(n, width):
    x = features(n, width)
    y = degrade(x, 0.5)
    got = estimate(rows(x, y))
    index = np.arange(n)
    left_out = [
        frechet_distance(Moments.of(x[index % 20 != g]), Moments.of(y[index % 20 != g])) for g in range(20)
    ]
    spread = math.sqrt(19 / 20 * sum((value - np.mean(left_out)) ** 2 for value in left_out))
    # 2.093 is the 97.5 % point of Student's t with 19 degrees (printed tables); replicates are the quick kind.
    assert got.high - got.value == pytest.approx(2.0930 * spread, rel=1e-4)
    assert got.method == "jackknife-20"


@pytest.mark.parametrize(("n", "width"), [(5, 64), (30, 64), (200, 64)])
def test_identity_is_zero_exactly_known(n, width):
    x = features(n, width)
    got = estimate(rows(x, x))
    assert 0 <= got.value < 1e-9
    assert (got.low, got.high, got.method) == (got.value, got.value, "exact")


@pytest.mark.parametrize("n", [30, 300])
def test_noise_makes_worse(n):
    x = features(n, 64)
    values = [estimate(rows(x, degrade(x, level))).value for level in (0.01, 0.1, 0.5, 2.0)]
    assert values == sorted(values)
    assert values[0] > 0


def test_too_few_images():
    x = features(1, 8)
    assert math.isnan(estimate(rows(x, x, 1)).value)
    assert "at least 2" in estimate([]).reason
    few = estimate(rows(features(15, 8), features(15, 8, 3)))
    assert not few.reliable
    assert few.reason == "n = 15 below 2 × 8"
    enough = estimate(rows(features(16, 8), features(16, 8, 3)))
    assert enough.reliable
    assert enough.reason == ""


@pytest.mark.parametrize("n", [50, 300])
def test_sharding_does_not_matter(n):
    x = features(n, 64)
    y = degrade(x, 0.5)
    whole, parts = estimate(rows(x, y, 1)), estimate([*rows(x, y, 7), FeatureRows.empty()])
    assert parts.value == pytest.approx(whole.value, rel=1e-11)
    assert parts.low == pytest.approx(whole.low, rel=1e-9)


def test_an_image_in_two_states_is_refused():
    x = features(4, 8)
    with pytest.raises(ValueError, match="same image"):
        estimate(rows(x, x, 1) * 2)


def test_moments_add_and_subtract():
    x = features(30, 5)
    a, b = Moments.of(x[:12]), Moments.of(x[12:])
    whole = Moments.of(x)
    for got in (a + b, b + a, Moments.empty(5) + whole):
        assert got.n == 30
        assert got.outer == pytest.approx(whole.outer, rel=1e-12, abs=1e-12)
    assert (whole - b).covariance() == pytest.approx(np.cov(x[:12].astype(float), rowvar=False), abs=1e-12)


def test_states_are_read_again_not_kept():
    """With many images each state may be loaded when it is asked for, and dropped."""
    x = features(120, 8)
    parts = rows(x, degrade(x, 0.3), 4)

    class Lazy:
        reads = 0

        def __len__(self):
            return len(parts)

        def __getitem__(self, position):
            if position >= len(parts):
                raise IndexError(position)
            Lazy.reads += 1
            return parts[position]

    assert estimate(Lazy()).value == pytest.approx(estimate(parts).value, rel=1e-12)
    assert Lazy.reads > 4 * 20
