"""Two truths that need no reference: `identity` is perfect, and JPEG 95, 50 and 10 fall in order, on every metric."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tokbench import Results, evaluate

if TYPE_CHECKING:
    from pathlib import Path

PERFECT = {
    "psnr": math.inf,
    "ssim": 1.0,
    "ms_ssim": 1.0,
    "l1": 0.0,
    "feat_lite0": 0.0,
    "fd_lite0": 0.0,
    "kid_lite0": 0.0,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    names = ["identity", "jpeg-q95", "jpeg-q50", "jpeg-q10"]
    return evaluate(names, "photos-mini", limit=32, out=tmp_path_factory.mktemp("runs") / "out")


@pytest.mark.parametrize("metric", PERFECT)
def test_identity_is_perfect(results: Results, metric: str) -> None:
    # Distances of equal features may be off by rounding of float64 sums: 1e-9 where values of real codecs exceed 1e-3.
    assert results.value("identity", metric) == pytest.approx(PERFECT[metric], abs=1e-9)


@pytest.mark.parametrize("metric", PERFECT)
def test_jpeg_falls_in_order(results: Results, metric: str) -> None:
    values = [results.value(f"jpeg-q{quality}", metric) for quality in (95, 50, 10)]
    higher = next(row.higher_is_better for row in results.rows if row.metric == metric)
    assert values == sorted(values, reverse=bool(higher))
    assert len(set(values)) == 3
    assert not any(math.isnan(value) for value in values)


def test_jpeg_spends_fewer_bits_in_order(results: Results) -> None:
    bits = [results.value(f"jpeg-q{quality}", "bpp") for quality in (95, 50, 10)]
    assert bits[0] > bits[1] > bits[2] > 0


def test_few_images_are_marked_and_never_ranked(results: Results) -> None:
    rows = [row for row in results.rows if row.metric == "fd_lite0"]
    assert all(not row.reliable and "below 2 ×" in row.reason for row in rows)


def test_intervals_hold_the_value(results: Results) -> None:
    for row in results.rows:
        if not math.isnan(row.ci_low):
            assert row.ci_low <= row.value <= row.ci_high, row


def test_what_cannot_be_measured_is_blank_with_a_reason(results: Results) -> None:
    blank = {row.metric: row for row in results.rows if row.tokenizer == "jpeg-q50" and math.isnan(row.value)}
    assert {"rfid", "lpips_alex", "lpips_vgg", "codebook_usage"} <= set(blank)
    assert "weights of inception not found; tokbench fetch inception" in blank["rfid"].reason
    assert blank["codebook_usage"].reason == "needs a codebook"
    assert all(row.status == "unsupported" for row in blank.values())


def test_results_show_as_tables_and_frames(results: Results, tmp_path: Path) -> None:
    assert "<th>jpeg-q50</th>" in results._repr_html_()
    frame = results.frame()
    assert {"tokenizer", "metric", "value", "ci_low", "reason"} <= set(frame.columns)
    images = results.images()
    assert len(images) == 4 * 32
    mean = images[images.tokenizer == "jpeg-q50"].psnr.mean()
    assert mean == pytest.approx(results.value("jpeg-q50", "psnr"), rel=1e-12)
    again = Results.load(results.folder)
    assert again.frame().equals(frame)


def test_every_view_of_a_sweep_has_a_line(tmp_path: Path) -> None:
    from tokbench.results.table import tables

    results = evaluate("rvq-patch-8", "photos-mini", "rate-distortion", limit=2, out=tmp_path / "out")
    (table,) = tables(results.rows, {"rate-distortion": ("psnr",)})
    assert list(table.lines) == ["rvq-patch-8", *(f"rvq-patch-8 k={k}" for k in (1, 2, 3))]
    full, *cut = [line["psnr"].value for line in table.lines.values()]
    assert cut[0] < cut[1] < cut[2] < full
