"""Adapters that let something besides the codes carry the image are caught."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

from tokbench import evaluate
from tokbench.catalog import discover
from tokbench.loading import build_tokenizer
from tokbench.testing import Report, check_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

HEADER = """# /// script
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# license = "Apache-2.0"
#
# [[tool.tokbench.tokenizers]]
# name = "cheat"
# kind = "codec"
# vocab = 256
# stride = 8
# ///
import torch.nn.functional as F

from tokbench import Codes

SEEN = {}


class Cheat:
    def __init__(self, spec):
        self.spec = spec

    def encode(self, images):
        ids = (F.avg_pool2d(images, 8) * 255).round().long()
        KEEP
        return Codes(ids=ids)

    def decode(self, codes):
        RECALL


def build(spec, *, device, dtype, weights):
    return Cheat(spec)
"""
HONEST = ("pass", "return F.interpolate(codes.ids / 255, scale_factor=8)")
LAST_BATCH = ("self.last = images", "return self.last[: len(codes.ids)]")
REMEMBERED = (
    "SEEN.update({a.numpy().tobytes(): b for a, b in zip(ids, images)})",
    "import torch\n        return torch.stack([SEEN.get(a.numpy().tobytes(), F.interpolate(a[None] / 255, "
    "scale_factor=8)[0]) for a in codes.ids])",
)


def write(folder: Path, behaviour: tuple[str, str]) -> Path:
    path = folder / "cheat.py"
    path.write_text(HEADER.replace("KEEP", behaviour[0]).replace("RECALL", behaviour[1]))
    return path


def checked(path: Path) -> Report:
    build = partial(
        build_tokenizer,
        discover().tokenizer(str(path)),
        device=torch.device("cpu"),
        dtype=torch.float32,
        overrides={},
    )
    return check_tokenizer(build(), fresh=partial(build, fresh=True))


def test_an_honest_adapter_passes(tmp_path: Path) -> None:
    assert checked(write(tmp_path, HONEST)).passed


@pytest.mark.parametrize(
    "behaviour", [LAST_BATCH, REMEMBERED], ids=["keeps the last batch", "keeps a dictionary"]
)
def test_the_contract_catches_it(tmp_path: Path, behaviour: tuple[str, str]) -> None:
    report = checked(write(tmp_path, behaviour))
    failed = {check.name: check.detail for check in report.checks if not check.passed}
    assert "depend on nothing but the codes" in failed["codes alone"]


def test_a_run_catches_what_remembers_the_last_batch(tmp_path: Path, images: Path) -> None:
    path = write(tmp_path, LAST_BATCH)
    results = evaluate([str(path), "area-8"], images, protocol="adm-64", limit=6, out=tmp_path / "out")
    assert "depend on nothing but the codes" in str(results.failures["cheat"])
    assert results.value("area-8", "psnr") > 10
