"""Costs of tokenizers whose parameters and operations can be counted by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from tokbench import evaluate
from tokbench.engine.profile import PATIENCE, REPEATS, device_name, profile, stored_tensors
from tokbench.tasks.cost import COST
from tokbench.tokenizer import Codes, TokenSpec

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


class Linear:
    """Pixels of 4 × 4 patches to 8 numbers and back, by matrices that are plain tensors or modules."""

    spec = TokenSpec("linear", "continuous", stride=4)

    def __init__(self) -> None:
        self.calls = 0
        self._parts = {"down": nn.Conv2d(3, 8, 4, stride=4, bias=True)}
        self._up = torch.rand(8, 48) * 0.01

    def encode(self, images: torch.Tensor) -> Codes:
        self.calls += 1
        return Codes(latents=self._parts["down"](images).contiguous())

    def decode(self, codes: Codes) -> torch.Tensor:
        assert codes.latents is not None
        n, _, height, width = codes.latents.shape
        patches = codes.latents.permute(0, 2, 3, 1) @ self._up
        pixels = patches.reshape(n, height, width, 3, 4, 4).permute(0, 3, 1, 4, 2, 5)
        return pixels.reshape(n, 3, 4 * height, 4 * width).sigmoid()


def test_operations_and_numbers_by_hand() -> None:
    tokenizer = Linear()
    with torch.inference_mode():
        found = profile(tokenizer, torch.rand(1, 3, 32, 16), lambda codes: codes, CPU)
    places = 8 * 4
    # A multiply-add is two operations: 48 inputs and 8 outputs at each place.
    assert found.encode_flops == 2 * places * 48 * 8
    assert found.decode_flops == 2 * places * 8 * 48
    assert found.parameters == 48 * 8 + 8 + 8 * 48
    assert 0 < found.encode_seconds < 1
    assert math.isnan(found.peak_bytes)
    assert found.device == device_name(CPU)
    assert tokenizer.calls == 2 + REPEATS


def test_lanes_are_counted_and_hidden_work_is_no_zero() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from tokbench.nn.lanes import one_by_one

    class Lanes(Linear):
        def encode(self, images: torch.Tensor) -> Codes:
            return Codes(latents=one_by_one(self._parts["down"], images))

    class Hidden(Linear):
        def encode(self, images: torch.Tensor) -> Codes:
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(super().encode, images).result()

        def decode(self, codes: Codes) -> torch.Tensor:
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(super().decode, codes).result()

    image, threads = torch.rand(1, 3, 8, 8), torch.get_num_threads()
    with torch.no_grad():
        assert profile(Lanes(), image, lambda codes: codes, CPU).encode_flops == 2 * 4 * 48 * 8
        assert math.isnan(profile(Hidden(), image, lambda codes: codes, CPU).encode_flops)
    assert torch.get_num_threads() == threads


def test_a_slow_tokenizer_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    from tokbench.engine import profile as module

    clock = iter(range(0, 1000, int(PATIENCE) + 1))
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    tokenizer = Linear()
    with torch.inference_mode():
        found = profile(tokenizer, torch.rand(1, 3, 8, 8), lambda codes: codes, CPU)
    assert found.encode_seconds == PATIENCE + 1
    assert tokenizer.calls == 2 + 1


def test_stored_tensors_are_found_once() -> None:
    shared = nn.Linear(3, 2)
    module = nn.Sequential(shared, nn.BatchNorm1d(2))
    holder = type("Holder", (), {})()
    holder.module, holder.again, holder.list = module, shared, [torch.zeros(5), {"x": torch.zeros(7)}]
    holder.itself = holder
    # Weight and bias of both layers, running mean and variance and their counter, and the two plain tensors.
    assert sorted(tensor.numel() for tensor in stored_tensors(holder)) == sorted([6, 2, 2, 2, 2, 2, 1, 5, 7])


def test_a_tokenizer_may_be_a_module() -> None:
    class Tokenizer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)
            self.table = torch.zeros(11)

    assert sum(tensor.numel() for tensor in stored_tensors(Tokenizer())) == 3 * 2 + 2 + 11


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_memory_on_a_device_counts_weights_and_work() -> None:
    tokenizer = Linear()
    tokenizer._parts["down"].cuda()
    tokenizer._up = tokenizer._up.cuda()
    image = torch.rand(1, 3, 512, 512, device="cuda")
    with torch.inference_mode():
        found = profile(tokenizer, image, lambda codes: codes, torch.device("cuda"))
    # Weights, latents and reconstruction at least; a copy or two of the reconstruction at most on top of them.
    floor = 4 * (found.parameters + 8 * 128 * 128 + 3 * 512 * 512)
    assert floor <= found.peak_bytes < 10 * floor
    assert found.device == torch.cuda.get_device_name()


def test_the_task_measures_embedded_tokenizers(images: Path, tmp_path: Path) -> None:
    names = ["vq-patch-8", "jpeg-q50"]
    results = evaluate(names, images, COST, protocol="adm-64", limit=4, out=tmp_path / "out", batch_size=2)
    assert results.value("vq-patch-8", "parameters") == pytest.approx(1024 * 192 / 1e6, rel=0.02)
    assert results.value("vq-patch-8", "tokens") == 64
    assert results.value("vq-patch-8", "bits") == 640
    # The search compares 64 patches with 1,024 entries of 192 numbers: one matrix product.
    assert results.value("vq-patch-8", "encode_flops") == pytest.approx(2 * 64 * 1024 * 192 / 1e9, rel=0.02)
    rows = {(row.tokenizer, row.metric): row for row in results.rows}
    assert rows["vq-patch-8", "encode_ms"].value > 0
    assert rows["jpeg-q50", "decode_ms"].value > 0
    assert "thread" in rows["jpeg-q50", "encode_ms"].reason
    assert "CUDA devices only" in rows["vq-patch-8", "peak_memory"].reason
    assert "native code" in rows["jpeg-q50", "encode_flops"].reason
