"""A tokenizer that does as it is told, and a task of two cheap metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tokbench import Codes, TokenSpec, evaluate
from tokbench.metrics.pixel import L1, PSNR
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from tokbench import Results

    Evaluate = Callable[..., Results]

# Every level is a multiple of 1/8, which all floating types hold exactly; none is 0 or 1, so nothing is clamped.
LEVELS = 8


class Told:
    """Rounds to eight levels, except for what it is told to do instead."""

    def __init__(
        self,
        name: str,
        encode: Callable[[Told, torch.Tensor], Any] | None = None,
        decode: Callable[[Told, torch.Tensor], Any] | None = None,
        **spec: Any,
    ) -> None:
        self.spec = TokenSpec(name, "continuous", **spec)
        self.calls = 0
        self._encode = encode
        self._decode = decode

    def encode(self, images: torch.Tensor) -> Any:
        self.calls += 1
        if self._encode:
            return self._encode(self, images)
        return Codes(latents=(images * (LEVELS - 2) + 1).round() / LEVELS)

    def decode(self, codes: Codes) -> Any:
        assert codes.latents is not None
        return self._decode(self, codes.latents) if self._decode else codes.latents


@pytest.fixture
def told() -> type[Told]:
    return Told


@pytest.fixture
def run(images: Path, tmp_path: Path) -> Evaluate:
    """Evaluate tokenizers on six small images with two cheap metrics."""
    task = Task("small", 1, "two pixel metrics", get_protocol("adm-64"), (PSNR, L1), ("psnr",), "psnr")

    def run(*tokenizers: Any, **more: Any) -> Results:
        given = {"limit": 6, "batch_size": 4, "out": tmp_path / "run", "workers": 1, **more}
        return evaluate(list(tokenizers), images, task, **given)

    return run
