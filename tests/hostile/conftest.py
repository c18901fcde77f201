"""What the tests of hostile input share: small pictures, and the strategies of `benchmarks/fuzz.py`."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def picture(width: int = 24, height: int = 16, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="session")
def make_picture() -> Callable[..., Image.Image]:
    return picture


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    return encoded


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    """Write a tar of ``(member, data)``."""

    def make(*members: tuple[tarfile.TarInfo | str, bytes], **options: Any) -> Path:
        path = tmp_path / "set.tar"
        with tarfile.open(path, "w", **options) as tar:
            for member, data in members:
                info = tarfile.TarInfo(member) if isinstance(member, str) else member
                if isinstance(member, str):
                    info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return make


@pytest.fixture(scope="session")
def fuzz_module() -> Callable[[str], Any]:
    """Import a module of the fuzzer, which lies beside the other benchmarks and is no package."""

    def load(name: str) -> Any:
        import importlib

        sys.path.insert(0, str(ROOT / "benchmarks"))
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(str(ROOT / "benchmarks"))

    return load
