"""Decoding: every clause of the rule in `tokbench.images.decode`, on images made here."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tokbench.errors import DataError, ImageError
from tokbench.images.decode import decode, set_digest

RGB = np.random.default_rng(7).integers(0, 256, (9, 13, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return decode(data, "x").pixels


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("JPEG2000", {"irreversible": False}),
    ],
)
def test_lossless_formats_give_the_pixels(kind: str, options: dict[str, object]) -> None:
    got = decode(encoded(Image.fromarray(RGB), kind, **options), "x")
    assert np.array_equal(got.pixels, RGB)
    assert got.pixels.flags.writeable
    assert got.digest == hashlib.sha256(struct.pack("<II", 13, 9) + RGB.tobytes()).digest()


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "WEBP"])
def test_lossy_formats_decode_as_pillow_decodes_them(kind: str) -> None:
    data = encoded(Image.fromarray(RGB), kind)
    assert np.array_equal(pixels(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_jpeg_xl_decodes_and_its_size_is_known_before_decoding() -> None:
    pytest.importorskip("pillow_jxl")
    from tokbench.images.headers import jxl_size

    for width, height in ((13, 9), (256, 256), (1500, 1000), (8, 16), (4000, 3), (513, 20)):
        image = Image.fromarray(np.zeros((height, width, 3), np.uint8))
        assert jxl_size(encoded(image, "JXL", lossless=True)) == (width, height)
    boxed = encoded(Image.fromarray(RGB), "JXL", lossless=True, use_container=True)
    assert jxl_size(boxed) == (13, 9)
    assert np.array_equal(pixels(boxed), RGB)
    with pytest.raises(ImageError, match="megapixels"):
        decode(boxed, "x", limit=100)


def turned(orientation: int) -> np.ndarray:
    """What a viewer shows of RGB stored with this EXIF orientation, by the standard's table, in numpy."""
    return {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: RGB[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(RGB),
    }[orientation]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(
        pixels(encoded(Image.fromarray(RGB), kind, exif=exif, **options)), turned(orientation)
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_read_in_both_byte_orders_and_broken_exif_counts_as_upright(order: str) -> None:
    start = b"II*\0" if order == "<" else b"MM\0*"
    block = start + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    assert np.array_equal(pixels(encoded(Image.fromarray(RGB), exif=b"Exif\0\0" + block)), turned(6))
    for broken in (block[:12], block.replace(b"\x06", b"\x63"), start + b"\xff" * 20, b"", b"garbage"):
        image = encoded(Image.fromarray(RGB), "WEBP", lossless=True, exif=b"Exif\0\0" + broken)
        assert np.array_equal(pixels(image), RGB)


def test_jpeg_with_hostile_exif_still_decodes() -> None:
    clean = encoded(Image.fromarray(RGB), "JPEG")
    hostile = encoded(Image.fromarray(RGB), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 64)
    assert np.array_equal(pixels(hostile), pixels(clean))


def profile(red_green_swapped: bool = False, gamma: float = 2.2) -> bytes:
    """A small matrix profile, built by hand: sRGB primaries, red and green perhaps swapped, and a gamma."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    columns = [(0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)]
    if red_green_swapped:
        columns = [columns[1], columns[0], columns[2]]
    tags = {b"wtpt": b"XYZ \0\0\0\0" + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True):
        tags[name] = b"XYZ \0\0\0\0" + b"".join(map(fixed, column))
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78) + b"\0\0"
    tags[b"cprt"] = b"text\0\0\0\0x\0\0\0"
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + b"".join(map(fixed, (0.9642, 1.0, 0.8249))) + bytes(48)
    assert len(header) == 128
    return header + table + body


def test_icc_profile_is_converted_to_srgb() -> None:
    swapped = pixels(encoded(Image.fromarray(RGB), icc_profile=profile(red_green_swapped=True, gamma=2.2)))
    plain = pixels(encoded(Image.fromarray(RGB), icc_profile=profile(gamma=2.2)))
    # Swapping the primaries swaps the channels of the result; the rest of the conversion is the same. One
    # level of slack for fixed-point rounding inside the colour engine.
    assert np.abs(swapped.astype(int)[..., [1, 0, 2]] - plain.astype(int)).max() <= 1
    assert (
        np.abs(plain.astype(int) - RGB.astype(int)).max() > 1
    )  # gamma 2.2 is not sRGB's curve in the shadows
    linear = pixels(
        encoded(Image.fromarray(np.full((2, 2, 3), 55, np.uint8)), icc_profile=profile(gamma=1.0))
    )
    # 55/255 linear light is sRGB level 128.2 by IEC 61966-2-1.
    assert np.abs(linear.astype(int) - 128).max() <= 1


def test_an_srgb_profile_leaves_pixels_alone_and_unusable_profiles_are_ignored() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile(red_green_swapped=True)
    for icc in (srgb, b"not a profile", swapped[:200], bytes(300)):
        assert np.array_equal(pixels(encoded(Image.fromarray(RGB), icc_profile=icc)), RGB)
    grey = Image.fromarray(RGB[..., 0])
    assert np.array_equal(
        pixels(encoded(grey, icc_profile=swapped))[..., 0], RGB[..., 0]
    )  # RGB profile, grey image


def test_sixteen_bit_grey_is_rounded_to_the_nearest_level() -> None:
    values = np.array([[0, 128, 129, 257, 385, 386, 65406, 65407, 65535]], dtype=np.uint16)
    wanted = np.array([0, 0, 1, 1, 1, 2, 254, 255, 255])  # v / 257 to the nearest
    for kind in ("PNG", "TIFF"):
        got = pixels(encoded(Image.fromarray(values), kind))
        assert np.array_equal(got[0], np.repeat(wanted[:, None], 3, axis=1))
    levels = (np.arange(256, dtype=np.uint16) * 257)[None]
    assert np.array_equal(pixels(encoded(Image.fromarray(levels)))[0, :, 0], np.arange(256))


def test_sixteen_bit_grey_honours_its_transparent_level() -> None:
    values = np.array([[0, 1000, 65535]], dtype=np.uint16)
    assert pixels(encoded(Image.fromarray(values), transparency=1000))[0, :, 0].tolist() == [0, 255, 255]


def test_thirty_two_bit_samples_are_scaled_only_where_their_range_is_known() -> None:
    floats = np.array([[0, 0.5, 1]], dtype=np.float32)
    assert pixels(encoded(Image.fromarray(floats), "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    integers = np.array([[0, 257, 65535]], dtype=np.int32)
    assert pixels(encoded(Image.fromarray(integers), "TIFF"))[0, :, 0].tolist() == [0, 1, 255]
    for bad in (floats * 255, floats - 1, np.array([[np.nan]], np.float32), integers * 2, integers - 1):
        with pytest.raises(ImageError, match=r"deep\.tif: .* samples must lie in"):
            decode(encoded(Image.fromarray(bad), "TIFF"), "deep.tif")


def test_sixteen_bit_colour_keeps_the_high_byte() -> None:
    raw = np.array([[[257, 511, 65535]]], dtype=">u2").tobytes()  # 1.0, 1.99 and 255 levels
    body = zlib.compress(b"\0" + raw)
    png = png_header(1, 1).replace(struct.pack(">IIB", 1, 1, 8), struct.pack(">IIB", 1, 1, 16))
    ihdr = png[12:29]
    png = png[:29] + struct.pack(">I", zlib.crc32(ihdr))
    png += struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    png += struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    assert pixels(png).tolist() == [[[1, 1, 255]]]


def test_grey_bilevel_and_palette_become_rgb() -> None:
    grey = Image.fromarray(RGB[..., 0])
    assert np.array_equal(pixels(encoded(grey)), np.repeat(RGB[..., :1], 3, axis=2))
    bilevel = grey.point(lambda v: 255 * (v > 127)).convert("1")
    assert np.array_equal(pixels(encoded(bilevel))[..., 1], np.where(RGB[..., 0] > 127, 255, 0))
    palette = Image.fromarray(RGB).quantize(16)
    assert np.array_equal(pixels(encoded(palette)), np.asarray(palette.convert("RGB")))


def test_alpha_is_composited_on_white() -> None:
    alpha = np.arange(117, dtype=np.uint16).reshape(9, 13) * 255 // 116
    rgba = np.dstack([RGB, alpha.astype(np.uint8)])
    exact = (RGB * (alpha / 255)[..., None]) + 255 * (1 - alpha / 255)[..., None]
    got = pixels(encoded(Image.fromarray(rgba)))
    assert np.abs(got - exact).max() <= 0.5 + 1e-9  # the nearest level
    la = pixels(encoded(Image.fromarray(rgba[..., [0, 3]])))
    assert np.array_equal(la, np.repeat(got[..., :1], 3, axis=2))
    opaque = np.dstack([RGB, np.full((9, 13), 255, np.uint8)])
    assert np.array_equal(pixels(encoded(Image.fromarray(opaque))), RGB)


def test_palette_and_colour_key_transparency_become_white() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    got = pixels(encoded(image, transparency=1))
    assert got.tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]
    half = pixels(encoded(image, transparency=bytes([255, 0, 51])))  # 51 / 255 = 1/5 opaque
    assert half.tolist() == [[[10, 20, 30], [255, 255, 255], [218, 220, 222]]]
    keyed = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert pixels(encoded(keyed, transparency=(4, 5, 6))).tolist() == [[[1, 2, 3], [255, 255, 255]]]


def test_cmyk_without_profile_is_converted_plainly_and_a_foreign_profile_is_ignored() -> None:
    cmyk = Image.fromarray(np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255]]], np.uint8), "CMYK")
    wanted = [[[255, 255, 255], [0, 255, 255], [0, 0, 0]]]
    assert pixels(encoded(cmyk, "TIFF")).tolist() == wanted
    assert pixels(encoded(cmyk, "TIFF", icc_profile=profile())).tolist() == wanted
    flat = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    # JPEG stores Adobe CMYK inverted; two levels for its quantisation.
    assert np.abs(pixels(encoded(flat, "JPEG", quality=100)).astype(int) - [0, 255, 255]).max() <= 2


def cmyk_profile() -> bytes:
    """A printer whose "cyan" gives the neutral L* = 50 and whose other inks give black. Built by hand."""
    nodes = b""
    for index in range(16):  # two grid points for each ink; Lab as 8 bits: L* * 2.55, a* + 128, b* + 128
        nodes += bytes([{0: 255, 8: 128}.get(index, 0), 128, 128])  # the first ink varies slowest
    ramp = bytes(range(256))
    unit = b"".join(struct.pack(">i", 65536 * (index % 4 == 0)) for index in range(9))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unit + ramp * 4 + nodes + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    tags, entries, body = {b"A2B0": table, b"wtpt": white}, b"", b""
    for name, content in tags.items():
        entries += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(content))
        body += content
    size = 128 + 4 + len(entries) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    return header + struct.pack(">I", len(tags)) + entries + body


def test_cmyk_goes_through_its_profile() -> None:
    cmyk = Image.fromarray(np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255]]], np.uint8), "CMYK")
    got = pixels(encoded(cmyk, "TIFF", icc_profile=cmyk_profile()))
    # L* = 50 is sRGB level 118.9, where plain conversion has (0, 255, 255). Two levels for the 8-bit Lab table.
    assert np.abs(got[0].astype(int) - [[255] * 3, [119] * 3, [0] * 3]).max() <= 2


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    for kind, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (pixels(data) == [255, 0, 0]).all()


BOMB = """
import resource, struct, sys, time
sys.path.insert(0, {tests!r})
from test_decode import png_header
from tokbench.errors import ImageError
from tokbench.images.decode import decode
data = png_header(50_000, 50_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
try:
    decode(data, "bomb.png")
except ImageError as error:
    print(error.message)
print(time.perf_counter() - start)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_bomb_is_refused_at_once_and_for_nothing() -> None:
    from pathlib import Path

    code = BOMB.format(tests=str(Path(__file__).parent))
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    message, seconds, mebibytes = run.stdout.splitlines()
    assert message == "bomb.png: 50000×50000 is 2,500.0 megapixels, above the limit of 67.1"
    assert float(seconds) < 0.1
    assert float(mebibytes) < 50


@pytest.mark.parametrize("size", [(8193, 8192), (11_000, 9_000), (14_000, 12_000), (30_000, 30_000)])
def test_sizes_around_pillows_own_guard_give_our_error_and_no_warning(size: tuple[int, int]) -> None:
    # 99 megapixels would make Pillow warn, 900 make it raise; warnings are errors here.
    with pytest.raises(ImageError, match=r"big\.png: .* megapixels"):
        decode(png_header(*size), "big.png")


def test_the_limit_is_inclusive_and_can_be_set() -> None:
    data = encoded(Image.fromarray(RGB))
    assert decode(data, "x", limit=117).pixels.shape == (9, 13, 3)
    with pytest.raises(ImageError, match="13×9"):
        decode(data, "x", limit=116)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF", "GIF", "JPEG2000"])
def test_truncated_files_are_errors_that_name_the_file(kind: str) -> None:
    data = encoded(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind
    )
    with pytest.raises(ImageError, match=r"^half\.img: damaged or unsupported "):
        decode(data[: len(data) // 2], "half.img")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"just some words\n", "this is text"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"\0\1\2\3\4", "not a PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n\0", "not a PNG"),
        (b"\x89PNG\r\n\x1a\n", "damaged or unsupported PNG"),
        (png_header(0, 5), "notes.png"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        decode(data, "notes.png")
    assert caught.value.message.startswith("notes.png: ")


def test_pillows_settings_are_not_touched() -> None:
    from PIL import ImageFile

    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    pixels(encoded(Image.fromarray(RGB)))
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


SEEDS = [
    encoded(Image.fromarray(RGB), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
]


@settings(max_examples=150, deadline=None)
@given(seed=st.sampled_from(SEEDS), position=st.integers(0, 400), patch=st.binary(min_size=1, max_size=8))
def test_damaged_bytes_give_pixels_or_an_image_error(seed: bytes, position: int, patch: bytes) -> None:
    at = position % len(seed)
    try:
        got = decode(seed[:at] + patch + seed[at + len(patch) :], "x")
    except ImageError:
        return
    assert got.pixels.dtype == np.uint8
    assert got.pixels.ndim == 3


def test_set_digest_is_as_documented_and_ignores_order() -> None:
    pairs = [("b", bytes(32)), ("a", bytes([1] * 32)), ("é", bytes([2] * 32))]
    text = b"a\0" + bytes([1] * 32) + b"b\0" + bytes(32) + "é".encode() + b"\0" + bytes([2] * 32)
    assert set_digest(pairs) == set_digest(pairs[::-1]) == "sha256:" + hashlib.sha256(text).hexdigest()
    with pytest.raises(DataError, match="`b` occurs twice"):
        set_digest([("b", bytes(32)), ("b", bytes([9] * 32))])
