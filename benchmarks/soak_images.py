"""Images of mixed quality for `soak.py`: small, seeded, and a known part of them unreadable."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "jpeg": 40,
    "png": 15,
    "webp": 8,
    "grey": 4,
    "palette": 3,
    "alpha": 4,
    "cmyk": 5,
    "sixteen-bit": 5,
    "animated": 2,
    "tiny": 4,
    "pixel": 1,
    "wide": 3,
    "elongated": 1,
    "cut": 2,
    "noise": 2,
    "bomb": 1,
}
"""Kinds, and how many of a hundred images are of each."""

UNREADABLE = frozenset({"cut", "noise", "bomb", "elongated"})
"""Kinds that must be refused: damaged, no image, too large, and 1 × 20,000, of which no square can be cut."""


def write_images(folder: Path, count: int, seed: int) -> dict[str, str]:
    """Write `count` files and return ``{id: kind}``; the same seed gives the same bytes."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    names = list(KINDS)
    chosen = random.choice(len(names), count, p=np.array(list(KINDS.values())) / 100)
    kinds = {}
    for number, kind in enumerate(names[each] for each in chosen):
        data, suffix = _encoded(kind, random)
        name = f"{number:06d}-{kind}"
        (folder / f"{name}.{suffix}").write_bytes(data)
        kinds[name] = kind
    return kinds


def _encoded(kind: str, random: np.random.Generator) -> tuple[bytes, str]:
    if kind == "noise":
        return random.bytes(300), "jpg"
    if kind == "bomb":
        return _bomb(), "png"
    sides = {"tiny": (3, 5), "pixel": (1, 1), "wide": (300, 30), "elongated": (20_000, 1)}
    width, height = sides.get(kind, tuple(random.integers(64, 97, 2).tolist()))
    image = _smooth(width, height, random)
    if kind in {"jpeg", "wide", "cut", "cmyk"}:
        data = _save(
            image.convert("CMYK") if kind == "cmyk" else image, "JPEG", quality=int(random.integers(60, 98))
        )
        return data[: len(data) // 2] if kind == "cut" else data, "jpg"
    if kind == "webp":
        return _save(image, "WEBP", quality=80, method=0), "webp"
    if kind == "animated":
        return _save(image, "GIF", save_all=True, append_images=[image.rotate(90)]), "gif"
    return _save(_as_png(image, kind), "PNG", compress_level=1), "png"


def _as_png(image: Image.Image, kind: str) -> Image.Image:
    if kind == "grey":
        return image.convert("L")
    if kind == "palette":
        return image.quantize(64)
    if kind == "alpha":
        image.putalpha(image.convert("L"))
    if kind == "sixteen-bit":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image


def _smooth(width: int, height: int, random: np.random.Generator) -> Image.Image:
    """Noise at two scales."""
    parts = [
        Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for cells in (4, 16)
    ]
    return Image.blend(*parts, 0.4)


def _save(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _bomb() -> bytes:
    """The header of a 50,000 × 50,000 PNG."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + end
