import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from metric_samples import make_batch, noisy, pictures
from scipy.ndimage import binary_dilation
from scipy.signal import convolve2d

from tokbench.images.preprocess import prepare
from tokbench.images.truth import place_truth
from tokbench.metrics.gradient import EDGE_F1, GMSD, edge_f1, gmsd
from tokbench.metrics.luma import luma
from tokbench.metrics.region import (
    DRAWING_PSNR,
    INK_PSNR,
    PATTERN_PSNR,
    REGION_PSNR,
    TEXTURE_PSNR,
    inside,
    masked_psnr,
)
from tokbench.metrics.spectrum import BAND_1, BAND_2, BAND_3, BAND_4, DETAIL_LOSS, band_energies
from tokbench.metrics.texture import TEXTURE_LITE0, gram_distance
from tokbench.networks.base import Features
from tokbench.protocol import get_protocol

BANDS = (BAND_1, BAND_2, BAND_3, BAND_4)


def grating(frequency, amplitude, side=128):
    """A horizontal cosine around grey, uint8 ``[1, 3, side, side]``."""
    wave = 127.5 + amplitude * np.cos(2 * np.pi * frequency * np.arange(side))
    return torch.from_numpy(np.broadcast_to(np.round(wave), (1, 3, side, side)).astype(np.uint8))


def blurred(images):
    return torch.nn.functional.avg_pool2d(images.float(), 3, stride=1, padding=1).round().byte()


def test_luma_by_hand():
    image = torch.tensor([10, 20, 40], dtype=torch.uint8).reshape(1, 3, 1, 1)
    assert float(luma(image)) == pytest.approx(2.99 + 11.74 + 4.56, abs=1e-12)


def test_white_noise_has_its_variance_in_every_band():
    noise = np.random.default_rng(0).normal(128, 20, (4, 1, 256, 256))
    images = torch.from_numpy(noise.round().clip(0, 255).astype(np.uint8)).expand(4, 3, 256, 256)
    # The lowest band averages about 600 coefficients in each of four images: 400 within 10 %.
    assert band_energies(images).mean(0) == pytest.approx(np.full(4, 400.0), rel=0.1)


@pytest.mark.parametrize(("frequency", "band"), [(3 / 64, 0), (3 / 32, 1), (3 / 16, 2), (3 / 8, 3)])
def test_a_grating_lies_in_its_octave(frequency, band):
    energies = band_energies(grating(frequency, 100))[0]
    assert energies.argmax() == band
    # A Hann window's side lobes fall fast; what is left elsewhere is rounding to whole levels.
    assert np.delete(energies, band).max() < energies[band] / 1000


@pytest.mark.parametrize("metric", BANDS, ids=lambda metric: metric.name)
def test_halving_an_amplitude_is_six_decibels(metric):
    frequency = (3 / 64, 3 / 32, 3 / 16, 3 / 8)[BANDS.index(metric)]
    batch = make_batch(grating(frequency, 100), grating(frequency, 50))
    # 8-bit rounding noise is 1/12 on both sides and worth below 0.02 dB at these energies.
    assert metric.measure(batch) == pytest.approx(20 * math.log10(2), abs=0.05)


def test_band_energy_is_that_of_a_plain_fourier_sum():
    images = pictures(1, 64, 70)
    plane = luma(images)[0].numpy()
    window = np.outer(*(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side) for side in plane.shape))
    power = np.abs(np.fft.fft2((plane - plane.mean()) * window)) ** 2 / (window**2).sum()
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(70), indexing="ij"))
    edges = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 2]
    wanted = [power[(radius > low) & (radius <= high)].mean() for low, high in pairwise(edges)]
    assert band_energies(images)[0] == pytest.approx(wanted, rel=1e-9)  # two FFT libraries in float64


def test_loss_counts_what_is_missing_and_bands_what_is_added_too():
    sharp = noisy(pictures(2), 20)
    soft = blurred(sharp)
    lost, added = make_batch(sharp, soft), make_batch(soft, sharp)
    assert (DETAIL_LOSS.measure(lost) > 3).all()
    assert DETAIL_LOSS.measure(lost) == pytest.approx(BAND_4.measure(lost), rel=1e-12)
    assert DETAIL_LOSS.measure(added).tolist() == [0, 0]
    assert BAND_4.measure(added) == pytest.approx(BAND_4.measure(lost), rel=1e-12)


def test_nothing_turned_into_nothing_is_no_deviation():
    grey = torch.full((1, 3, 64, 64), 100, dtype=torch.uint8)
    batch = make_batch(grey, grey + 9)
    assert [metric.measure(batch)[0] for metric in (*BANDS, DETAIL_LOSS)] == pytest.approx([0] * 5, abs=1e-9)


def test_small_images_have_no_spectrum_and_no_gradients():
    tiny = make_batch(pictures(2, 7, 200), pictures(2, 7, 200))
    for metric in (*BANDS, DETAIL_LOSS, GMSD, EDGE_F1):
        assert np.isnan(metric.measure(tiny)).all()
    assert np.isnan(BAND_4.measure(make_batch(pictures(1, 63, 90), pictures(1, 63, 90)))).all()


def reference_gmsd(original, reconstruction):
    """Xue's MATLAB, line by line, with scipy."""
    kernel = np.array([[1, 0, -1]] * 3) / 3
    maps = []
    for image in (original, reconstruction):
        y = np.tensordot((0.299, 0.587, 0.114), image.numpy().astype(float), 1)
        # conv2(..., "same") of a kernel of two keeps the sample below and right.
        y = convolve2d(y, np.full((2, 2), 0.25), "full")[1:, 1:][::2, ::2]
        maps.append(np.hypot(convolve2d(y, kernel, "same"), convolve2d(y, kernel.T, "same")))
    quality = (2 * maps[0] * maps[1] + 170) / (maps[0] ** 2 + maps[1] ** 2 + 170)
    return quality.std()


@pytest.mark.parametrize("size", [(96, 80), (97, 81), (64, 33)])
def test_gmsd_is_that_of_the_paper(size):
    original = pictures(2, *size)
    worse = noisy(original, 15)
    wanted = [reference_gmsd(x, y) for x, y in zip(original, worse, strict=True)]
    assert gmsd(original, worse) == pytest.approx(wanted, rel=1e-10)  # float64 sums in another order
    assert gmsd(original, original).tolist() == [0, 0]


def reference_edges(image):
    y = np.tensordot((0.299, 0.587, 0.114), image.numpy().astype(float), 1)
    sobel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    across, down = convolve2d(y, sobel, "valid"), convolve2d(y, sobel.T, "valid")
    strength = np.hypot(across, down) / 8
    found = np.zeros(strength.shape, bool)
    for i in range(1, strength.shape[0] - 1):
        for j in range(1, strength.shape[1] - 1):
            step = (0, 1) if abs(across[i, j]) >= abs(down[i, j]) else (1, 0)
            beside = strength[i - step[0], j - step[1]], strength[i + step[0], j + step[1]]
            found[i, j] = strength[i, j] >= max(16, *beside)
    return found


def test_edge_agreement_is_that_of_a_plain_loop():
    original = noisy(pictures(1, 48, 40), 30)
    worse = noisy(original, 30, seed=5)
    before, after = reference_edges(original[0]), reference_edges(worse[0])
    square = np.ones((3, 3), bool)
    recall = (before & binary_dilation(after, square)).sum() / before.sum()
    precision = (after & binary_dilation(before, square)).sum() / after.sum()
    assert 0.1 < recall < 1
    assert edge_f1(original, worse) == pytest.approx(2 * precision * recall / (precision + recall), rel=1e-6)


def step_at(column, side=32):
    image = torch.full((1, 3, side, side), 40, dtype=torch.uint8)
    image[..., column:] = 220
    return image


def test_an_edge_may_move_by_one_pixel():
    assert edge_f1(step_at(16), step_at(16)).tolist() == [1]
    assert edge_f1(step_at(16), step_at(17)).tolist() == [1]
    assert edge_f1(step_at(16), step_at(20)).tolist() == [0]


def test_lost_edges_score_zero_and_flat_originals_nothing():
    flat = torch.full((1, 3, 32, 32), 40, dtype=torch.uint8)
    assert edge_f1(step_at(16), flat).tolist() == [0]
    assert np.isnan(edge_f1(flat, step_at(16))).all()


def test_gradients_and_edges_fall_with_noise():
    original = noisy(pictures(2), 25, seed=9)
    levels = [noisy(original, level) for level in (4, 12, 36)]
    assert all(np.diff([gmsd(original, worse).mean() for worse in levels]) > 0)
    assert all(np.diff([edge_f1(original, worse).mean() for worse in levels]) < 0)


def test_texture_distance_by_hand_and_its_bounds():
    left = torch.zeros(1, 2, 1, 2)
    left[0, 0] = 1.0  # Gram matrix [[1, 0], [0, 0]]
    right = torch.zeros(1, 2, 1, 2)
    right[0, 1] = 2.0  # Gram matrix [[0, 0], [0, 4]]
    assert gram_distance(Features(maps=(left,)), Features(maps=(right,))).tolist() == [1]
    half = (
        torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 1, 2) * 0.5**0.5
    )  # Gram matrix [[1/2, 0], [0, 0]]
    # (1 - 1/2)² / (1 + 1/4), averaged with a layer that is equal; float32 products of square roots.
    both = gram_distance(Features(maps=(left, right)), Features(maps=(half, right)))
    assert both == pytest.approx((0.25 / 1.25 + 0) / 2, rel=1e-6)


def test_texture_does_not_see_where_things_are():
    maps = torch.rand(2, 5, 6, 8, generator=torch.Generator().manual_seed(1))
    moved = maps.roll((2, 3), (2, 3))
    other = torch.rand(2, 5, 6, 8, generator=torch.Generator().manual_seed(2))
    # Sums over positions in another order, in float32.
    assert gram_distance(Features(maps=(maps,)), Features(maps=(moved,))) == pytest.approx([0, 0], abs=1e-10)
    assert (gram_distance(Features(maps=(maps,)), Features(maps=(other,))) > 1e-4).all()
    batch = make_batch(
        *[pictures(2)] * 2, features=lambda name: (Features(maps=(maps,)), Features(maps=(maps,)))
    )
    assert TEXTURE_LITE0.measure(batch).tolist() == [0, 0]


def test_region_psnr_is_that_of_the_cut_out_region():
    original = pictures(2, 40, 50)
    worse = noisy(original, 9)
    truth = [
        {"words": [{"box": [3.4, 5, 20, 11.2]}], "regions": [{"box": [30, 20, 40, 30]}]},
        {"kind": "grating"},
    ]
    values = REGION_PSNR.measure(make_batch(original, worse, truth=truth))
    pixels = [(original[0, :, 5:12, 3:20], worse[0, :, 5:12, 3:20])]
    pixels.append((original[0, :, 20:30, 30:40], worse[0, :, 20:30, 30:40]))
    x, y = (torch.cat([pair[side].reshape(-1).double() for pair in pixels]) for side in (0, 1))
    assert values[0] == pytest.approx(10 * math.log10(255**2 / float((x - y).square().mean())), rel=1e-12)
    assert math.isnan(values[1])
    assert masked_psnr(original[0], original[0], inside(truth[0], 40, 50)) == math.inf


def test_kinds_choose_their_images():
    original = pictures(4, 16, 16)
    kinds = ["grating", "chart", "photo-texture", "portrait"]
    batch = make_batch(original, noisy(original, 5), truth=[{"kind": kind} for kind in kinds])
    for position, metric in enumerate((PATTERN_PSNR, DRAWING_PSNR, TEXTURE_PSNR)):
        values = metric.measure(batch)
        assert np.isfinite(values).tolist() == [number == position for number in range(4)]


def test_ink_is_what_differs_from_the_paper():
    x = torch.full((3, 3, 8, 8), 200, dtype=torch.uint8)
    x[:, 0, 2, :] = 10  # one channel is enough
    y = x.clone()
    y[:, :, 2, :] += 4
    y[:, :, 5, :] += 50
    truth = [{"paper": [200, 200, 200]}, {}, {"paper": [10, 200, 200]}]
    got = INK_PSNR.measure(make_batch(x, y, truth=truth))
    # Row 2 only, every channel 4 off; then no paper stated; then all but row 2, one of seven rows 50 off.
    assert got[0] == pytest.approx(20 * math.log10(255 / 4), rel=1e-12)
    assert math.isnan(got[1])
    assert got[2] == pytest.approx(10 * math.log10(255**2 / (50**2 / 7)), rel=1e-12)
    assert INK_PSNR.measure(make_batch(x, x, truth=truth))[0] == math.inf


def test_regions_move_with_the_image():
    prepared = prepare(np.zeros((128, 256, 3), np.uint8), get_protocol("adm-64"))
    truth = {"regions": [{"box": [64, 0, 128, 64]}, {"box": [0, 0, 10, 10]}]}
    # Halved to 64 × 128, the centre cut begins at column 32; the second box is outside.
    assert [entry["box"] for entry in place_truth(truth, prepared)["regions"]] == [[0, 0, 32, 32]]


def test_what_metrics_share_is_computed_once():
    batch = make_batch(pictures(1, 64, 64), pictures(1, 64, 64))
    calls = []
    for _ in range(2):
        assert batch.memo("key", lambda: calls.append(1) or len(calls)) == 1
    assert calls == [1]
