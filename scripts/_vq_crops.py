"""Random training crops for `train_conv_vq.py`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

SIDE = 128
SMALLEST_SHORT_SIDE = 200


class Photos:
    """Photographs held in memory as Pillow images.

    Args:
        paths: RGB files; every one is as likely as any other, whatever its size.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.images: list[Image.Image] = []
        for path in paths:
            with Image.open(path) as image:
                self.images.append(image.convert("RGB"))

    def batch(self, size: int, random: np.random.Generator) -> Tensor:
        """Draw float32 ``[size, 3, 128, 128]`` in [0, 1]."""
        crops = np.stack([self._crop(random) for _ in range(size)])
        return torch.from_numpy(crops).permute(0, 3, 1, 2)

    def _crop(self, random: np.random.Generator) -> np.ndarray:
        image = self.images[random.integers(len(self.images))]
        short = min(image.size)
        # Evaluation mostly shrinks a photograph until its short side is 256: scales down to that are drawn as often
        # (in octaves) as those near the full resolution.
        smallest = min(1.0, SMALLEST_SHORT_SIDE / short)
        window = SIDE / math.exp(random.uniform(math.log(smallest), 0.0))
        left, top = (random.uniform(0, side - window) for side in image.size)
        resampling = Image.Resampling.BICUBIC if random.random() < 0.5 else Image.Resampling.BOX
        crop = image.resize((SIDE, SIDE), resampling, box=(left, top, left + window, top + window))
        pixels = np.asarray(crop, dtype=np.float32) / 255
        return _recolour(pixels[:, ::-1] if random.random() < 0.5 else pixels, random)


def _recolour(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Half of the crops keep their colours; the others vary in saturation, tint and brightness."""
    if random.random() < 0.5:
        return np.ascontiguousarray(pixels)
    grey = pixels.mean(axis=2, keepdims=True)
    saturated = grey + (pixels - grey) * np.float32(random.uniform(0.3, 1.6))
    tinted = saturated * random.uniform(0.75, 1.25, size=3).astype(np.float32)
    return np.clip(tinted, 0, 1).astype(np.float32)


def centre_crop(path: Path, side: int = 256) -> Tensor:
    """Read a photograph as evaluation does: short side to `side`, centre crop; float32 ``[3, side, side]``."""
    with Image.open(path) as image:
        scale = side / min(image.size)
        width, height = (max(side, round(length * scale)) for length in image.size)
        small = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side) // 2, (height - side) // 2
    pixels = np.asarray(small.crop((left, top, left + side, top + side)), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)
