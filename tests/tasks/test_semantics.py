"""The semantics task from end to end, and what it says when weights are absent."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tokbench import Results, evaluate
from tokbench.metrics.probe import LINEAR_PROBE
from tokbench.tasks.semantics import SEMANTICS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    out: Path = tmp_path_factory.mktemp("runs") / "semantics"
    return evaluate(["identity", "jpeg-q10", "vq-patch-8"], "detail-mini", "semantics", limit=3, out=out)


def test_identity_keeps_every_class(results: Results) -> None:
    assert results.value("identity", "class_agreement") == 1
    assert results.value("identity", "object_agreement_small") == 1
    # Equal logits: the divergence is clamped at zero.
    assert results.value("identity", "class_kl") == 0


def test_jpeg_moves_the_classes(results: Results) -> None:
    assert results.value("jpeg-q10", "class_kl") > 0.01
    assert results.value("jpeg-q10", "class_agreement_top5") >= results.value("jpeg-q10", "class_agreement")


def test_blank_says_why(results: Results) -> None:
    rows = {(row.tokenizer, row.metric): row for row in results.rows}
    for metric in ("clip_similarity", "zero_shot_agreement", "cmmd", "fd_dinov2"):
        row = rows["jpeg-q10", metric]
        assert (row.status, math.isnan(row.value)) == ("unsupported", True)
        assert "tokbench fetch" in row.reason or "clip" in row.reason
    assert rows["jpeg-q10", "linear_probe"].reason == "needs a codebook or latents"
    assert rows["vq-patch-8", "linear_probe"].reason.startswith(
        "needs two labels with 5 images each; 0 images"
    )


def test_the_probe_runs_on_the_classes_of_photos_mini(tmp_path: Path) -> None:
    name = LINEAR_PROBE.name
    task = replace(SEMANTICS, metrics=(LINEAR_PROBE,), headline=(name,), primary=name)
    done = evaluate("vq-patch-8", "photos-mini", task, limit=64, out=tmp_path / "out")
    (row,) = done.rows
    assert (row.status, row.reason) == ("ok", "")
    # A share of images, with an interval that says how few they are.
    assert 0.2 < row.value < 1
    assert row.ci_low < row.value < row.ci_high
