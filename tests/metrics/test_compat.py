"""Compatibility metrics against the calls that the repositories make, on the same 8-bit images."""

import math
import pickle

import numpy as np
import pytest
import torch
from metric_samples import make_batch, noisy, pictures
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image import PeakSignalNoiseRatio
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from tokbench.metrics import compat
from tokbench.metrics.pooled import PSNR_POOLED, Squares


@pytest.fixture
def dim(pair):
    """Images that do not fill the range of levels, so that an inferred range shows."""
    original = (pair[0].float() * 0.6 + 20).byte()
    return original, noisy(original, 9)


def channels_last(images):
    return images.permute(0, 2, 3, 1).numpy()


def test_ssim_llamagen_is_the_call_of_llamagen(pair):
    original = (transforms.Normalize(0.5, 0.5)(pair[0] / 255).permute(0, 2, 3, 1).numpy() + 1.0) / 2.0
    restored = channels_last(pair[1]).astype(np.float32) / 255.0
    wanted = [
        structural_similarity(y, x, data_range=2.0, channel_axis=-1)
        for x, y in zip(original, restored, strict=True)
    ]
    got = compat.SSIM_LLAMAGEN.measure(make_batch(*pair))
    # scikit-image computes in float32 when fed float32; measured 1e-6.
    assert got == pytest.approx(wanted, abs=5e-6)


def test_ssim_llamagen_is_exact_in_float64_and_too_high(pair):
    x, y = (channels_last(side) / 255.0 for side in pair)
    wanted = [structural_similarity(a, b, data_range=2.0, channel_axis=-1) for a, b in zip(x, y, strict=True)]
    right = [structural_similarity(a, b, data_range=1.0, channel_axis=-1) for a, b in zip(x, y, strict=True)]
    got = compat.SSIM_LLAMAGEN.measure(make_batch(*pair))
    assert got == pytest.approx(wanted, abs=1e-11)
    assert (got > np.array(right) + 0.015).all()


def seed_sides(pair):
    """What SEED-Voken's loop does to a batch, from its data loader to its two float images."""
    for side in pair:
        loaded = (channels_last(side) / 127.5 - 1.0).astype(np.float32)
        tensor = (torch.from_numpy(loaded).permute(0, 3, 1, 2).clamp(-1, 1) + 1) / 2
        truncated = (tensor * 255.0).permute(0, 2, 3, 1).to("cpu", dtype=torch.uint8).numpy()
        yield truncated.astype(np.float32) / 255.0


def test_ssim_and_psnr_seed_are_the_calls_of_seed_voken(pair):
    x, y = seed_sides(pair)
    batch = make_batch(*pair)
    wanted = [structural_similarity(b, a, data_range=1.0, channel_axis=-1) for a, b in zip(x, y, strict=True)]
    # Theirs is float32.
    assert compat.SSIM_SEED.measure(batch) == pytest.approx(wanted, abs=5e-6)
    wanted = [peak_signal_noise_ratio(a, b) for a, b in zip(x, y, strict=True)]
    assert compat.PSNR_SEED.measure(batch) == pytest.approx(wanted, abs=1e-5)


def test_seed_lowers_95_levels():
    """63 if the loader divided in float32; NumPy divides 8-bit arrays in float64."""
    levels = np.array(compat.seed_levels())
    assert set(np.arange(256) - levels) == {0, 1}
    assert (levels != np.arange(256)).sum() == 95


def test_ssim_lightningdit_is_the_call_of_lightningdit(pair):
    x, y = (side / 127.5 - 1 for side in pair)
    wanted = structural_similarity_index_measure(y, x, data_range=(-1.0, 1.0), reduction="none").numpy()
    # Float32 and a float32 window; measured 1e-6.
    assert compat.SSIM_LIGHTNINGDIT.measure(make_batch(*pair)) == pytest.approx(wanted, abs=1e-5)
    exact = structural_similarity_index_measure(
        y.double(), x.double(), data_range=(-1.0, 1.0), reduction="none"
    )
    assert compat.SSIM_LIGHTNINGDIT.measure(make_batch(*pair)) == pytest.approx(exact.numpy(), abs=1e-6)


def vtbench_sides(pair):
    resize = transforms.Compose([transforms.Resize((256, 256)), transforms.ToTensor()])
    return [torch.stack([resize(to_pil_image(image)) for image in side]) for side in pair]


def test_ssim_vtbench_is_its_call_one_image_at_a_time(dim):
    x, y = vtbench_sides(dim)
    wanted = [structural_similarity_index_measure(b[None], a[None]).item() for a, b in zip(x, y, strict=True)]
    assert compat.SSIM_VTBENCH.measure(make_batch(*dim)) == pytest.approx(wanted, abs=1e-5)


def test_psnr_vtbench_pools_and_infers_the_range(dim):
    x, y = vtbench_sides(dim)
    # torchmetrics 1.9 wants a range; before, it took the greatest target seen, and zero as the least.
    metric = PeakSignalNoiseRatio(data_range=x.max().item())
    for start in (0, 2):
        metric.update(y[start : start + 2], x[start : start + 2])
    states = [
        compat.PSNR_VTBENCH.collector.of(make_batch(*(side[part] for side in dim), index=index))
        for part, index in ((slice(0, 1), [0]), (slice(1, 3), [1, 2]))
    ]
    # torchmetrics adds float32 squares.
    assert compat.PSNR_VTBENCH.finish(states).value == pytest.approx(metric.compute().item(), abs=1e-4)


def test_pooled_psnr_is_torchmetrics_and_not_above_the_mean():
    original = pictures(5)
    reconstruction = torch.cat([noisy(original[i : i + 1], 4 * i + 3) for i in range(5)])
    metric = PeakSignalNoiseRatio(data_range=255.0)
    metric.update(reconstruction.double(), original.double())
    got = PSNR_POOLED.finish([PSNR_POOLED.collector.of(make_batch(original, reconstruction))])
    assert got.value == pytest.approx(metric.compute().item(), abs=1e-5)
    each = [
        peak_signal_noise_ratio(x, y, data_range=255)
        for x, y in zip(original.numpy(), reconstruction.numpy(), strict=True)
    ]
    assert got.low < got.value < np.mean(each) - 1
    assert got.value < got.high


def test_pooled_psnr_of_exact_images_and_of_none():
    x = pictures(2)
    exact = PSNR_POOLED.finish([Squares.of(np.arange(2), x, x)])
    assert (exact.value, exact.low, exact.method) == (math.inf, math.inf, "exact")
    assert math.isnan(PSNR_POOLED.finish([]).value)
    one_exact = PSNR_POOLED.finish([Squares.of(np.arange(2), x, torch.cat([x[:1], 255 - x[1:]]))])
    assert math.isfinite(one_exact.value)


def test_squares_are_a_monoid():
    x, y = pictures(4), noisy(pictures(4), 10)
    whole = Squares.of(np.arange(4), x, y)
    parts = [Squares.of(np.array([i]), x[i : i + 1], y[i : i + 1]) for i in (2, 0, 3, 1)]
    merged = sum(parts, Squares.empty())
    assert np.array_equal(merged.table, whole.table)
    assert np.array_equal((whole + whole).table, whole.table)
    assert np.array_equal(Squares.from_arrays(whole.arrays()).table, whole.table)
    with pytest.raises(ValueError, match="two different"):
        whole + Squares.of(np.arange(4), x, x)
    with pytest.raises(ValueError, match="4 columns"):
        Squares.from_arrays({"table": np.zeros((2, 3), np.int64)})


@pytest.mark.parametrize(
    "metric", [compat.SSIM_LLAMAGEN, compat.SSIM_SEED, compat.SSIM_LIGHTNINGDIT, compat.SSIM_VTBENCH]
)
def test_identity_is_one_noise_is_less_and_small_is_nan(metric, pair):
    x = pair[0]
    assert metric.measure(make_batch(x, x)) == pytest.approx(1, abs=1e-12)
    values = np.stack([metric.measure(make_batch(x, noisy(x, level))) for level in (3, 10, 40)])
    assert (np.diff(values, axis=0) < 0).all()
    assert pickle.loads(pickle.dumps(metric)) == metric
    if metric is not compat.SSIM_VTBENCH:
        assert np.isnan(metric.measure(make_batch(*[pictures(1, 5, 40)] * 2))).all()
