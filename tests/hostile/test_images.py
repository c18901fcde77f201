"""Files that are no sound pictures: the first frame, plain pixels, or an `ImageError` that names the file."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from tokbench import evaluate
from tokbench.errors import ImageError
from tokbench.images.decode import decode

if TYPE_CHECKING:
    from pathlib import Path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def exif_block(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A little-endian EXIF block of ``(tag, type, count, value)``."""
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    return head + b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", following)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.txt", "photo"])
def test_the_name_of_a_file_does_not_matter(make_picture: Any, encode: Any, name: str) -> None:
    image = make_picture()
    assert np.array_equal(decode(encode(image, "PNG"), name).pixels, np.asarray(image))


@pytest.mark.parametrize("kind", ["GIF", "WebP", "PNG", "TIFF"])
def test_the_first_frame_counts(make_picture: Any, encode: Any, kind: str) -> None:
    frames = [make_picture(seed=number).quantize(8).convert("RGB") for number in range(3)]
    lossless = {"lossless": True} if kind == "WebP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    assert np.array_equal(decode(data, "x").pixels, np.asarray(frames[0]))


def test_a_palette_with_clear_entries_lies_on_white(encode: Any) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    pixels = decode(encode(image, "PNG", transparency=b"\x00\xff"), "x").pixels
    assert pixels.tolist() == [[[255, 255, 255], [200, 100, 50]]]


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
def test_extreme_shapes_are_read(make_picture: Any, encode: Any, size: tuple[int, int]) -> None:
    assert decode(encode(make_picture(*size)), "x").pixels.shape == (size[1], size[0], 3)


def test_one_pixel_and_a_thread_among_good_ones_in_a_run(make_picture: Any, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for name, size in {"good": (72, 64), "one": (1, 1), "thread": (1, 10_000)}.items():
        make_picture(*size).save(folder / f"{name}.png")
    results = evaluate("identity", folder, out=tmp_path / "out", protocol="adm-256", workers=1)
    assert list(results.unreadable["images:set"]) == ["thread"]
    row = next(row for row in results.rows if row.metric == "psnr")
    assert (row.n, row.failed, row.value) == (2, 1, np.inf)


@pytest.mark.parametrize(
    "block",
    [
        exif_block((0x0112, 3, 1, 255)),
        exif_block((0x0112, 3, 1, 0)),
        exif_block((0x0112, 4, 1, 6)),
        exif_block((0x0112, 3, 2**32 - 1, 6)),
        exif_block((0x8769, 4, 1, 8), following=8),  # directories that lead back to themselves
        exif_block((0x0201, 4, 1, 8), (0x0202, 4, 1, 2**32 - 1)),  # a thumbnail of four gigabytes
        exif_block(*[(0x9286, 7, 2**31, 0)] * 900),
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0",
    ],
    ids=["255", "0", "long", "count", "loop", "thumbnail", "many", "offset", "entries", "empty"],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_hostile_exif_leaves_the_picture_upright(
    make_picture: Any, encode: Any, kind: str, block: bytes
) -> None:
    image = make_picture()
    options = {"JPEG": {"quality": 95}, "WebP": {"lossless": True}}.get(kind, {})
    plain = decode(encode(image, kind, **options), "x").pixels
    assert np.array_equal(decode(encode(image, kind, exif=block, **options), "x").pixels, plain)


def test_a_tiff_whose_directories_loop_is_read_once(make_picture: Any, encode: Any) -> None:
    image = make_picture()
    data = bytearray(encode(image, "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * entries, start)
    assert np.array_equal(decode(bytes(data), "x").pixels, np.asarray(image))


def test_a_tiff_that_claims_a_strip_beyond_the_file_is_refused(make_picture: Any) -> None:
    stream = io.BytesIO()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    make_picture().save(stream, "TIFF", tiffinfo=tags)
    data = bytearray(stream.getvalue())
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    for number in range(entries):
        at = start + 2 + 12 * number
        if struct.unpack_from("<H", data, at) == (273,):  # StripOffsets
            struct.pack_into("<I", data, at + 8, 2**31)
    with pytest.raises(ImageError, match=r"^x\.tif: damaged"):
        decode(bytes(data), "x.tif")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("profile", ["garbage", "cut", "other", "claims", "empty"])
def test_a_hostile_profile_is_ignored(make_picture: Any, encode: Any, mode: str, profile: str) -> None:
    from PIL import ImageCms

    sound = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    data = {
        "garbage": bytes(range(256)) * 4,
        "cut": sound[:200],
        "other": lab,
        "claims": struct.pack(">I", 2**32 - 1) + sound[4:128] + struct.pack(">I", 2**31) + sound[132:],
        "empty": b"\0",
    }[profile]
    image = make_picture().convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    plain = decode(encode(image, kind), "x").pixels
    assert np.array_equal(decode(encode(image, kind, icc_profile=data), "x").pixels, plain)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98])
def test_what_is_cut_off_is_refused_by_name(make_picture: Any, encode: Any, kind: str, share: float) -> None:
    data = encode(make_picture(64, 48), kind)
    with pytest.raises(ImageError, match=r"^cut\.png: "):
        decode(data[: int(share * len(data))], "cut.png")


def test_a_bomb_within_the_limit_of_pixels_is_a_picture() -> None:
    """Sixteen megapixels of one colour in 16 kB: large, allowed, and not held more than a few times."""
    side = 4096
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes((side // 8 + 1) * side), 9))
    data = b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")
    assert len(data) < 20_000
    assert decode(data, "x").pixels.max() == 0
    with pytest.raises(ImageError, match="megapixels, above the limit"):
        decode(data, "x", limit=side * side - 1)
