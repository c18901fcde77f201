"""A device that is full: fewer images at a time, and the same numbers; with a single image, an error that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from tokbench import Codes, TokenSpec, evaluate
from tokbench.errors import AdapterError
from tokbench.external.frames import Frame
from tokbench.external.proxy import _raise_failure
from tokbench.metrics.pixel import L1, PSNR
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench import Results

TASK = Task("small", 1, "two pixel metrics", get_protocol("adm-64"), (PSNR, L1), ("psnr",), "psnr")


class Hungry:
    """A tokenizer for which the device holds so many images and no more."""

    def __init__(self, room: int, verb: str = "encode", name: str = "hungry") -> None:
        self.spec = TokenSpec(name, "continuous", stride=8)
        self.batches: list[int] = []
        self._room = room
        self._verb = verb

    def _need(self, verb: str, count: int) -> None:
        if verb == self._verb and count > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore words")

    def encode(self, images: torch.Tensor) -> Codes:
        self.batches.append(len(images))
        self._need("encode", len(images))
        return Codes(latents=torch.nn.functional.avg_pool2d(images, 8))

    def decode(self, codes: Codes) -> torch.Tensor:
        assert codes.latents is not None
        self._need("decode", len(codes.latents))
        return torch.nn.functional.interpolate(codes.latents, scale_factor=8.0)


def run(images: Path, out: Path, *tokenizers: Any) -> Results:
    return evaluate(list(tokenizers), images, TASK, limit=20, batch_size=8, out=out)


@pytest.fixture(scope="module")
def undisturbed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return run(images, tmp_path_factory.mktemp("memory") / "run", Hungry(1000))


@pytest.mark.parametrize(("verb", "room"), [("encode", 3), ("decode", 1)])
def test_a_batch_that_does_not_fit_is_halved_and_numbers_stay(
    undisturbed: Results, images: Path, tmp_path: Path, verb: str, room: int
) -> None:
    tokenizer = Hungry(room, verb)
    results = run(images, tmp_path / "run", tokenizer)
    assert results.failures == {}
    assert results.rows == undisturbed.rows
    fitting = [size for size in tokenizer.batches if size > room]
    assert fitting == [8, 4, 2][: len(fitting)]  # each size is tried once and never again
    assert fitting


def test_a_single_image_that_does_not_fit_ends_that_tokenizer_alone(images: Path, tmp_path: Path) -> None:
    results = run(images, tmp_path / "run", Hungry(0), Hungry(1000, name="modest"))
    reason = results.failures["hungry"]
    assert reason.startswith(
        "AdapterError: tokenizer `hungry`: out of memory with a single image: CUDA out of"
    )
    assert "more words" not in reason
    assert "modest" not in results.failures
    assert results.value("modest", "psnr") > 10


def test_memory_that_runs_out_in_a_worker_is_answered_the_same_way() -> None:
    failure = {
        "type": "OutOfMemoryError",
        "message": "CUDA out of memory",
        "hint": None,
        "module": None,
        "trace": "",
    }
    spec = TokenSpec("theirs", "continuous")
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        _raise_failure(Frame({"error": failure}), "encode", spec, None)
    with pytest.raises(AdapterError, match=r"`theirs`: build\(\) raised OutOfMemoryError"):
        _raise_failure(Frame({"error": failure}), "build", spec, None)
