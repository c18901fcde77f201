"""DISTS must be torchmetrics' own number, from the same files and without its downloads."""

from types import SimpleNamespace

import pytest
import torch
import torchmetrics.functional.image.dists as package
import torchvision

from tokbench.errors import SetupError
from tokbench.networks.dists import DISTS, HEAD
from tokbench.weights import resolve

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trunk():
    torch.manual_seed(6)
    return torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])


@pytest.fixture(scope="module")
def network(trunk, tmp_path_factory):
    path = tmp_path_factory.mktemp("dists") / "vgg16.pth"
    torch.save({f"features.{name}": value for name, value in trunk.state_dict().items()}, path)
    return DISTS.load({"vgg16": path, "dists-head": resolve(HEAD, {})}, CPU)


def test_equals_torchmetrics(network, trunk, images, monkeypatch):
    # The package builds its trunk through this name; handing it ours keeps its own code in charge of the rest.
    monkeypatch.setattr(package, "vgg16", lambda **_: SimpleNamespace(features=trunk))
    theirs = package.DISTSNetwork()
    x, y = images
    with torch.inference_mode():
        wanted = theirs(y / 255, x / 255).double().numpy()
    got = network.distance(network(x), network(y)).numpy()
    assert wanted.min() > 1e-3
    # Float32 there, moments included; the distance is what is left of 1.
    assert got == pytest.approx(wanted, abs=1e-5)


def test_equal_images_are_at_zero_and_alone_is_the_same(network, images):
    x, y = images
    assert network.distance(network(x), network(x)).numpy() == pytest.approx(0, abs=1e-12)
    together = network.distance(network(x), network(y))
    assert network.distance(network(x[1:2]), network(y[1:2]))[0] == together[1]


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(SetupError, match="have no 'features"):
        DISTS.load({"vgg16": path, "dists-head": path}, CPU)
