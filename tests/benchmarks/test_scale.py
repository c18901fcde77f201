"""What the benchmarks make of their measurements: slopes, projections, ratios."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return {name: importlib.import_module(name) for name in ("scale", "overhead", "peers")}


def point(images: int, tokenizers: int) -> dict[str, Any]:
    """A machine on which a run costs 5 s, an image 20 ms, and each tokenizer on it 30 ms."""
    work = images * tokenizers
    return {
        "images": images,
        "tokenizers": tokenizers,
        "wall": 5 + 0.02 * images + 0.03 * work,
        "cpu": 1.0,
        "largest": 900.0,
        "together": 1000 + 0.001 * images,
        "results": 1000 * work,
        "cache": 500 * images,
    }


def test_slopes_and_projection(modules: dict[str, ModuleType]) -> None:
    scale = modules["scale"]
    wanted = scale.runs([400, 100, 100], 3)
    assert wanted == [(100, 1), (400, 1), (100, 3), (400, 3)]
    points = [point(*run) for run in wanted]
    assert scale.fit(points, "wall") == pytest.approx((5, 0.02, 0.03))
    shown = scale.show(points)
    assert "wall time ≈ 5.0 s + images × (20.0 ms + tokenizers × 30.0 ms)" in shown
    assert "under 1000 MB; from 100 to 400 images it changed by +1.0 MB per 1,000 images" in shown
    # 5 + 50,000 × (0.02 + 10 × 0.03) s
    assert "| wall time, one machine, one process | 4.4 h |" in shown
    assert "| results folder | 0.50 GB |" in shown
    assert "| cache | 0.03 GB |" in shown
    with pytest.raises(ValueError, match="at least two numbers"):
        scale.runs([100], 3)


def test_overhead_of_a_run(modules: dict[str, ModuleType]) -> None:
    floors = {"inception": [6.0, 6.2], "lpips-alex": [2.0, 1.8]}
    shown = modules["overhead"].show(floors, {32: [5.0, 5.0], 64: [10.0, 9.4]})
    assert "| networks alone, together | 8.00 | 125.0 | 1 |" in shown
    assert "| run of 64 images | 9.70 | 151.6 | **1.21 (1.18–1.25)** |" in shown
    assert "| its images beyond the first 32 | 4.70 | 146.9 | **1.18** |" in shown


def test_ratios_of_both_sides(modules: dict[str, ModuleType]) -> None:
    def side(wall: float, rfid: float) -> dict[str, Any]:
        usage = {"wall": wall, "cpu": 2 * wall, "largest": 1000.0, "together": 1500.0}
        return {
            "usage": usage,
            "values": {"a": {"rfid": rfid, "psnr": [20.0, 30.0]}, "b": {"rfid": 2, "psnr": [9.0, 8]}},
        }

    pairs = [
        {
            "peers": side(wall, 1.0) | {"steps": {"fidelity": wall}},
            "cold": side(10, 1.5),
            "warm": side(8, 1.5),
        }
        for wall in (40.0, 60.0)
    ]
    shown = modules["peers"].show(pairs, ("rfid", "psnr"), 2)
    assert (
        "| peers' chain ÷ tokbench | **5.00 (4.00–6.00)** | **5.00 (4.00–6.00)** | **1.00 (1.00–1.00)** |"
        in shown
    )
    assert "| tokbench, originals cached | 4.0 |" in shown
    assert "| rfid | 1.000000 | 1.500000 | 5.0e-01 |  |" in shown
    assert "| psnr | 25.000000 | 25.000000 | 0.0e+00 | 0.0e+00 |" in shown


def test_words_read_by_both_sides(modules: dict[str, ModuleType]) -> None:
    words = importlib.import_module("words")
    bench = object.__new__(words.Words)
    # Size ratios 24 / (3 · 256) = 0.031 (medium), twice, and 64 / (2 · 256) = 0.125 (large).
    bench.words = [{"box": [0, 0, 24, 9], "text": "abc"}] * 2 + [{"box": [0, 0, 64, 9], "text": "ab"}]
    scores = bench.scores([1, 0, 1])
    assert scores == pytest.approx(
        {"t_acc": float("nan"), "t_acc_small": float("nan"), "t_acc_medium": 0.5, "t_acc_large": 1},
        nan_ok=True,
    )
    usage = {"wall": 8.0, "cpu": 8.0, "largest": 900.0, "together": 900.0}
    shown = words.show(
        [({"usage": usage, "values": scores}, {"usage": usage | {"wall": 4.0}, "values": scores})]
    )
    assert "| peers' chain ÷ tokbench | **2.00** | **1.00** | **1.00** | **1.00** |" in shown
    assert "| t_acc_medium | 0.500000 | 0.500000 | 0.0e+00 |" in shown
