"""Curves out of rows, Bjøntegaard deltas against the package `bjontegaard`, and the task from one encode."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tokbench import Results, evaluate
from tokbench.catalog import discover
from tokbench.errors import UsageError
from tokbench.results.rate_distortion import (
    Curve,
    Point,
    bd_quality,
    bd_rate,
    curves,
    deltas,
    family_of,
    pareto,
)
from tokbench.tasks.rate_distortion import GRID, RATE_DISTORTION, HasLength
from tokbench.tokenizer import TokenSpec

if TYPE_CHECKING:
    from pathlib import Path

# The worked example that the package's page prints: x265 at two presets.
ANCHOR = ([9487.76, 4593.60, 2486.44, 1358.24], [40.037, 38.615, 36.845, 34.851])
TEST = ([9787.80, 4469.00, 2451.52, 1356.24], [40.121, 38.651, 36.970, 34.987])


def curve(rates, qualities, family="one", higher=True):
    points = sorted(
        (Point(family, "", rate, quality) for rate, quality in zip(rates, qualities, strict=True)),
        key=lambda point: point.rate,
    )
    return Curve("set", "adm-256", family, "psnr", higher, tuple(points))


@pytest.mark.parametrize(
    ("fit", "rate", "quality"), [("cubic", -4.4205, 0.12041), ("pchip", -4.4175, 0.11969)]
)
def test_the_worked_example(fit, rate, quality):
    anchor, test = curve(*ANCHOR), curve(*TEST, "two")
    # The example's figures as the package gives them, rounded as printed here.
    assert bd_rate(anchor, test, fit) == pytest.approx(rate, abs=5e-5)
    assert bd_quality(anchor, test, fit) == pytest.approx(quality, abs=5e-6)


@pytest.mark.parametrize("fit", ["cubic", "pchip"])
def test_deltas_are_those_of_the_bjontegaard_package(fit):
    bjontegaard = pytest.importorskip("bjontegaard", reason="tokbench[dev] installs bjontegaard")
    random = np.random.default_rng(0)
    for _ in range(20):
        sides = [
            (np.cumsum(random.uniform(0.1, 1, 5)), np.cumsum(random.uniform(0.5, 3, 5)) + 25)
            for _ in range(2)
        ]
        anchor, test = (curve(*side, name) for side, name in zip(sides, ("one", "two"), strict=True))
        plain = [values for side in sides for values in side]
        options = {"method": fit, "require_matching_points": False, "min_overlap": 0}
        # Both integrate polynomials in closed form; cubic fits differ by conditioning, so 1e-7 of the value.
        assert bd_rate(anchor, test, fit) == pytest.approx(bjontegaard.bd_rate(*plain, **options), rel=1e-7)
        assert bd_quality(anchor, test, fit) == pytest.approx(
            bjontegaard.bd_psnr(*plain, **options), rel=1e-7
        )


@pytest.mark.parametrize("fit", ["cubic", "pchip"])
def test_deltas_in_closed_form(fit):
    rates, qualities = np.array([0.1, 0.2, 0.4, 0.8]), np.array([20.0, 24, 27, 29])
    anchor = curve(rates, qualities)
    # Half the rate at every quality; two decibels more at every rate; nothing at all.
    assert bd_rate(anchor, curve(rates / 2, qualities), fit) == pytest.approx(-50, abs=1e-9)
    assert bd_quality(anchor, curve(rates, qualities + 2), fit) == pytest.approx(2, abs=1e-9)
    assert bd_rate(anchor, anchor, fit) == pytest.approx(0, abs=1e-9)
    distance = curve(rates, -qualities, higher=False)
    assert bd_rate(distance, curve(rates / 2, -qualities, higher=False), fit) == pytest.approx(-50, abs=1e-9)
    assert bd_quality(distance, curve(rates, -qualities - 2, higher=False), fit) == pytest.approx(
        -2, abs=1e-9
    )


@pytest.mark.parametrize(
    ("other", "fit", "message"),
    [
        (curve([1, 2], [30, 31], "two"), "cubic", "needs 4"),
        (curve([1], [30], "two"), "pchip", "needs 2"),
        (curve([1, 2, 3, 4], [50, 51, 52, 53], "two"), "pchip", "no quality in common"),
        (curve([1, 2, 3, 4], [30, 31, 30.5, 33], "two"), "pchip", "does not get strictly better"),
        (replace(curve(*TEST, "two"), dataset="other"), "pchip", "dataset other against set"),
        (replace(curve(*TEST, "two"), metric="ssim"), "pchip", "metric ssim against psnr"),
    ],
)
def test_what_cannot_be_compared_says_why(other, fit, message):
    with pytest.raises(UsageError, match=message):
        bd_rate(curve(*ANCHOR), other, fit)


def test_rates_must_overlap_too():
    with pytest.raises(UsageError, match="no rate in common"):
        bd_quality(curve([1, 2, 3], [30, 31, 32]), curve([5, 6, 7], [30, 31, 32], "two"))


def test_pareto_front_by_hand():
    points = [
        Point(name, "", rate, quality)
        for name, rate, quality in zip("abcdef", [1, 2, 2, 3, 3, 1], [5, 7, 6, 7, 9, 5], strict=True)
    ]
    assert [point.tokenizer for point in pareto(points)] == ["a", "f", "b", "e"]
    assert [point.tokenizer for point in pareto(points, higher_is_better=False)] == ["a", "f"]
    assert pareto([]) == []


def test_families_are_names_without_their_knob():
    names = ["jpeg-q50", "jpeg2000-r16", "area-8", "vq-patch-16", "vq-conv-f8", "identity", "titok-l32"]
    assert [family_of(name) for name in names] == [
        "jpeg",
        "jpeg2000",
        "area",
        "vq-patch",
        "vq-conv",
        "identity",
        "titok",
    ]


def test_lengths_come_from_the_header():
    spec = TokenSpec("x", "discrete", vocab=4, options={"lengths": [1, 2, 4]})
    assert HasLength(2)(spec) == ""
    assert HasLength(3)(spec) == "has no length 3"
    assert "clean view" in HasLength(4)(spec)
    assert "options.lengths" in HasLength(1)(TokenSpec("x", "discrete", vocab=4))


def test_headers_state_the_lengths_their_tokenizers_have():
    from tokbench.loading import build_tokenizer

    torch = pytest.importorskip("torch")
    catalog = discover()
    checked = 0
    for entry in catalog.tokenizers.values():
        assert entry.variant is not None
        carried = all(file.scheme == "shipped" for file in entry.variant.weights)
        if carried and "variable-length" in entry.variant.spec.capabilities:
            tokenizer = build_tokenizer(entry, device=torch.device("cpu"), dtype=torch.float32, overrides={})
            assert tuple(entry.variant.spec.options["lengths"]) == tokenizer.lengths()
            checked += 1
    assert checked >= 1


def test_the_conformance_kit_finds_lengths_that_a_header_hides(monkeypatch):
    from tokbench.loading import build_tokenizer
    from tokbench.testing import check_tokenizer

    torch = pytest.importorskip("torch")
    entry = discover().tokenizer("rvq-patch-8")
    tokenizer = build_tokenizer(entry, device=torch.device("cpu"), dtype=torch.float32, overrides={})
    checks = {check.name: check for check in check_tokenizer(tokenizer).checks}
    assert checks["variable length"].passed
    monkeypatch.setattr(tokenizer, "spec", replace(tokenizer.spec, options={}))
    checks = {check.name: check for check in check_tokenizer(tokenizer).checks}
    assert "options.lengths None; wanted [1, 2, 3, 4]" in checks["variable length"].detail


@pytest.fixture(scope="module")
def results(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    names = ["rvq-patch-8", "vq-patch-8", "jpeg-q10", "jpeg-q50", "jpeg-q95"]
    out = tmp_path_factory.mktemp("runs") / "out"
    return evaluate(names, images, RATE_DISTORTION, protocol="adm-64", limit=8, out=out)


def test_one_encode_serves_every_length(results):
    # The first level of the residual quantiser is the plain quantiser: same bits, same pixels.
    for metric in ("bpp", "bpp_entropy", "psnr", "ssim", "feat_lite0"):
        short = results.value("rvq-patch-8", metric, view="k=1")
        assert short == pytest.approx(results.value("vq-patch-8", metric), rel=1e-12)
    bits = [results.value("rvq-patch-8", "bpp", view=view) for view in ("k=1", "k=2", "k=3", "")]
    assert bits == [10 * level / 64 for level in (1, 2, 3, 4)]
    quality = [results.value("rvq-patch-8", "psnr", view=view) for view in ("k=1", "k=2", "k=3", "")]
    assert quality == sorted(quality)


def test_lengths_that_do_not_exist_are_blank_with_a_reason(results):
    rows = {(row.tokenizer, row.view): row for row in results.rows if row.metric == "psnr"}
    assert len(rows) == 5 * (1 + len(GRID))
    assert rows["rvq-patch-8", "k=8"].reason == "has no length 8"
    assert "clean view" in rows["rvq-patch-8", "k=4"].reason
    assert rows["jpeg-q50", "k=1"].reason == "needs codes of variable length"


def test_rows_become_curves_and_deltas(results):
    found = curves(results.rows, "psnr")
    assert {each.family: len(each.points) for each in found} == {"rvq-patch-8": 4, "vq-patch": 1, "jpeg": 3}
    jpeg = next(each for each in found if each.family == "jpeg")
    assert [point.tokenizer for point in jpeg.points] == ["jpeg-q10", "jpeg-q50", "jpeg-q95"]
    merged = curves(results.rows, "psnr", families={"vq-patch-8": "jpeg"})
    assert {each.family: len(each.points) for each in merged}["jpeg"] == 4
    lines = {line["family"]: line for line in deltas(found, "jpeg")}
    assert set(lines) == {"rvq-patch-8", "vq-patch"}
    assert "needs 2" in lines["vq-patch"]["reason"]
    assert math.isnan(lines["vq-patch"]["bd_rate"])
    with pytest.raises(UsageError, match="no curve of `webp`"):
        deltas(found, "webp")


def test_values_that_must_not_be_ranked_make_no_curve(results):
    with pytest.raises(UsageError, match="no tokenizer has both `fd_lite0`"):
        curves(results.rows, "fd_lite0")  # eight images: marked unreliable
    with pytest.raises(UsageError, match="no better end"):
        curves(results.rows, "bpp_entropy")
