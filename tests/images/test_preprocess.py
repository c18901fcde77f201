"""Preprocessing: parity with the published definitions, and what an identity tokenizer must get back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tokbench.errors import ContractError, ImageError
from tokbench.images.preprocess import Placement, Prepared, pad, prepare, restore
from tokbench.protocol import PRESETS, EvalProtocol, get_protocol

ODD_SIZES = [
    (301, 257),
    (257, 301),
    (256, 256),
    (1, 1),
    (7, 5),
    (513, 1030),
    (256, 999),
    (100, 60),
    (640, 427),
    (2, 90),
]

PINNED_IDS = {
    "adm-256": "747303eb3521eab8",
    "adm-512": "18651a955aaa2c53",
    "adm-1024": "b3ec603189be604c",
    "bicubic-256": "2df2e1aaf857c177",
    "bicubic-512": "e4151e210a17ca90",
    "bicubic-1024": "6e43acd71748a75e",
    "crop-256": "f78e593c82ccc627",
    "crop-512": "9fa0e8cce8f64494",
    "crop-1024": "e1cc37519e232181",
    "lightningdit-256": "f2e20327f3b7d30d",
    "lightningdit-512": "7468d24002ce37ff",
    "lightningdit-1024": "cc1e05375fc3ccf8",
    "seed-256": "79657e894bcfce1c",
    "seed-512": "236d8cd60f617c4e",
    "seed-1024": "8d45cc775cfa0991",
    "vtbench-256": "ed636b915bd89c8a",
    "vtbench-512": "637dd7f47a49ed60",
    "vtbench-1024": "57ebba58efa87283",
    "tokbench-256": "9654239ff2cb0620",
    "tokbench-512": "c1ee4e4e36ec6569",
    "tokbench-1024": "5294d1b9f8013727",
    "native": "afa22b90d29db935",
}


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, width, height]).integers(0, 256, (height, width, 3), dtype=np.uint8)


def center_crop_arr(pixels: np.ndarray, side: int) -> np.ndarray:
    """An independent statement of the ADM crop on (height, width) arrays, after its description."""
    h, w = pixels.shape[:2]
    while min(h, w) >= 2 * side:
        h, w = h // 2, w // 2
        pixels = np.asarray(Image.fromarray(pixels).resize((w, h), Image.Resampling.BOX))
    factor = side / min(h, w)
    pixels = np.asarray(
        Image.fromarray(pixels).resize((round(w * factor), round(h * factor)), Image.Resampling.BICUBIC)
    )
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]


def test_preset_ids_are_pinned() -> None:
    # Every stored result carries one of these; a changed id orphans results.
    assert {name: protocol.id for name, protocol in PRESETS.items()} == PINNED_IDS


@pytest.mark.parametrize("size", [*ODD_SIZES, (1100, 1027), (515, 2050)])
def test_adm_crop_is_guided_diffusions(size: tuple[int, int]) -> None:
    pixels = noise(*size)
    got = prepare(pixels, get_protocol("adm-256")).canvas
    assert np.array_equal(got, center_crop_arr(pixels, 256))


@pytest.mark.parametrize("side", [32, 255, 256])
@pytest.mark.parametrize("size", ODD_SIZES)
def test_bicubic_crop_is_torchvisions(size: tuple[int, int], side: int) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    pixels = noise(*size)
    resize = transforms.Resize(side, interpolation=transforms.InterpolationMode.BICUBIC, antialias=True)
    wanted = np.asarray(transforms.CenterCrop(side)(resize(Image.fromarray(pixels))))
    assert np.array_equal(prepare(pixels, get_protocol(f"bicubic-{side}")).canvas, wanted)


@pytest.mark.parametrize("size", ODD_SIZES)
def test_fit_pad_places_the_image_as_tokbench_does(size: tuple[int, int]) -> None:
    pixels = noise(*size)
    got = prepare(pixels, get_protocol("tokbench-256"))
    scale = min(256 / size[0], 256 / size[1])
    width, height = math.ceil(size[0] * scale), math.ceil(size[1] * scale)
    wanted = Image.new("RGB", (256, 256), (0, 0, 0))
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    wanted.paste(resized, ((256 - width) // 2, (256 - height) // 2))
    assert np.array_equal(got.canvas, np.asarray(wanted))
    assert got.reference is pixels
    x0, y0, x1, y1 = got.box
    assert (x1 - x0, y1 - y0) == (width, height)
    back = np.asarray(resized.resize(size, Image.Resampling.LANCZOS))
    assert np.array_equal(restore(got.canvas, got), back)


def test_fit_pad_never_overshoots_its_square() -> None:
    # Only sides that are no power of two can round T / w up so far that w * (T / w) exceeds T.
    side, width = 448, 25
    assert math.ceil(width * (side / width)) == side + 1
    got = prepare(noise(width, 3), EvalProtocol("t", "fit-pad", side))
    assert got.canvas.shape == (side, side, 3)
    assert got.box[2] - got.box[0] == side


@pytest.mark.parametrize("name", ["adm-256", "bicubic-256", "crop-256", "tokbench-256"])
def test_an_image_of_the_target_size_passes_unchanged(name: str) -> None:
    pixels = noise(256, 256)
    got = prepare(pixels, get_protocol(name))
    assert np.array_equal(got.canvas, pixels)
    assert np.array_equal(restore(got.canvas, got), pixels)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 600),
    height=st.integers(1, 600),
    stride=st.sampled_from([1, 8, 14, 32]),
    name=st.sampled_from(["adm-64", "bicubic-64", "native"]),
)
def test_identity_gives_the_reference_back(width: int, height: int, stride: int, name: str) -> None:
    prepared = prepare(noise(width, height), get_protocol(name))
    padded = pad(prepared.canvas, stride)
    assert padded.shape[0] % stride == 0
    assert padded.shape[1] % stride == 0
    assert np.array_equal(restore(padded, prepared), prepared.reference)


def test_pad_repeats_the_last_row_and_column() -> None:
    pixels = noise(5, 3)
    padded = pad(pixels, 4)
    assert padded.shape == (4, 8, 3)
    assert np.array_equal(padded[:3, :5], pixels)
    assert (padded[:3, 5:] == pixels[:, 4:5]).all()
    assert (padded[3] == padded[2]).all()
    assert pad(pixels, 1) is pixels


def test_the_centre_crop_resizes_nothing_and_refuses_smaller_images() -> None:
    pixels = noise(301, 257)
    got = prepare(pixels, get_protocol("crop-256"))
    assert np.array_equal(got.reference, pixels[0:256, 22:278])
    assert (got.placement.scale_x, got.placement.left, got.placement.top) == (1.0, 22, 0)
    with pytest.raises(ImageError, match=r"small\.png: 256×255 is smaller than the crop of 256×256"):
        prepare(noise(256, 255), get_protocol("crop-256"), "small.png")


@pytest.mark.parametrize("name", ["adm-256", "bicubic-256"])
def test_an_elongated_image_is_refused_by_crops_and_named(name: str) -> None:
    with pytest.raises(ImageError, match=r"thin\.png: 10000×1 is too elongated"):
        prepare(np.zeros((1, 10_000, 3), np.uint8), get_protocol(name), "thin.png")
    assert prepare(np.zeros((1, 10_000, 3), np.uint8), get_protocol("tokbench-256")).box == (0, 127, 256, 128)


def test_a_too_small_output_is_a_contract_error() -> None:
    pixels = noise(8, 8)
    with pytest.raises(ContractError, match=r"\[8, 7, 3\], wanted at least \[8, 8, 3\]"):
        restore(pixels[:, :7], Prepared(pixels, pixels, (0, 0, 8, 8), Placement()))
