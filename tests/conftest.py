"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]

# No plugin of the developer's machine takes part, and nothing is written to or read from the user's cache.
os.environ["TOKBENCH_PLUGINS"] = ""

# As the command line does: idle threads that spin slow down everything else. It must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def smooth_image(seed: int, height: int = 64, width: int = 72) -> np.ndarray:
    """A random image with structure at several scales, uint8 [h, w, 3]."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells in (3, 8, 24):
        coarse = random.uniform(0, 255, (cells, cells, 3)).astype(np.uint8)
        total += np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), float)
    return (total / 3).round().astype(np.uint8)


def write_images(folder: Path, count: int, **shape: int) -> Path:
    """Write PNG images into a folder, named so that they sort by number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(smooth_image(number, **shape)).save(folder / f"image-{number:03d}.png")
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 small images: three shards of 16, 16 and 8."""
    return write_images(tmp_path_factory.mktemp("images") / "small", 40)
