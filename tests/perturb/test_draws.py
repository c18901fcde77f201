"""Random numbers named by image and cell: stable, independent, of the right distribution."""

from __future__ import annotations

import numpy as np
import pytest

from tokbench.perturb.draws import normal_rows, select, uniform, uniform_rows

COUNT = 20_000


def test_numbers_stay_what_they_are() -> None:
    # Frozen: published results rest on them. SHA-256 and Philox are the same everywhere, so equality is exact.
    assert uniform(0, "image-000", "a=0.5 d=200", "select", 3).tolist() == [
        0.32147053456096897,
        0.427918851740951,
        0.8274413384728225,
    ]


def test_every_part_of_the_name_gives_another_stream() -> None:
    first = uniform(0, "a", "cell", "select", 8)
    assert np.array_equal(first, uniform(0, "a", "cell", "select", 8))
    assert np.array_equal(first[:5], uniform(0, "a", "cell", "select", 5))
    for other in ((1, "a", "cell", "select"), (0, "b", "cell", "select"), (0, "a", "c", "select")):
        assert not np.intersect1d(first, uniform(*other, 8)).size
    assert not np.intersect1d(first, uniform(0, "a", "cell", "rank", 8)).size
    assert not np.intersect1d(uniform(0, "a", "bc", "d", 8), uniform(0, "ab", "c", "d", 8)).size


def test_distributions() -> None:
    flat = uniform_rows(3, ["a", "b"], "c", "p", COUNT)
    assert flat.shape == (2, COUNT)
    assert flat.min() >= 0
    assert flat.max() < 1
    # Five standard errors of the means of 40,000 numbers.
    assert flat.mean() == pytest.approx(0.5, abs=5 * np.sqrt(1 / 12 / 40_000))
    assert (flat**2).mean() == pytest.approx(1 / 3, abs=5 * np.sqrt(4 / 45 / 40_000))
    bell = normal_rows(3, ["a", "b"], "c", "p", COUNT)
    assert bell.mean() == pytest.approx(0, abs=5 / np.sqrt(40_000))
    assert bell.var() == pytest.approx(1, abs=5 * np.sqrt(2 / 40_000))
    assert np.isfinite(bell).all()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.83, 1.0])
def test_selection(alpha: float) -> None:
    draws = uniform_rows(0, ["a", "b", "c"], "cell", "select", 301)
    exact = select(draws, alpha, exact=True)
    assert exact.sum(axis=1).tolist() == [int(alpha * 301 + 0.5)] * 3
    assert all(
        row[chosen].max(initial=0) <= row[~chosen].min(initial=1)
        for row, chosen in zip(draws, exact, strict=True)
    )
    free = select(draws, alpha)
    # Five standard deviations of a binomial of 903 draws.
    assert abs(int(free.sum()) - 903 * alpha) <= 5 * np.sqrt(903 * alpha * (1 - alpha))
    if 0 < alpha < 1:
        assert len(set(free.sum(axis=1).tolist())) > 1
