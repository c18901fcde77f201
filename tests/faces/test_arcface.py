"""insightface's networks: the crop, the scaling and the refusals, on a network of one operator made here."""

import numpy as np
import pytest
import torch

from tokbench.errors import SetupError
from tokbench.networks.arcface import (
    ANTELOPEV2_WEIGHTS,
    ARCFACE_ANTELOPEV2,
    ARCFACE_BUFFALO_L,
    SIDE,
    TEMPLATE,
    norm_crop,
)

CPU = torch.device("cpu")
POINTS = np.array([[46.0, 52.0], [80.0, 50.0], [64.0, 74.0], [48.0, 92.0], [79.0, 91.0]])


def varint(value):
    head = bytes([value & 0x7F | (0x80 if value > 0x7F else 0)])
    return head + (varint(value >> 7) if value > 0x7F else b"")


def field(number, value):
    """One protobuf field: an integer, or anything else as bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_mean(side=SIDE):
    """An ONNX file whose embedding is the mean of each channel: ``[n, 3, side, side]`` to ``[n, 3]``."""

    def tensor(name, *sides):
        shape = b"".join(
            field(1, field(1, each) if isinstance(each, int) else field(2, each)) for each in sides
        )
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))

    axes = field(5, field(1, "axes") + field(8, 2) + field(8, 3) + field(20, 7))
    keep = field(5, field(1, "keepdims") + field(3, 0) + field(20, 2))
    node = field(1, field(1, "x") + field(2, "y") + field(4, "ReduceMean") + axes + keep)
    graph = node + field(2, "g") + field(11, tensor("x", "n", 3, side, side)) + field(12, tensor("y", "n", 3))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


@pytest.fixture
def network(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: the extra `face`")
    pytest.importorskip("cv2", reason="OpenCV is not installed: the extra `face`")

    def load(data, evaluator=ARCFACE_ANTELOPEV2):
        path = tmp_path / "network.onnx"
        path.write_bytes(data)
        return evaluator.load({evaluator.weights[0].name: path}, CPU)

    return load


@pytest.mark.parametrize("evaluator", [ARCFACE_ANTELOPEV2, ARCFACE_BUFFALO_L], ids=lambda each: each.name)
def test_a_face_is_cropped_scaled_and_embedded(network, evaluator):
    image = np.random.default_rng(0).integers(0, 256, (130, 120, 3)).astype(np.uint8)
    got = network(onnx_mean(), evaluator).embed([image, image], [[POINTS], [POINTS + 3, POINTS]])
    assert got.shape == (3, 3)
    crop = norm_crop(image, POINTS)
    # float32 means of 12,544 values.
    assert got[0] == pytest.approx((crop.mean((0, 1)) - 127.5) / 127.5, abs=1e-5)
    assert np.array_equal(got[0], got[2])
    assert not np.array_equal(got[0], got[1])
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    assert np.array_equal(network(onnx_mean(), evaluator).embed(tensor, [[POINTS]]), got[:1])


def test_nobody_gives_no_rows(network):
    image = np.zeros((20, 20, 3), np.uint8)
    assert network(onnx_mean()).embed([image], [[]]).shape == (0, 3)


def test_points_land_on_the_template():
    """A dot at each of the five points is at the template's place after the crop."""
    pytest.importorskip("cv2", reason="OpenCV is not installed: the extra `face`")
    image = np.zeros((140, 140, 3), np.uint8)
    points = np.array(TEMPLATE).round() + np.array([7, 12])
    for x, y in points.astype(int):
        image[y - 1 : y + 2, x - 1 : x + 2] = 255
    crop = norm_crop(image, points)[..., 0]
    for x, y in np.array(TEMPLATE):
        # Half a pixel of rounding above, and the least-squares fit spreads it.
        assert crop[round(y), round(x)] > 200
    assert crop.shape == (SIDE, SIDE)


def test_the_crop_is_insightfaces(recwarn):
    """Their warp matrix comes from scikit-image in float32 points: a level of difference where a weight rounds over."""
    pytest.importorskip("cv2", reason="OpenCV is not installed: the extra `face`")
    face_align = pytest.importorskip("insightface.utils.face_align", reason="insightface is not installed")
    random = np.random.default_rng(1)
    for _ in range(10):
        image = random.integers(0, 256, (256, 240, 3)).astype(np.uint8)
        points = (POINTS * random.uniform(0.3, 1.8) + random.normal(0, 6, (5, 2))).astype(np.float32)
        wanted = face_align.norm_crop(image, points).astype(int)
        difference = np.abs(norm_crop(image, points).astype(int) - wanted)
        assert difference.max() <= 1
        assert difference.mean() < 0.01


@pytest.mark.parametrize(
    ("data", "reason"), [(b"nonsense" * 40, "no ONNX network"), (onnx_mean(64), r"no network from 3×112×112")]
)
def test_other_files_are_refused(network, data, reason):
    with pytest.raises(SetupError, match=reason):
        network(data)


def test_the_licence_is_stated():
    for evaluator in (ARCFACE_ANTELOPEV2, ARCFACE_BUFFALO_L):
        assert "non-commercial" in evaluator.license
        assert "non-commercial" in evaluator.title
        assert len(evaluator.weights[0].sha256) == 64
    assert ANTELOPEV2_WEIGHTS.basename == "glintr100.onnx"
