"""`Results.plot()`: what is drawn, without looking at pixels."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.errors import MissingPackageError, UsageError
from tokbench.results.plot import rate_distortion_plot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokbench.results.results import Results

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra report)")


@pytest.fixture(autouse=True)
def _no_screen() -> Iterator[None]:
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def test_points_and_intervals_are_those_of_the_rows(small_run: Results) -> None:
    axes = small_run.plot()
    lines = {each.get_label(): each for each in axes.containers}
    # The identity is exact, infinitely good, and so not drawn.
    assert set(lines) == {"jpeg-q50", "vq-patch-8"}
    ((x,), (y,)) = lines["jpeg-q50"].lines[0].get_data()
    row = next(row for row in small_run.rows if row.tokenizer == "jpeg-q50" and row.metric == "psnr")
    assert (x, y) == (small_run.value("jpeg-q50", "bpp"), row.value)
    ends = lines["jpeg-q50"].lines[2][1].get_segments()[0][:, 1]
    assert list(ends) == pytest.approx([row.ci_low, row.ci_high])
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "psnr, dB ↑"


def test_families_are_lines_and_axes_are_kept(make_row: Any) -> None:
    from matplotlib import pyplot

    rows = [
        make_row(f"jpeg-q{knob}", metric, value)
        for knob in (10, 50, 90)
        for metric, value in (("bpp", knob / 10), ("psnr", 20 + knob / 10))
    ]
    _, mine = pyplot.subplots()
    assert rate_distortion_plot(rows, ax=mine) is mine
    (line,) = mine.containers
    assert line.get_label() == "jpeg"
    assert list(line.lines[0].get_xdata()) == [1, 5, 9]


def test_what_cannot_be_drawn_is_said(make_row: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [make_row("t", "bpp", 1.0), make_row("t", "psnr", 30.0)]
    with pytest.raises(UsageError, match="no tokenizer has both `ssim` and `bpp`"):
        rate_distortion_plot(rows, "ssim")
    with pytest.raises(UsageError, match="on `elsewhere`"):
        rate_distortion_plot(rows, dataset="elsewhere")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match="matplotlib"):
        rate_distortion_plot(rows)
