"""The adapter that CONTRIBUTING.md shows is run as it stands on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tokbench import evaluate
from tokbench.catalog import discover
from tokbench.loading import build_tokenizer
from tokbench.testing import check_tokenizer

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    match = re.search(r"<!-- example: (\S+) -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert match is not None
    path = tmp_path / match[1]
    path.write_text(match[2])
    return path


def test_the_example_is_short_and_passes_the_contract(adapter: Path) -> None:
    assert len(adapter.read_text().splitlines()) < 40
    entry = discover().tokenizer(str(adapter))
    built = build_tokenizer(entry, device=torch.device("cpu"), dtype=torch.float32, overrides={})
    check_tokenizer(built).raise_if_failed()


def test_the_example_is_evaluated(adapter: Path, images: Path, tmp_path: Path) -> None:
    results = evaluate([str(adapter), "area-8"], images, protocol="adm-64", limit=6, out=tmp_path / "out")
    assert results.complete
    assert results.value("mean-colour-8", "bpp") == 24 / 64
    assert 10 < results.value("mean-colour-8", "psnr") < results.value("area-8", "psnr")
