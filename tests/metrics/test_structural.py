import numpy as np
import pytest
import torch
from metric_samples import make_batch, noisy, pictures
from skimage.metrics import structural_similarity
from torch.nn import functional
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from torchmetrics.functional.image.ssim import _ssim_update

from tokbench.metrics.structural import MS_SSIM, SSIM, ms_ssim, ssim

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def skimage_ssim(x, y):
    x, y = (side.permute(1, 2, 0).numpy() for side in (x, y))
    return structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2
    )


def test_ssim_is_that_of_scikit_image(pair):
    wanted = [skimage_ssim(x, y) for x, y in zip(*pair, strict=True)]
    # Float64 on both sides, sums in another order.
    assert ssim(*pair) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("size", [(11, 11), (11, 40), (57, 23)])
def test_ssim_of_odd_sizes(size):
    x = pictures(1, *size)
    y = noisy(x, 20)
    assert ssim(x, y)[0] == pytest.approx(skimage_ssim(x[0], y[0]), abs=1e-12)


def test_ssim_of_flat_images():
    x = torch.full((1, 3, 32, 32), 77, dtype=torch.uint8)
    assert ssim(x, x)[0] == pytest.approx(1, abs=1e-12)
    assert ssim(x * 0, x * 0 + 255)[0] == pytest.approx((0.01**2) / (1 + 0.01**2), rel=1e-6)


def test_ms_ssim_is_torchmetrics_contrast_and_scikit_images_similarity(pair):
    """torchmetrics gives the contrast of four scales, scikit-image the last: each is independent of ours."""
    for got, *images in zip(ms_ssim(*pair), *(side.double() for side in pair), strict=True):
        x, y = (image[None] for image in images)
        wanted = 1.0
        for weight in WEIGHTS[:-1]:
            contrast = _ssim_update(x, y, data_range=255.0, return_contrast_sensitivity=True)[1]
            wanted *= contrast.item() ** weight
            x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
        wanted *= skimage_ssim(x[0], y[0]) ** WEIGHTS[-1]
        # torchmetrics makes its window in float32.
        assert got == pytest.approx(wanted, abs=1e-6)


def test_ms_ssim_is_near_torchmetrics_as_a_whole(pair):
    """Only near: it mirrors the border into its mean at the last scale, where there are few positions."""
    whole = [
        multiscale_structural_similarity_index_measure(
            x[None].double(), y[None].double(), data_range=255.0
        ).item()
        for x, y in zip(*pair, strict=True)
    ]
    assert ms_ssim(*pair) == pytest.approx(whole, abs=2e-3)


def test_images_too_small_give_nan():
    assert np.isnan(ssim(*[pictures(2, 10, 64)] * 2)).all()
    assert np.isnan(ms_ssim(*[pictures(2, 175, 200)] * 2)).all()
    assert ms_ssim(*[pictures(2, 176, 177)] * 2) == pytest.approx(1, abs=1e-12)


def test_inverted_images_do_not_break_the_power():
    x = pictures(1)
    value = ms_ssim(x, 255 - x)[0]
    assert 0 <= value < 0.2


def test_identity_is_perfect_and_noise_makes_worse():
    x = pictures()
    for metric in (SSIM, MS_SSIM):
        assert metric.measure(make_batch(x, x)) == pytest.approx(1, abs=1e-12)
        values = np.stack([metric.measure(make_batch(x, noisy(x, level))) for level in (2, 5, 15, 40)])
        assert (np.diff(values, axis=0) < 0).all()


def test_an_image_does_not_see_the_others(pair):
    alone = [ssim(x[None], y[None])[0] for x, y in zip(*pair, strict=True)]
    assert ssim(*pair).tolist() == alone
