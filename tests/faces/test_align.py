"""Alignment puts points where the template has them, and samples what is there."""

import math

import numpy as np
import pytest

from tokbench.errors import EvaluatorError
from tokbench.networks.align import similarity, warp
from tokbench.networks.face import chip_template


def moved(points, scale, angle, shift):
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return points @ turn.T + shift


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.5])
def test_points_land_on_the_template(angle):
    template = chip_template(150)
    points = moved(template, 0.37, angle, (40.0, -7.0))
    matrix = similarity(points, template)
    # Exact but for rounding: a similarity of the template is undone by a similarity.
    assert points @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(template, abs=1e-10)


def test_the_fit_is_the_least_squares_one():
    random = np.random.default_rng(4)
    template = chip_template(112)
    points = moved(template, 1.3, 0.2, (9.0, 5.0)) + random.normal(0, 2, (5, 2))
    # x' = a x - b y + c, y' = b x + a y + d, solved as any linear problem.
    system = [row for x, y in points for row in ([x, -y, 1, 0], [y, x, 0, 1])]
    a, b, c, d = np.linalg.lstsq(np.array(system), template.ravel(), rcond=None)[0]
    assert similarity(points, template) == pytest.approx(np.array([[a, -b, c], [b, a, d]]), abs=1e-9)


def test_the_template_is_dlibs():
    template = chip_template(150)
    # dlib's average face (its 68-point table), padding 0.25, on the 150 px chip: middle of the eyes, tip of the nose.
    assert template[:2].mean(0) == pytest.approx(
        [(0.490127 + 0.25) / 1.5 * 149, (0.21599 + 0.25) / 1.5 * 149], abs=1e-3
    )
    assert template[2] == pytest.approx(
        [(0.490127 + 0.25) / 1.5 * 149, (0.515625 + 0.25) / 1.5 * 149], abs=1e-9
    )
    assert template[0, 1] == template[1, 1]
    assert template[3, 1] == template[4, 1]


@pytest.mark.parametrize("points", [[[3.0, 4.0]] * 5, [[math.nan, 1.0]] * 5])
def test_points_that_give_no_direction_are_refused(points):
    with pytest.raises(EvaluatorError, match="cannot be aligned"):
        similarity(np.array(points), chip_template(150))


def ramp(height, width):
    y, x = np.mgrid[:height, :width].astype(float)
    return np.stack([x / 2, y / 2, (x + y) / 4], 2).round().astype(np.uint8)


@pytest.mark.parametrize("scale", [0.8, 1.7, 3.9])
def test_a_ramp_is_sampled_where_it_should_be(scale):
    """A linear image keeps its values under bilinear sampling and under the symmetric filter of halving."""
    image, side = ramp(400, 420), 60
    inverse = np.array([[scale, 0.1 * scale, 50.0], [-0.1 * scale, scale, 60.0], [0, 0, 1]])
    got = warp(image, np.linalg.inv(inverse)[:2], side)
    y, x = np.mgrid[:side, :side]
    wanted = (inverse[0, 0] * x + inverse[0, 1] * y + 50) / 2
    # The ramp itself is rounded to whole levels.
    assert np.abs(got[..., 0] - wanted).max() < 0.55
    assert np.abs(got[..., 0] - wanted).mean() < 0.26


def test_outside_the_image_is_black():
    image = np.full((20, 20, 3), 200, np.uint8)
    got = warp(image, np.array([[1.0, 0, 10], [0, 1.0, 10]]), 40)
    assert got[:10].max() == got[:, :10].max() == got[30:].max() == 0
    assert got[10:30, 10:30].min() == 200
    far = warp(image, np.array([[1.0, 0, 1000], [0, 1.0, 1000]]), 40)
    assert far.shape == (40, 40, 3)
    assert far.max() == 0


def test_the_surroundings_do_not_matter():
    """What is cut out beforehand changes nothing, whatever is beside the face."""
    random = np.random.default_rng(5)
    image = random.integers(0, 256, (700, 700, 3)).astype(np.uint8)
    other = image.copy()
    other[:100] = 0
    inverse = np.array([[4.5, 0.5, 250.0], [-0.5, 4.5, 270.0], [0, 0, 1]])
    matrix = np.linalg.inv(inverse)[:2]
    assert np.array_equal(warp(image, matrix, 60), warp(other, matrix, 60))
    shifted = inverse.copy()
    shifted[:2, 2] -= 64  # a whole number of the coarsest pixels
    assert np.array_equal(warp(image, matrix, 60), warp(image[64:, 64:], np.linalg.inv(shifted)[:2], 60))


def test_fine_stripes_of_a_large_face_become_grey():
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    got = warp(stripes, np.array([[1 / 8.5, 0, 0], [0, 1 / 8.5, 0]]), 60)
    assert got[5:-5, 5:-5].std() < 1
    assert got[5:-5, 5:-5].mean() == pytest.approx(127.5, abs=1)
