"""What must be known of encoded bytes before a decoder runs: format, EXIF orientation, the size of a JPEG XL.

Everything here reads a few bytes of hostile input, so nothing raises on malformed data: it says so.
"""

from __future__ import annotations

import struct

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
)
_AVIF_BRANDS = (b"avif", b"avis", b"mif1", b"msf1")


def sniff(data: bytes) -> str:
    """Name the image format that `data` begins like; "" when it is none that tokbench reads."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp" and data[8:12] in _AVIF_BRANDS:
        return "AVIF"
    return ""


def describe_bytes(data: bytes) -> tuple[str, str | None]:
    """Say what data that is no image looks like, and what to do about it.

    Returns:
        A reason and a hint (or None).
    """
    if not data:
        return "the file is empty", "copy it again"
    start = data[:256].lstrip()
    if start.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer, not the image", "run `git lfs pull` where the images come from"
    if start[:9].lower() in (b"<!doctype", b"<html") or start[:5].lower() == b"<html":
        return "this is an HTML page, not an image", "the download was probably refused; fetch it again"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in data[:256]):
        return "this is text, not an image", None
    return "not a PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 or JPEG XL image", None


def exif_orientation(exif: object) -> int:
    """Read the orientation tag (0x0112) of an EXIF block's first directory.

    Args:
        exif: the block's bytes, with or without the ``Exif`` prefix; anything else counts as absent.

    Returns:
        1 to 8; 1 (upright) when the block is absent, broken or says something else.
    """
    if not isinstance(exif, bytes):
        return 1
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, start)
        for index in range(entries):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", block, start + 2 + 12 * index)
            if (tag, kind, count) == (0x0112, 3, 1):
                return value if 1 <= value <= 8 else 1
    except struct.error:  # an offset beyond the block
        return 1
    return 1


def jxl_size(data: bytes) -> tuple[int, int] | None:
    """Read (width, height) from a JPEG XL size header (ISO/IEC 18181-1), bare or in its container.

    The available decoder decodes while it opens, too late for a size check. None when the header is not
    found.
    """
    stream = data if data.startswith(b"\xff\x0a") else _codestream(data)
    if not stream.startswith(b"\xff\x0a"):
        return None
    bits = int.from_bytes(stream[2:16], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (1 + take(5)) if small else 1 + take((9, 13, 18, 30)[take(2)])

    height = side()
    ratio = take(3)
    up, down = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio]
    return (height * up // down if ratio else side()), height


def _codestream(data: bytes) -> bytes:
    """Find the first codestream box of a JPEG XL container."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, position + 8)
            head = 16
        if kind == b"jxlc":
            return data[position + head : position + head + 16]
        if kind == b"jxlp":  # a 4-byte part number stands first
            return data[position + head + 4 : position + head + 20]
        if size < head:
            break
        position += size
    return b""
