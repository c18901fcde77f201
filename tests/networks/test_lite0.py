"""The embedded network: the package's features, whatever else is in the batch."""

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from tokbench.errors import SetupError
from tokbench.metrics.perceptual import distance
from tokbench.networks.base import Features
from tokbench.networks.each import each_image
from tokbench.networks.lite0 import LITE0
from tokbench.weights import load_state_dict, resolve

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def path():
    return resolve(LITE0.weights[0], {})


@pytest.fixture(scope="module")
def network(path):
    return LITE0.load({"lite0": path}, CPU)


@pytest.fixture(scope="module")
def package(path):
    model = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    model.load_state_dict(load_state_dict(path))
    return model.eval()


def test_pooled_features_are_those_of_the_package(network, package, images):
    with torch.inference_mode():
        wanted = package.extract_features((images[0].float() - 127) / 128).mean((2, 3))
    got = network(images[0]).pooled
    assert got.shape == (3, LITE0.width)
    assert wanted.abs().max() > 1
    # Folding the normalisation into the convolutions rounds once more; features reach about 5.
    assert got.numpy() == pytest.approx(wanted.numpy(), abs=5e-5)


@pytest.mark.parametrize("size", [(65, 66), (94, 71), (33, 127)])
def test_padding_of_odd_sides_is_the_packages(network, package, size):
    """Sides odd and even at every stride, in both directions."""
    picture = torch.randint(
        0, 256, (1, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(2)
    )
    with torch.inference_mode():
        wanted = package.extract_features((picture.float() - 127) / 128).mean((2, 3))
    # As above.
    assert network(picture).pooled.numpy() == pytest.approx(wanted.numpy(), abs=5e-5)


def test_logits_are_those_of_the_package(network, package, images):
    with torch.inference_mode():
        wanted = package((images[0].float() - 127) / 128)
    # Folding the normalisation into the convolutions rounds once more; logits reach about 10.
    assert network(images[0]).logits.numpy() == pytest.approx(wanted.numpy(), abs=2e-4)


def test_some_of_the_features_can_be_picked(network, images):
    whole = network(images[0])
    part = whole.select(torch.tensor([2, 0]))
    assert torch.equal(part.logits, whole.logits[[2, 0]])
    assert torch.equal(part.maps[3], whole.maps[3][[2, 0]])
    assert part.spatial is None


def test_features_depend_on_the_image_alone(network, images):
    together = network(torch.cat(images))
    for position, image in enumerate(torch.cat(images)):
        alone = network(image[None])
        assert torch.equal(alone.pooled[0], together.pooled[position])
        assert all(torch.equal(a[0], b[position]) for a, b in zip(alone.maps, together.maps, strict=True))


def test_features_do_not_depend_on_the_thread_count(network, images):
    one = network(images[0])
    torch.set_num_threads(2)
    two = network(images[0])
    assert torch.get_num_threads() == 2
    assert torch.equal(one.pooled, two.pooled)
    assert all(torch.equal(a, b) for a, b in zip(one.maps, two.maps, strict=True))


def test_an_error_in_one_image_is_not_lost():
    def look(image):
        if image.max() == 9:
            raise ValueError("this one")
        return Features(pooled=torch.ones(1, 2))

    torch.set_num_threads(2)
    images = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    assert each_image(images, look).pooled.shape == (4, 2)
    images[2] = 9
    with pytest.raises(ValueError, match="this one"):
        each_image(images, look)


def test_maps_are_unit_vectors_at_five_strides(network, images):
    maps = network(images[0]).maps
    assert [tuple(layer.shape[1:]) for layer in maps] == [
        (16, 48, 40),
        (24, 24, 20),
        (40, 12, 10),
        (112, 6, 5),
        (320, 3, 3),
    ]
    for layer in maps:
        assert layer.square().sum(1).numpy() == pytest.approx(1 / 5, rel=1e-5)


def test_distance_is_the_average_over_stages_of_squared_cosine_distance(network, images):
    one, other = network(images[0]), network(images[1])
    stages = [
        (2 - 2 * torch.nn.functional.cosine_similarity(a.double(), b.double())).mean((1, 2)).numpy()
        for a, b in zip(one.maps, other.maps, strict=True)
    ]
    assert distance(one, other) == pytest.approx(np.mean(stages, 0), rel=1e-5)


@pytest.mark.parametrize("size", [(31, 64), (8, 8), (1, 200)])
def test_small_images_are_enlarged(network, size):
    features = network(torch.full((2, 3, *size), 90, dtype=torch.uint8))
    assert features.pooled.shape == (2, 1280)
    assert torch.isfinite(features.pooled).all()


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(SetupError, match="not those of EfficientNet-Lite0"):
        LITE0.load({"lite0": path}, CPU)
