"""The script that fits the shipped codebooks: it finds clusters, repeats itself and refuses inexact sums."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[1] / "scripts" / "fit_codebooks.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_codebooks", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_codebooks"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def vectors() -> torch.Tensor:
    draw = torch.Generator().manual_seed(5)
    centres = torch.randint(-100, 100, (20, 12), generator=draw)
    own = torch.randint(0, 20, (3000,), generator=draw)
    return (centres[own] + torch.randint(-8, 9, (3000, 12), generator=draw)).to(torch.int16)


def test_the_fit_finds_clusters_and_repeats(script: ModuleType, vectors: torch.Tensor) -> None:
    entries, ids = script.fit(vectors, 20, seed=0)
    assert entries.dtype == torch.int8
    mse = float(script.squared_errors(vectors, entries[ids]).sum()) / vectors.numel()
    assert mse < 30  # uniform noise of ±8 has variance 24; a missed cluster costs hundreds
    again, _ = script.fit(vectors, 20, seed=0)
    assert torch.equal(entries, again)
    other, _ = script.fit(vectors, 20, seed=1)
    assert not torch.equal(entries, other)


def test_threads_and_chunks_do_not_change_the_fit(
    script: ModuleType, vectors: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, ids = script.fit(vectors, 32, seed=3)
    monkeypatch.setattr(script, "ROWS", 77)
    same, same_ids = script.fit(vectors, 32, seed=3)
    assert torch.equal(entries, same)
    assert torch.equal(ids, same_ids)


def test_entries_without_a_patch_are_restarted(
    script: ModuleType, vectors: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "start", lambda vectors, vocab, draw: vectors[:1].repeat(vocab, 1))
    entries, ids = script.fit(vectors, 20, seed=0)
    assert len(ids.unique()) == 20
    assert len(entries.unique(dim=0)) == 20


def test_the_start_chooses_different_vectors(script: ModuleType) -> None:
    repeated = torch.arange(10, dtype=torch.int16)[:, None].repeat(100, 3)
    chosen = script.start(repeated, 10, np.random.Generator(np.random.PCG64(0)))
    assert sorted(chosen[:, 0].tolist()) == list(range(10))


def test_patches_are_centred_pixels_of_each_photograph(script: ModuleType, tmp_path: Path) -> None:
    for name, level in (("a", 10), ("b", 200)):
        Image.new("RGB", (40, 30), (level, level, level)).save(tmp_path / f"{name}.png")
    patches = script.sample_patches(sorted(tmp_path.glob("*.png")), 8, 0, 120)
    assert patches.shape == (120, 192)
    assert patches.dtype == torch.int16
    assert sorted(set(patches.unique().tolist())) == [10 - 128, 200 - 128]
    assert int((patches[:, 0] < 0).sum()) == 60


def test_values_beyond_exact_arithmetic_are_refused(script: ModuleType) -> None:
    with pytest.raises(SystemExit, match="beyond exact float32 arithmetic"):
        script.nearest_chunked(torch.full((1, 192), 30_000, dtype=torch.int16), torch.full((1, 192), 127))


def test_written_files_repeat_and_name_their_training_set(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors import safe_open

    codebook = torch.zeros(4, 12, dtype=torch.int8)
    script.write(tmp_path / "one.safetensors", codebook, 0)
    script.write(tmp_path / "two.safetensors", codebook, 0)
    data = (tmp_path / "one.safetensors").read_bytes()
    assert data == (tmp_path / "two.safetensors").read_bytes()
    assert f"size = {len(data)}" in capsys.readouterr().out
    with safe_open(tmp_path / "one.safetensors", "pt") as file:
        assert '"training_set": "sha256:' in file.metadata()["tokbench"]
