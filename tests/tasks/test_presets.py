"""Presets run from end to end, and differ from the strict task where they should."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tokbench import Results, evaluate
from tokbench.tasks import presets

if TYPE_CHECKING:
    from pathlib import Path

PRESETS = [presets.LLAMAGEN, presets.TITOK, presets.SEED_VOKEN, presets.VTBENCH, presets.LIGHTNINGDIT]


@pytest.fixture(scope="module")
def results(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    out = tmp_path_factory.mktemp("runs") / "presets"
    tasks = [task.name for task in PRESETS]
    return evaluate(["identity", "jpeg-q50"], images, tasks, limit=4, out=out)


def test_every_preset_has_its_own_protocol_and_rows(results: Results) -> None:
    found = {(row.task, row.protocol) for row in results.rows}
    assert found == {(task.name, task.protocol.name) for task in PRESETS}
    assert len({task.protocol.id for task in PRESETS}) == len(PRESETS)


def value(results: Results, tokenizer: str, metric: str) -> float:
    rows = [row for row in results.rows if (row.tokenizer, row.metric) == (tokenizer, metric)]
    assert len({row.value for row in rows}) == 1
    return rows[0].value


@pytest.mark.parametrize("metric", ["ssim_llamagen", "ssim_seed", "ssim_lightningdit", "ssim_vtbench"])
def test_identity_is_perfect_and_jpeg_is_not(results: Results, metric: str) -> None:
    assert value(results, "identity", metric) == pytest.approx(1, abs=1e-9)
    assert 0.5 < value(results, "jpeg-q50", metric) < 0.9999


@pytest.mark.parametrize("metric", ["psnr_seed", "psnr_vtbench"])
def test_psnr_of_identity_is_infinite(results: Results, metric: str) -> None:
    assert value(results, "identity", metric) == math.inf
    assert 20 < value(results, "jpeg-q50", metric) < 60


def test_lpips_of_vtbench_says_what_it_lacks(results: Results) -> None:
    row = next(row for row in results.rows if row.metric == "lpips_vtbench")
    assert row.status == "unsupported"
    assert "tokbench fetch alexnet" in row.reason or "lpips-alex-vtbench" in row.reason
