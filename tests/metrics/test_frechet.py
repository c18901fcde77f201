import dataclasses
import errno
import math
import weakref

import numpy as np
import pytest
from metric_samples import degrade, features, rows
from scipy import linalg

from tokbench.errors import StorageError
from tokbench.metrics import kernel, spool
from tokbench.metrics.features import FeatureRows
from tokbench.metrics.frechet import estimate, frechet_distance
from tokbench.metrics.moments import Moments


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


@pytest.mark.parametrize("n", [50, 300])
def test_the_order_of_states_changes_no_bit(n):
    x = features(n, 64)
    parts = rows(x, degrade(x, 0.5), 7)
    shuffled = [parts[place] for place in (3, 0, 6, 1, 5, 2, 4)]
    assert estimate(shuffled) == estimate(parts)


def test_an_image_in_two_states_is_refused():
    x = features(4, 8)
    with pytest.raises(ValueError, match="same image"):
        estimate(rows(x, x, 1) * 2)


def test_moments_add_and_subtract():
    x = features(30, 5)
    a, b = Moments.of(x[:12]), Moments.of(x[12:])
    whole = Moments.of(x)
    for got in (a + b, b + a, Moments.of(x[:7], x[7:])):
        assert got.n == 30
        assert got.outer == pytest.approx(np.tril(whole.outer), rel=1e-12, abs=1e-12)
    wanted = np.cov(x[:12].astype(float), rowvar=False)
    assert (whole - b).covariance() == pytest.approx(np.tril(wanted), abs=1e-12)
    assert (whole - b).variance == pytest.approx(np.trace(wanted), rel=1e-12)


def sampled(case):
    """Originals and reconstructions whose covariances are regular or singular in several ways."""
    n, width = (40, 24) if case != "few" else (15, 24)
    x = np.random.default_rng(4).normal(size=(n, width)).astype(np.float32)
    y = degrade(x, 0.6)
    if case == "dead":
        x[:, 3:9] = 0
        y[:, 5:11] = 0
    if case == "constant":
        x[:, 2], y[:, 2] = 5.3, 5.3
        x[:, 7] = y[:, 7] = 0.1
    if case == "twins":
        x[:, 1::2], y[:, 1::2] = x[:, ::2], y[:, ::2]
    return x, y


def symmetric_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    values[values < 1e-13 * values[-1]] = 0  # rounding of zeros, of either sign
    return vectors * np.sqrt(values) @ vectors.T


@pytest.mark.parametrize("case", ["regular", "dead", "constant", "twins", "few"])
def test_value_and_replicates_against_matrix_roots(case):
    x, y = sampled(case)

    def wanted(keep):
        a, b = x[keep].astype(float), y[keep].astype(float)
        s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
        if case == "regular":
            cross = np.trace(linalg.sqrtm(s @ t).real)
        else:  # no matrix function of a singular product keeps its digits, but symmetric roots exist
            cross = np.linalg.svd(symmetric_root(s) @ symmetric_root(t), compute_uv=False).sum()
        return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t) - 2 * cross

    got = estimate(rows(x, y))
    assert got.value == pytest.approx(wanted(slice(None)), rel=1e-11)
    groups = np.arange(len(x)) % 20
    assert len(got.replicates) == len(set(groups))
    for group, replicate in enumerate(got.replicates):
        # Singular values below 1e-8 of the largest are lost, in a singular problem some of them.
        assert replicate == pytest.approx(wanted(groups != group), rel=1e-7)


class Counted:
    """States that are made anew whenever one is asked for, as the shards of a run are."""

    def __init__(self, parts):
        self.parts = parts
        self.reads = [0] * len(parts)
        self.alive = 0
        self.most = 0

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, position):
        if position >= len(self.parts):
            raise IndexError(position)
        self.reads[position] += 1
        state = dataclasses.replace(self.parts[position])
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(state, self._drop)
        return state

    def _drop(self):
        self.alive -= 1


@pytest.mark.parametrize("width", [8, 128])
def test_each_state_is_read_once_and_dropped(width):
    x = features(120, width)
    parts = rows(x, degrade(x, 0.3), 6)
    states = Counted(parts)
    assert estimate(states) == estimate(parts)
    assert states.reads == [1] * 6
    assert states.most <= 2
    states = Counted(parts)
    kernel.estimate(states)
    assert states.reads == [1] * 6


def test_rows_beyond_memory_lie_on_disk(monkeypatch):
    x = features(120, 8)
    parts = rows(x, degrade(x, 0.3), 4)
    wanted = estimate(parts)
    monkeypatch.setattr(spool, "IN_MEMORY", 1000)
    assert estimate(parts) == wanted
    few = rows(features(90, 100), features(90, 100, 3), 4)
    assert estimate(few).value > 0


def test_blocks_are_the_rows_by_group():
    x = features(70, 5)
    y = degrade(x, 0.2)
    parts = [FeatureRows.of(np.arange(a, b), x[a:b], y[a:b]) for a, b in ((30, 70), (0, 30))]
    with spool.Spool(parts) as held:
        assert sorted(held.index) == list(range(70))
        for side, rows_of in (("reference", x), ("reconstruction", y)):
            for size in (1, 3, 1000):
                got = np.concatenate([block.copy() for block in held.blocks(side, 7, size)])
                assert np.array_equal(got, rows_of[7::20])
                got = np.concatenate([block.copy() for block in held.blocks(side, None, size)])
                assert np.array_equal(got, rows_of[held.index])
        whole = held.rows()
        assert np.array_equal(whole.reconstruction, y)


def test_moments_of_the_originals_are_shared(monkeypatch):
    """The next tokenizer needs the originals' rows for the replicates, not for their covariance and its root."""
    asked = []
    blocks = spool.Spool.blocks

    def counting(self, side, group=None, rows=1024):
        asked.append((side, group))
        return blocks(self, side, group, rows)

    monkeypatch.setattr(spool.Spool, "blocks", counting)
    x = features(200, 8, seed=77)
    first = estimate(rows(x, degrade(x, 0.3)))
    again = [("reference", group) for group in range(20)] + [("reconstruction", group) for group in range(20)]
    assert sorted(asked, key=str) == sorted([("reference", None), ("reconstruction", None), *again], key=str)
    asked.clear()
    assert estimate(rows(x, degrade(x, 0.4), 3)).value > first.value
    assert sorted(asked, key=str) == sorted([("reconstruction", None), *again], key=str)
    asked.clear()
    estimate(rows(degrade(x, 0.1), degrade(x, 0.4)))
    assert ("reference", None) in asked


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("width", [8, 128])
def test_features_that_are_not_finite_give_no_number(bad, width):
    x = features(100, width)
    y = degrade(x, 0.3)
    y[5, 2] = bad
    got = estimate(rows(x, y))
    assert math.isnan(got.value)
    assert got.reason == "a feature is NaN or infinite"


def test_a_full_disk_is_named(monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile.write", full)
    x = features(30, 8)
    with pytest.raises(StorageError, match="temporary folder"):
        estimate(rows(x, x))


def test_widths_must_agree():
    with pytest.raises(ValueError, match="widths 8 and 9"):
        estimate(
            [*rows(features(4, 8), features(4, 8), 1), FeatureRows.of(np.array([9]), *np.ones((2, 1, 9)))]
        )
