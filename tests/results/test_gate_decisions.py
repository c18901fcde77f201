"""The gate on what it is for: real small regressions and pure noise, twenty trials of each, on photographs.

Every trial of a regression has its own 20 photographs of `photos-mini`, every trial of noise a seed of its own; all
are looked at in 64×64 pixels.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tokbench import Codes, Results, Task, TokenSpec, evaluate, get_protocol
from tokbench.catalog import discover
from tokbench.images.imageset import open_card
from tokbench.loading import build_tokenizer
from tokbench.metrics.pixel import L1, PSNR
from tokbench.metrics.pooled import PSNR_POOLED
from tokbench.metrics.structural import SSIM
from tokbench.nn.image_file import ImageFileCodec
from tokbench.results.gate import Gate, judge
from tokbench.results.side import Side, of_run
from tokbench.results.thresholds import Threshold, Thresholds

if TYPE_CHECKING:
    from torch import Tensor

    from tokbench import ImageSet, Tokenizer

TRIALS, IMAGES = 20, 20
CPU = torch.device("cpu")
QUICK = Task(
    name="quick",
    version=1,
    title="pixel metrics in 64×64",
    protocol=get_protocol("adm-64"),
    metrics=(PSNR, PSNR_POOLED, SSIM, L1),
    headline=("psnr",),
    primary="psnr",
)


class Shuffled:
    """`vq-patch-8` whose decoder's codebook has one entry of sixteen in the place of another, random ones."""

    def __init__(self, inner: Tokenizer) -> None:
        self.spec = replace(inner.spec, name="vq-shuffled", capabilities=())
        self._inner = inner
        moved = torch.randperm(1024, generator=torch.Generator().manual_seed(0))[: 1024 // 16]
        self._wrong = torch.arange(1024)
        self._wrong[moved] = moved.roll(1)

    def encode(self, images: Tensor) -> Codes:
        return self._inner.encode(images)

    def decode(self, codes: Codes) -> Tensor:
        assert codes.ids is not None
        return self._inner.decode(Codes(ids=self._wrong[codes.ids.long()].to(codes.ids.dtype)))


class Dithered(ImageFileCodec):
    """JPEG whose decoder adds noise of one grey level, drawn anew with every seed."""

    def __init__(self) -> None:
        spec = TokenSpec("dithered", "codec", any_size=True, deterministic=False)
        super().__init__(spec, CPU, "JPEG", quality=75)

    def decode(self, codes: Codes) -> Tensor:
        images = super().decode(codes)
        return images + torch.randn(images.shape) / 255


@pytest.fixture(scope="module")
def photographs() -> ImageSet:
    return open_card(*discover().image_set("photos-mini"))


@pytest.fixture(scope="module")
def regressions(photographs: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Results:
    vq = build_tokenizer(discover().tokenizer("vq-patch-8"), device=CPU, dtype=torch.float32, overrides={})
    out = tmp_path_factory.mktemp("regressions") / "run"
    return evaluate(["jpeg-q75", "jpeg-q50", vq, Shuffled(vq)], photographs, QUICK, out=out, limit=120)


@pytest.fixture(scope="module")
def reseeded(photographs: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> list[Side]:
    """The same twenty photographs with twenty-one seeds."""
    folder = tmp_path_factory.mktemp("reseeded")
    catalog = discover()
    found = []
    for seed in range(TRIALS + 1):
        results = evaluate(
            Dithered(),
            photographs,
            QUICK,
            out=folder / str(seed),
            seed=seed,
            limit=IMAGES,
            batch_size=IMAGES,
            catalog=catalog,
        )
        found.append(of_run(results, "dithered", {"quick": QUICK}))
    assert len({side.parts[place].measured["psnr"].row.value for side in found for place in side.parts}) == 21
    return found


def part_of(side: Side, chosen: list[int]) -> Side:
    """Keep some images; set metrics, whose states cannot be cut, stay away."""
    ((place, part),) = side.parts.items()
    measured = {
        name: replace(each, values=each.values[chosen])
        for name, each in part.measured.items()
        if each.values is not None
    }
    images, pixels = (tuple(names[at] for at in chosen) for names in (part.images, part.pixels))
    cut = replace(part, images=images, pixels=pixels, measured=measured)
    return replace(side, tokenizer="ours", label="ours", parts={place: cut})


def trials(results: Results, before: str, after: str) -> list[Gate]:
    """Let one tokenizer take the place of another, on twenty draws of twenty photographs."""
    then, now = (of_run(results, name, {"quick": QUICK}) for name in (before, after))
    found = []
    for trial in range(TRIALS):
        chosen = sorted(np.random.default_rng(trial).choice(120, IMAGES, replace=False).tolist())
        found.append(judge([part_of(then, chosen)], {"ours": part_of(now, chosen)}, seed=trial))
    return found


@pytest.mark.parametrize(("before", "after"), [("vq-patch-8", "vq-shuffled"), ("jpeg-q75", "jpeg-q50")])
def test_a_real_regression_fails_20_times_of_20(regressions: Results, before: str, after: str) -> None:
    found = trials(regressions, before, after)
    assert len(found) == TRIALS
    assert [gate.verdict for gate in found] == ["fail"] * TRIALS
    for gate in found:
        psnr = next(check for check in gate.checks if check.metric == "psnr")
        assert (psnr.verdict, psnr.allowed) == ("fail", 0.1)
        assert psnr.difference < psnr.ci_high < 0
        assert (
            psnr.reason.endswith("dB, only 0.10 dB allowed, certain".removeprefix("dB"))
            or "certain" in psnr.reason
        )


@pytest.mark.parametrize(("before", "after"), [("vq-shuffled", "vq-patch-8"), ("jpeg-q50", "jpeg-q75")])
def test_an_improvement_passes_20_times_of_20(regressions: Results, before: str, after: str) -> None:
    assert [gate.verdict for gate in trials(regressions, before, after)] == ["pass"] * TRIALS


def test_set_metrics_fail_too(regressions: Results) -> None:
    then, now = (of_run(regressions, name, {"quick": QUICK}) for name in ("jpeg-q75", "jpeg-q50"))
    found = judge([replace(then, tokenizer="jpeg-q50")], {"jpeg-q50": now})
    verdicts = {check.metric: check.verdict for check in found.checks}
    assert verdicts == {"images": "pass"} | dict.fromkeys(("psnr", "psnr_pooled", "ssim", "l1"), "fail")
    assert found.tests == 4


def test_noise_of_reseeding_passes_20_times_of_20(reseeded: list[Side]) -> None:
    found = [judge([reseeded[0]], {"dithered": side}) for side in reseeded[1:]]
    assert [gate.verdict for gate in found] == ["pass"] * TRIALS
    assert found[0].notes[0] == "seed 0 in the baseline, 1 in the run: what is drawn anew counts as change"


def test_noise_rarely_fails_even_without_any_tolerance(reseeded: list[Side]) -> None:
    """Then only certainty, corrected for the number of metrics, holds it back: one gate in forty on average."""
    intolerant = Thresholds({("", "default", ""): Threshold(absolute=0.0)})
    found = [judge([one], {"dithered": two}, intolerant) for one, two in pairwise(reseeded)]
    assert sum(gate.verdict == "fail" for gate in found) <= 1
    assert sum(gate.verdict == "inconclusive" for gate in found) >= 10
