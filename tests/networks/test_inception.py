"""Inception must give torch-fidelity's own features, and rFID and KID its own numbers."""

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from tokbench.errors import SetupError
from tokbench.metrics.features import FeatureRows
from tokbench.metrics.frechet import estimate
from tokbench.metrics.kernel import KID, KID_PAIRED, kernel_distance
from tokbench.networks.inception import INCEPTION

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Seeded random weights of the true architecture, scaled so that activations neither die nor explode."""

    class Bare(FeatureExtractorInceptionV3):
        def load_state_dict(self, *args, **kwargs):
            pass

    empty = tmp_path_factory.mktemp("inception") / "empty.pth"
    torch.save({}, empty)
    torch.manual_seed(11)
    model = Bare("x", ["2048"], feature_extractor_weights_path=str(empty))
    for name, value in model.state_dict().items():
        if name.endswith("conv.weight"):
            torch.nn.init.kaiming_normal_(value)
    path = empty.with_name("inception.pth")
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def network(weights):
    return INCEPTION.load({"inception": weights}, CPU)


@pytest.fixture(scope="module")
def package(weights):
    return FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
    )


def test_features_are_those_of_torch_fidelity(network, package, images):
    with torch.inference_mode():
        wanted = package(images[0])[0]
    got = network(images[0]).pooled
    assert got.shape == (3, INCEPTION.width)
    assert wanted.std() > 1e-3
    # float32, another memory layout and batch size.
    assert got.numpy() == pytest.approx(wanted.numpy(), rel=1e-4, abs=1e-5 * wanted.abs().max().item())


def test_features_depend_on_the_image_alone(network, images):
    together = network(images[0])
    alone = network(images[0][1:2])
    assert torch.equal(alone.pooled[0], together.pooled[1])
    assert torch.equal(alone.spatial[0], together.spatial[1])


def test_spatial_features_are_of_the_fourth_17x17_block(network, package, images):
    """TensorFlow's graph numbers its blocks from ``mixed``: ``mixed_6`` is the seventh, torch-fidelity's Mixed_6d."""
    seen = []
    package.Mixed_6c.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        package(images[0])
        branch = package.Mixed_6d.branch1x1
        wanted = torch.relu(branch.bn(branch.conv(seen[0])))[:, :7]
    got = network(images[0]).spatial
    assert got.shape == (3, 2023)
    assert wanted.std() > 1e-4
    assert got.numpy() == pytest.approx(
        wanted.flatten(1).numpy(), rel=1e-4, abs=1e-5 * wanted.abs().max().item()
    )


def test_spatial_features_of_several_threads_do_not_mix(network, images):
    torch.set_num_threads(2)
    together = network(torch.cat(images)).spatial
    torch.set_num_threads(1)
    assert torch.equal(together, network(torch.cat(images)).spatial)


def test_rfid_of_images_is_torch_fidelitys(network, package, images):
    """End to end on three images: few rows of many features, where eigenvalues of the product are mostly rounding."""
    features = [network(side).pooled.numpy() for side in images]
    with torch.inference_mode():
        wanted = _low_rank_fid(*(package(side)[0].double().numpy() for side in images))
    got = estimate([FeatureRows.of(np.arange(3), *features)])
    assert wanted > 0
    # Float32 features that differ in their last bits; measured 7e-7 at 256×256.
    assert got.value == pytest.approx(wanted, rel=1e-5)
    assert got.reason == "n = 3 below 2 × 2,048"
    assert not got.reliable


def _low_rank_fid(x, y):
    u, v = x - x.mean(0), y - y.mean(0)
    norm = np.linalg.norm(u @ v.T, "nuc")
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + ((u**2).sum() + (v**2).sum() - 2 * norm) / (len(x) - 1)


def test_rfid_and_kid_of_images_from_end_to_end(network, package):
    """The same uint8 images and weights on both sides. With fewer images than features torch-fidelity's own root of the
    covariances' product is rounded at 1e-6, so its features meet the exact trace here; the test below holds the roots
    against each other where both are exact."""
    n = 12
    coarse = torch.rand(n, 3, 12, 12, generator=torch.Generator().manual_seed(3))
    originals = torch.nn.functional.interpolate(coarse, (96, 96), mode="bicubic").clamp(0, 1).mul(255).byte()
    noise = torch.randn(originals.shape, generator=torch.Generator().manual_seed(4))
    reconstructions = (originals + 12 * noise).round().clamp(0, 255).byte()
    sides = originals, reconstructions
    rows = [FeatureRows.of(np.arange(n), *(network(side).pooled.numpy() for side in sides))]
    with torch.inference_mode():
        theirs = [package(side)[0].double() for side in sides]
    assert estimate(rows).value == pytest.approx(_low_rank_fid(*(side.numpy() for side in theirs)), rel=1e-6)
    settings = {"kid_subsets": 1, "kid_subset_size": n, "kid_kernel": "poly", "kid_kernel_poly_degree": 3}
    wanted = kid_features_to_metric(
        *theirs, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0, rng_seed=1, verbose=False, **settings
    )["kernel_inception_distance_mean"]
    assert KID.finish(rows).value == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("n", "width"), [(400, 48), (3000, 96)])
def test_frechet_distance_is_torch_fidelitys(n, width):
    random = np.random.default_rng(5)
    x = random.gamma(1.0, 1.0, (n, width)).astype(np.float32)
    y = (x + 0.3 * random.normal(size=x.shape) + 0.1).astype(np.float32)
    wanted = fid_statistics_to_metric(
        *(fid_features_to_statistics(torch.from_numpy(side).double()) for side in (x, y)), False
    )["frechet_inception_distance"]
    got = estimate([FeatureRows.of(np.arange(n), x, y)])
    # Their root is of the product's eigenvalues, which rounds at 1e-7 of the largest.
    assert got.value == pytest.approx(wanted, rel=1e-6)
    assert got.low < got.value < got.high


def test_kernel_distance_is_torch_fidelitys():
    random = np.random.default_rng(6)
    x = random.gamma(1.0, 1.0, (300, 64))
    y = random.gamma(1.1, 1.0, (300, 64))
    wanted = kid_features_to_metric(
        torch.from_numpy(x),
        torch.from_numpy(y),
        kid_subsets=1,
        kid_subset_size=300,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1.0,
        rng_seed=1,
        verbose=False,
    )["kernel_inception_distance_mean"]
    assert kernel_distance(x, y, paired=False) == pytest.approx(wanted, rel=1e-10)
    rows = [FeatureRows.of(np.arange(300), x.astype(np.float32), y.astype(np.float32))]
    # The metric holds features as float32, as networks give them.
    assert KID.finish(rows).value == pytest.approx(wanted, rel=1e-6)
    assert KID_PAIRED.finish(rows).value == pytest.approx(kernel_distance(x, y), rel=1e-6)


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(SetupError, match="not those of torch-fidelity"):
        INCEPTION.load({"inception": path}, CPU)
