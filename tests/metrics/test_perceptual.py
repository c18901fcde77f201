import numpy as np
import pytest
import torch
from metric_samples import make_batch, noisy, pictures

from tokbench.metrics.perceptual import FEAT_LITE0, distance
from tokbench.networks.base import Features
from tokbench.networks.lite0 import LITE0
from tokbench.weights import resolve


def test_distance_follows_the_rule_of_the_maps():
    random = torch.Generator().manual_seed(0)
    shapes = [(4, 3, 5, 7), (4, 2, 2, 1)]
    a, b = (Features(maps=tuple(torch.rand(shape, generator=random) for shape in shapes)) for _ in "ab")
    wanted = sum(
        ((x.double() - y.double()) ** 2).sum(1).mean((1, 2)) for x, y in zip(a.maps, b.maps, strict=True)
    )
    # Squares are taken in float32.
    assert distance(a, b) == pytest.approx(wanted.numpy(), rel=1e-6)
    assert distance(a, b).dtype == np.float64
    assert (distance(a, a) == 0).all()


def test_identity_is_perfect_and_noise_makes_worse():
    network = LITE0.load({"lite0": resolve(LITE0.weights[0], {})}, torch.device("cpu"))
    x = pictures(2, 64, 64)

    def measure(y):
        return FEAT_LITE0.measure(make_batch(x, y, features=lambda name: (network(x), network(y))))

    assert (measure(x) == 0).all()
    values = np.stack([measure(noisy(x, level)) for level in (3, 12, 50)])
    assert (np.diff(values, axis=0) > 0).all()
    assert FEAT_LITE0.network == "lite0"
