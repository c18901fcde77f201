"""Seeded photographs for benchmarks: as many as wanted, made from the 128 that ship with tokbench."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tokbench.shipped import shipped

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 256


def write_images(folder: Path, count: int) -> Path:
    """Write `count` different 256×256 JPEG files: crops of photos-mini of 3/4 to whole side, every other mirrored.

    Files that are there already are left alone, so that a folder can grow; image i is the same in every folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    photos = []
    for path in sorted((shipped("datasets") / "photos-mini").glob("*.webp")):
        with Image.open(path) as image:
            photos.append(image.convert("RGB"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(_write, folder, photos), range(count)))
    return folder


def _write(folder: Path, photos: list[Image.Image], number: int) -> None:
    path = folder / f"{number:06d}.jpg"
    if path.exists():
        return
    random = np.random.default_rng(number)
    photo = photos[number % len(photos)]
    side = int(random.integers(3 * SIDE // 4, SIDE + 1))
    x, y = (int(random.integers(0, length - side + 1)) for length in photo.size)
    crop = photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(x, y, x + side, y + side))
    if random.integers(2):
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    partial_path = path.with_suffix(".part")
    crop.save(partial_path, "JPEG", quality=95)
    partial_path.replace(path)
