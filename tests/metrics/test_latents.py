import math

import numpy as np
import pytest
import torch
from metric_samples import make_batch
from scipy import stats

from tokbench.metrics.latents import (
    EFFECTIVE_DIMENSION,
    KEPT,
    KURTOSIS,
    LATENT_MEAN,
    LATENT_STD,
    LatentVectors,
    channel_deviations,
    channel_means,
    effective_dimension,
    kurtosis,
)
from tokbench.tokenizer import Codes, TokenSpec

VAE = TokenSpec("vae", "continuous")
EVERY = (LATENT_MEAN, LATENT_STD, EFFECTIVE_DIMENSION, KURTOSIS)


def state(latents, index=None):
    picture = torch.zeros(len(latents), 3, 8, 8, dtype=torch.uint8)
    return LatentVectors.of(make_batch(picture, picture, index=index, spec=VAE, codes=Codes(latents=latents)))


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.arrays().values(), b.arrays().values(), strict=True))


def test_states_are_a_commutative_monoid():
    latents = torch.randn(6, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    a, b, c = (state(latents[i::3], index=np.arange(6)[i::3]) for i in range(3))
    assert same(a + b, b + a)
    assert same((a + b) + c, a + (b + c))
    assert same(a + LatentVectors.empty(), a)
    assert same(LatentVectors.from_arrays((a + b + c).arrays()), state(latents))
    with pytest.raises(ValueError, match="one image"):
        a + a
    with pytest.raises(ValueError, match="channels"):
        a + state(torch.zeros(1, 9, 2, 2), index=[50])
    with pytest.raises(ValueError, match="need index"):
        LatentVectors.from_arrays({})
    with pytest.raises(ValueError, match="fit together"):
        LatentVectors.from_arrays(a.arrays() | {"index": a.index[1:]})


def test_channels_are_where_they_should_be():
    images = torch.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    assert state(images).vectors.tolist() == images.permute(0, 2, 3, 1).reshape(8, 3).tolist()
    tokens = torch.arange(2 * 4 * 3.0).reshape(2, 4, 3)
    assert state(tokens).vectors.tolist() == tokens.reshape(8, 3).tolist()
    many = state(torch.randn(2, 16, 32, 32))
    assert many.vectors.shape == (2 * KEPT // 16, 16)
    assert state(torch.randn(1, 5000)).vectors.shape == (1, 5000)


def test_statistics_are_those_of_numpy_and_scipy():
    x = np.random.default_rng(1).laplace(2, 3, (4000, 5)) @ np.diag([1, 2, 3, 4, 5.0])
    assert channel_means(x) == pytest.approx(x.mean(0))
    assert channel_deviations(x) == pytest.approx(x.std(0))
    assert kurtosis(x) == pytest.approx(stats.kurtosis(x, axis=0).mean(), rel=1e-10)
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T))
    wanted = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    assert effective_dimension(x) == pytest.approx(wanted, rel=1e-10)


def test_closed_forms():
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1.0]])
    assert effective_dimension(corners) == pytest.approx(2)
    assert effective_dimension(corners * [1, 0]) == pytest.approx(1)
    assert kurtosis(corners) == pytest.approx(-2)  # two equal peaks: the least possible
    assert math.isnan(effective_dimension(np.ones((4, 2))))
    assert math.isnan(kurtosis(np.ones((4, 2))))


def test_estimates_do_not_depend_on_shards():
    latents = torch.randn(40, 8, 4, 4, generator=torch.Generator().manual_seed(2)) * 2 + 1
    parts = [state(latents[i::3], index=np.arange(40)[i::3]) for i in range(3)]
    for metric in EVERY:
        found = metric.finish(parts)
        assert found == metric.finish([state(latents)])
        assert found.low < found.value < found.high
        assert found.reason == "640 vectors of 8 channels"
    # 640 vectors: standard errors are about 0.08 (mean) and 0.06 (deviation) of a channel, less over eight.
    assert LATENT_MEAN.finish(parts).value == pytest.approx(1, abs=0.1)
    assert LATENT_STD.finish(parts).value == pytest.approx(2, abs=0.1)
    assert 7.5 < EFFECTIVE_DIMENSION.finish(parts).value <= 8
    assert abs(KURTOSIS.finish(parts).value) < 0.3


def test_without_latents_there_is_a_reason():
    for metric in EVERY:
        assert metric.applies(VAE) == ""
        assert metric.applies(TokenSpec("x", "codec")) == "needs continuous latents"
        assert math.isnan(metric.finish([LatentVectors.empty()]).value)
    assert "do not vary" in KURTOSIS.finish([state(torch.ones(3, 2, 4, 4))]).reason
    with pytest.raises(ValueError, match="no continuous latents"):
        LatentVectors.of(make_batch(*[torch.zeros(1, 3, 4, 4, dtype=torch.uint8)] * 2))
