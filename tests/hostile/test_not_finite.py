"""NaN and infinity from wherever they come: a blank with a reason, never a good number."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tokbench import evaluate
from tokbench.catalog import Catalog, discover
from tokbench.metrics.agreement import agreement, divergence
from tokbench.metrics.base import ImageMetric
from tokbench.metrics.perceptual import distance
from tokbench.metrics.pixel import PSNR
from tokbench.networks.base import Evaluator, Features
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BAD = {"nan": math.nan, "inf": math.inf, "minus inf": -math.inf}


class Broken:
    """The embedded network, but for one number of the darkest image, or of all of them."""

    def __init__(self, network: Any, value: float, everywhere: bool) -> None:
        self.network, self.value, self.everywhere = network, value, everywhere

    def __call__(self, images: torch.Tensor) -> Features:
        found: Features = self.network(images)
        rows = slice(None) if self.everywhere else images.double().mean((1, 2, 3)).argmin()
        maps = tuple(layer.clone() for layer in found.maps)
        pooled, logits = found.pooled.clone(), found.logits.clone()
        for each in (pooled, logits, *maps):
            each[rows].flatten()[0] = self.value
            each[rows, ..., 0] = self.value
        return replace(found, pooled=pooled, logits=logits, maps=maps)


def catalog_with(value: float, everywhere: bool) -> Catalog:
    here = discover()
    real = here.evaluator("lite0")

    def load(files: Mapping[str, Path], device: torch.device) -> Broken:
        return Broken(real.load(files, device), value, everywhere)

    class Given:
        name, origin = "lite0", "tests"

        def load(self) -> Evaluator:
            return replace(real, load=load)

    return replace(here, evaluators={**here.evaluators, "lite0": Given()})


@pytest.mark.parametrize(("name", "everywhere"), [("nan", True), ("nan", False), ("inf", False)])
def test_a_broken_network_gives_no_number(images: Path, tmp_path: Path, name: str, everywhere: bool) -> None:
    results = evaluate(
        "jpeg-q50",
        images,
        ["reconstruction", "semantics"],
        out=tmp_path / "out",
        protocol="adm-64",
        limit=4,
        workers=1,
        catalog=catalog_with(BAD[name], everywhere),
    )
    wanted = {"fd_lite0", "kid_lite0", "feat_lite0", "class_agreement", "class_agreement_top5", "class_kl"}
    rows = {row.metric: row for row in results.rows if row.metric in wanted}
    assert rows.keys() == wanted
    for row in rows.values():
        assert math.isnan(row.value), row
        assert (row.status, row.reliable) == ("unsupported", False)
        assert "infinit" in row.reason
    assert results.value("jpeg-q50", "psnr") > 20  # what needs no network stands


def test_infinity_in_a_mean_blanks_the_metric(images: Path, tmp_path: Path) -> None:
    metrics = tuple(
        ImageMetric(name, name, "", True, measure, "Made up.")
        for name, measure in (("all", _all), ("one", _one), ("minus", _minus), ("none", _none))
    )
    task = Task("made-up", 1, "Made up.", get_protocol("native"), (*metrics, PSNR), ("all",), "all")
    here = discover()

    class Given:
        name, origin = "made-up", "tests"

        def load(self) -> Task:
            return task

    catalog = replace(here, tasks={**here.tasks, "made-up": Given()})
    results = evaluate(
        "identity", images, ["made-up"], out=tmp_path / "out", limit=3, workers=1, catalog=catalog
    )
    rows = {row.metric: row for row in results.rows}
    for name, count in (("all", 3), ("one", 1), ("minus", 1)):
        assert math.isnan(rows[name].value)
        assert rows[name].reason == f"infinite or not a number on {count} of 3 images"
    assert rows["none"].reason == "no image could be measured"
    assert rows["psnr"].value == math.inf  # its mean knows what that means


def _all(batch: Any) -> np.ndarray:
    return np.full(len(batch.original), np.inf)


def _one(batch: Any) -> np.ndarray:
    return np.where(batch.index == 0, np.inf, 1.0)


def _minus(batch: Any) -> np.ndarray:
    return np.where(batch.index == 0, -np.inf, 1.0)


def _none(batch: Any) -> np.ndarray:
    return np.full(len(batch.original), np.nan)


@pytest.mark.parametrize("bad", BAD.values())
def test_comparisons_of_what_is_not_finite(bad: float) -> None:
    """Two rows of NaN have the same first class: without a check they would agree."""
    logits = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    broken = logits.clone()
    broken[1, 0] = bad
    for a, b in ((logits, broken), (broken, logits), (broken, broken)):
        assert agreement(a, b, 1).tolist() == [1.0, math.inf]
        assert divergence(a, b)[0] == 0
        assert divergence(a, b)[1] >= 0.5 or math.isinf(divergence(a, b)[1])
    maps = torch.ones(2, 3, 4, 4)
    torn = maps.clone()
    torn[1, 0, 0, 0] = bad
    assert distance(Features(maps=(maps,)), Features(maps=(torn,))).tolist() == [0.0, math.inf]
    assert distance(Features(maps=(torn,)), Features(maps=(torn,)))[1] == math.inf
