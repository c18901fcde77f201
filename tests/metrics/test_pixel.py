import numpy as np
import pytest
import torch
from metric_samples import make_batch, noisy, pictures
from skimage.metrics import peak_signal_noise_ratio

from tokbench.metrics.pixel import EXACT_DB, L1, PSNR, l1, mean_psnr, psnr


def test_psnr_is_that_of_scikit_image(pair):
    wanted = [
        peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=255) for x, y in zip(*pair, strict=True)
    ]
    # Both are exact but for the rounding of one logarithm.
    assert psnr(*pair) == pytest.approx(wanted, rel=1e-13)


def test_psnr_of_one_wrong_sample_by_hand():
    x = torch.zeros(1, 3, 256, 256, dtype=torch.uint8)
    y = x.clone()
    y[0, 1, 2, 3] = 1
    assert psnr(x, y)[0] == pytest.approx(10 * np.log10(255**2 * 3 * 256**2), rel=1e-15)
    assert psnr(x, y)[0] == pytest.approx(EXACT_DB, rel=1e-15)
    assert psnr(x, 255 - x)[0] == 0


def test_large_images_do_not_overflow():
    x = torch.zeros(1, 3, 2048, 2048, dtype=torch.uint8)
    assert psnr(x, 255 - x)[0] == 0
    assert l1(x, 255 - x)[0] == 1


def test_exact_images_are_infinite_alone_and_capped_in_company():
    infinite = np.array([np.inf, np.inf])
    assert mean_psnr(infinite) == np.inf
    assert mean_psnr(np.array([np.inf, 30.0])) == (EXACT_DB + 30) / 2
    assert mean_psnr(np.array([110.0, 30.0])) == (EXACT_DB + 30) / 2
    rows = np.array([[np.inf, np.inf], [np.inf, 20.0], [10.0, 20.0]])
    assert mean_psnr(rows) == pytest.approx([np.inf, (EXACT_DB + 20) / 2, 15])


def test_l1_is_the_mean_absolute_error_in_full_scale(pair):
    x, y = (side.numpy().astype(float) for side in pair)
    assert l1(*pair) == pytest.approx(np.abs(x - y).mean((1, 2, 3)) / 255, rel=1e-13)


def test_identity_is_perfect_and_noise_makes_worse():
    x = pictures()
    perfect = make_batch(x, x)
    assert np.isinf(PSNR.measure(perfect)).all()
    assert (L1.measure(perfect) == 0).all()
    batches = [make_batch(x, noisy(x, level)) for level in (2, 5, 15, 40)]
    for metric, sign in ((PSNR, -1), (L1, 1)):
        values = np.stack([metric.measure(batch) for batch in batches])
        assert (sign * np.diff(values, axis=0) > 0).all()
        assert values.dtype == np.float64
