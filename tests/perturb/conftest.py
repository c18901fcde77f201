"""A tokenizer that is nothing but a codebook, and batches of its ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch

from tokbench.tokenizer import Codes, TokenSpec
from tokbench.views import Encoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass
class Toy:
    """Only what perturbations ask for; `features` stands for the encoder's output, one row an image."""

    spec: TokenSpec
    entries: Tensor
    features: Tensor

    def encode(self, images: Tensor) -> Codes:
        raise NotImplementedError

    def decode(self, codes: Codes) -> Tensor:
        raise NotImplementedError

    def codebook(self) -> Tensor:
        return self.entries

    def encoder_features(self, images: Tensor) -> Tensor:
        return self.features[images[:, 0, 0, 0].long()]


@dataclass
class Bench:
    """Twelve images of one kind of quantiser, of which any selection can be perturbed."""

    toy: Toy
    ids: Tensor

    def encoded(self, rows: list[int], seed: int = 0) -> Encoded:
        images = torch.tensor(rows, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2)
        names = tuple(f"image-{row}" for row in rows)
        return Encoded(self.toy, images, Codes(ids=self.ids[rows]), names, seed, {}, {})


SPECS = {
    "vq": TokenSpec("toy", "discrete", vocab=64, capabilities=("codebook", "encoder-features")),
    "product": TokenSpec(
        "toy", "discrete", vocab=64, codebooks=3, capabilities=("codebook",), quantizer="product"
    ),
    "residual": TokenSpec(
        "toy", "discrete", vocab=64, codebooks=3, capabilities=("codebook",), quantizer="residual"
    ),
    "lfq": TokenSpec("toy", "discrete", vocab=64, quantizer="lfq"),
    "bsq": TokenSpec("toy", "discrete", vocab=64, codebooks=3, quantizer="bsq"),
    "fsq": TokenSpec("toy", "discrete", vocab=64, quantizer="fsq", options={"levels": [2, 4, 8]}),
}


@pytest.fixture(params=SPECS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def make_bench() -> Callable[[str], Bench]:
    """Make the bench of a kind: 12 images of 20×25 positions, books of 64 entries (the residual one shared)."""

    def make(kind: str) -> Bench:
        draw = torch.Generator().manual_seed(4)
        spec = SPECS[kind]
        books = (spec.codebooks,) if spec.codebooks > 1 else ()
        entries = torch.randn(*(books if kind == "product" else ()), 64, 5, generator=draw)
        ids = torch.randint(0, 64, (12, *books, 20, 25), generator=draw, dtype=torch.int32)
        features = torch.empty(0)
        if kind == "vq":
            entries[7] = entries[3]  # an entry with a duplicate
            features = entries[ids.long()] + 0.01 * torch.randn(12, 20, 25, 5, generator=draw)
        return Bench(Toy(spec, entries, features), ids)

    return make
