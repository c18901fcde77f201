"""Adapters as the product loads them, and an image with something of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from tokbench.bitstream import pack, unpack
from tokbench.catalog import Catalog, discover
from tokbench.images.rounding import from_uint8, to_uint8
from tokbench.loading import build_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tokbench.tokenizer import Tokenizer

    Load = Callable[[str], Tokenizer]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return discover()


@pytest.fixture(scope="session")
def load(catalog: Catalog) -> Load:
    def by_name(name: str) -> Tokenizer:
        entry = catalog.tokenizer(name)
        return build_tokenizer(entry, device=torch.device("cpu"), dtype=torch.float32, overrides={})

    return by_name


@pytest.fixture(scope="session")
def scene() -> Tensor:
    """One 256×256 image, float32 ``[1, 3, 256, 256]``: ramps, waves, discs, stripes, noise."""
    draw = torch.Generator().manual_seed(7)
    y, x = torch.meshgrid(torch.linspace(0, 1, 256), torch.linspace(0, 1, 256), indexing="ij")
    image = torch.stack([0.2 + 0.6 * x, 0.7 - 0.4 * y, 0.3 + 0.3 * (x + y) / 2])
    image += 0.15 * torch.sin(60 * x**2 + 25 * y) * (y > 0.5)
    for _ in range(14):
        cx, cy, radius = torch.rand(3, generator=draw)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < (0.03 + 0.1 * radius) ** 2
        image = torch.where(inside, torch.rand(3, 1, 1, generator=draw), image)
    stripes = ((x * 256).long() // 3 % 2 == 0) & (y < 0.15)
    image = torch.where(stripes, torch.tensor(0.9), image)
    image += 0.02 * torch.randn(image.shape, generator=draw)
    return from_uint8(to_uint8(image))[None]


@pytest.fixture(scope="session")
def photos_like(scene: Tensor) -> Tensor:
    """Thirty-two different 64×64 cuts of the scene, float32 ``[32, 3, 64, 64]``."""
    draw = torch.Generator().manual_seed(11)
    corners = torch.randint(0, 193, (32, 2), generator=draw).tolist()
    return torch.cat([scene[:, :, top : top + 64, left : left + 64] for top, left in corners])


@pytest.fixture(scope="session")
def through_bytes() -> Callable[[Tokenizer, Tensor], tuple[Tensor, list[int]]]:
    """Encode, pack, unpack, decode; return the uint8 reconstructions and the bits of each image."""

    def trip(tokenizer: Tokenizer, images: Tensor) -> tuple[Tensor, list[int]]:
        packed = pack(tokenizer.encode(images), tokenizer.spec)
        output = tokenizer.decode(unpack([item.data for item in packed], tokenizer.spec))
        assert output.shape == images.shape
        assert output.is_floating_point()
        return to_uint8(output), [item.bits for item in packed]

    return trip


@pytest.fixture(scope="session")
def psnr() -> Callable[[Tensor, Tensor], float]:
    """Mean PSNR in dB of uint8 reconstructions, against float originals rounded to uint8."""

    def mean(originals: Tensor, reconstructions: Tensor) -> float:
        error = (to_uint8(originals).double() - reconstructions.double()).square().mean(dim=(1, 2, 3))
        return float((10 * torch.log10(255**2 / error)).mean())

    return mean
