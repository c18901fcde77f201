"""A device that is full: fewer images at a time, the same numbers, and an error that says what to do at one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from tokbench import evaluate
from tokbench.engine.batch_size import AUTO, BatchSize
from tokbench.tokenizer import Codes, TokenSpec

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


class Hungry:
    """Keeps pixels as codes, and refuses more images at a time than it is told."""

    def __init__(self, most: int) -> None:
        self.spec = TokenSpec("hungry", "discrete", vocab=256, stride=8)
        self.most = most
        self.seen: list[int] = []

    def encode(self, images: Tensor) -> Codes:
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        self.seen.append(len(images))
        return Codes(ids=(images[:, 0, ::8, ::8] * 255).round().long())

    def decode(self, codes: Codes) -> Tensor:
        assert codes.ids is not None
        grey = (codes.ids.float() / 255)[:, None].expand(-1, 3, -1, -1)
        return torch.nn.functional.interpolate(grey, scale_factor=8)


def run(most: int, images: Path, out: Path, batch_size: Any = 16) -> tuple[Hungry, dict[str, float]]:
    tokenizer = Hungry(most)
    results = evaluate(
        tokenizer, images, "reconstruction", out=out, protocol="adm-64", batch_size=batch_size, device="cpu"
    )
    return tokenizer, {row.metric: row.value for row in results.rows if not row.metric.endswith("_ips")} | {
        f"failed {name}": 0.0 for name in results.failures
    }


def test_a_batch_that_does_not_fit_is_halved_and_no_number_moves(images: Path, tmp_path: Path) -> None:
    roomy, wanted = run(16, images, tmp_path / "roomy")
    tight, found = run(5, images, tmp_path / "tight")
    assert max(roomy.seen) == 16
    assert max(tight.seen) == 4
    assert found == pytest.approx(wanted, abs=1e-12, nan_ok=True)


def test_a_single_image_too_many_is_the_tokenizers_failure(images: Path, tmp_path: Path) -> None:
    tokenizer = Hungry(0)
    results = evaluate(tokenizer, images, "reconstruction", out=tmp_path, protocol="adm-64", device="cpu")
    assert "out of memory with a single image" in str(results.failures["hungry"])


def test_auto_grows_on_an_accelerator_until_memory_ends() -> None:
    size = BatchSize(AUTO, torch.device("cuda"))
    grown = []
    for _ in range(7):
        grown.append(size.current)
        size.fitted(size.current)
    assert grown == [16, 32, 64, 128, 256, 512, 512]
    assert size.smaller(512, "a", torch.OutOfMemoryError("full")) == 256
    size.fitted(256)
    assert size.current == 256


def test_a_given_size_stays(images: Path, tmp_path: Path) -> None:
    size = BatchSize(24, torch.device("cuda"))
    size.fitted(24)
    assert size.current == 24
    tokenizer, _ = run(64, images, tmp_path, batch_size="auto")
    assert max(tokenizer.seen) == 16  # a CPU gains nothing from more
