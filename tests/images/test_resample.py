"""The resizes of published evaluations against the libraries that made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tokbench.images.preprocess import prepare
from tokbench.images.resample import opencv_bilinear, tensor_bilinear
from tokbench.protocol import get_protocol

SIZES = [(301, 257), (512, 512), (640, 427), (100, 60), (7, 5), (2, 90), (1, 1), (256, 999), (768, 512)]
GOLDEN = Path(__file__).with_name("opencv_bilinear.npz")


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng([width, height]).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("case", range(5))
def test_opencv_bilinear_is_what_opencv_gave(case: int) -> None:
    """Made by opencv-python-headless 5.0.0: shrinking, a factor of two, enlarging, one axis each way, one pixel."""
    with np.load(GOLDEN, allow_pickle=False) as stored:
        pixels, wanted = stored[f"source{case}"], stored[f"result{case}"]
    assert np.array_equal(opencv_bilinear(pixels, wanted.shape[1], wanted.shape[0]), wanted)


@pytest.mark.parametrize("size", SIZES)
def test_opencv_bilinear_is_opencvs(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed; the stored results stand for it")
    pixels = noise(*size)
    scale = 256 / min(size)
    target = (round(size[0] * scale), round(size[1] * scale))
    wanted = cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(opencv_bilinear(pixels, *target), wanted)


@pytest.mark.parametrize("size", SIZES)
def test_tensor_crop_is_torchvisions(size: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    pixels = noise(*size)
    steps = [
        transforms.ToTensor(),
        transforms.Resize(64),
        transforms.CenterCrop(64),
        transforms.Normalize(0.5, 0.5),
    ]
    tensor = transforms.Compose(steps)(Image.fromarray(pixels))
    wanted = (127.5 * tensor + 128).clamp(0, 255).byte().permute(1, 2, 0).numpy()
    assert np.array_equal(prepare(pixels, get_protocol("lightningdit-64")).canvas, wanted)


def test_tensor_bilinear_at_the_same_size_changes_nothing() -> None:
    pixels = noise(17, 9)
    assert np.array_equal(tensor_bilinear(pixels, 17, 9), pixels)


@pytest.mark.parametrize("size", SIZES)
def test_lanczos_crop_covers_and_cuts(size: tuple[int, int]) -> None:
    image = Image.fromarray(noise(*size))
    scale = max(64 / size[0], 64 / size[1])
    covered = image.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.LANCZOS)
    left, top = (covered.width - 64) // 2, (covered.height - 64) // 2
    wanted = np.asarray(covered.crop((left, top, left + 64, top + 64)))
    assert np.array_equal(prepare(np.asarray(image), get_protocol("vtbench-64")).canvas, wanted)


@pytest.mark.parametrize("name", ["seed-64", "vtbench-64", "lightningdit-64"])
def test_a_point_stays_on_what_it_marks(name: str) -> None:
    """A white dot is found where the placement says that it went."""
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[90:96, 160:166] = 255
    got = prepare(pixels, get_protocol(name))
    weight = got.canvas[..., 0].astype(float)
    y, x = (np.indices(weight.shape) * weight).sum((1, 2)) / weight.sum() + 0.5
    where = got.placement
    # Two taps sample a dot of two pixels' width unevenly, hence half a pixel.
    assert x == pytest.approx(163 * where.scale_x - where.left, abs=0.5)
    assert y == pytest.approx(93 * where.scale_y - where.top, abs=0.5)


def test_seed_crop_is_not_the_antialiased_one() -> None:
    fine = np.zeros((512, 512, 3), np.uint8)
    fine[::8] = 255
    assert not np.array_equal(
        prepare(fine, get_protocol("seed-64")).canvas, prepare(fine, get_protocol("bicubic-64")).canvas
    )
