"""The part of the page's script that knows no browser, run by node where there is one."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.report.page import SCRIPTS, asset
from tokbench.results.rate_distortion import Point, pareto
from tokbench.results.schema import to_json
from tokbench.results.table import cell, number

if TYPE_CHECKING:
    from pathlib import Path

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def _run(code: str, value: Any, folder: Path) -> Any:
    (folder / "pure.js").write_text(asset("pure.js"))
    script = (
        f"const p = require('./pure.js'); const value = {to_json({'it': value})}.it; const out = {code}; "
    )
    script += "console.log(JSON.stringify(out))"
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", script], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_node
def test_numbers_read_as_in_the_terminal(tmp_path: Path, make_row: Any) -> None:
    values = [0.0, 1.0, 24.0, 31.23456, 0.05, 0.00001234, 123456.7, math.inf, math.nan, 0.99996]
    written = [text.replace("−", "-") for text in _run("value.map(p.number)", values, tmp_path)]
    # The exponent of a very small number has no leading zero in JavaScript.
    assert written == [number(value).replace("e-05", "e-5") for value in values]
    rows = [
        make_row("t", "m", value, ci_low=value - half, ci_high=value + half, reliable=reliable)
        for value, half, reliable in [
            (31.2345, 0.12, True),
            (0.4, 0.031, False),
            (250.0, 40.0, True),
            (3.0, 0.0, True),
        ]
    ]
    cells = [[row.value, row.ci_low, row.ci_high, 10, 0, int(row.reliable), 0, "", "ok"] for row in rows]
    parts = _run(
        "value.map((cell) => { const c = p.cellParts(cell); return `${c.value} ${c.half}`.trim(); })",
        cells,
        tmp_path,
    )
    assert parts == [cell(row) for row in rows]


def _cells(*values: tuple[float, bool] | None) -> list[Any]:
    return [0 if each is None else [each[0], None, None, 1, 0, int(each[1]), 0, "", "ok"] for each in values]


@needs_node
def test_what_must_not_be_ranked_comes_after_what_is(tmp_path: Path) -> None:
    cells = _cells(
        (2.0, True), None, (9.0, False), (math.inf, True), (math.nan, True), (3.0, True), (3.0, True)
    )
    assert _run("p.sortedLines(value, -1)", cells, tmp_path) == [3, 5, 6, 0, 2, 1, 4]
    assert _run("p.sortedLines(value, 1)", cells, tmp_path) == [0, 5, 6, 3, 2, 1, 4]


@needs_node
def test_the_best_is_marked_only_where_all_may_be_ranked(tmp_path: Path) -> None:
    best = "[...p.best(value, true)]"
    assert _run(best, _cells((1, True), (3, True), None, (3, True)), tmp_path) == [1, 3]
    assert _run(best, _cells((1, True), (3, False)), tmp_path) == []
    assert _run(best, _cells((1, True), None), tmp_path) == []
    assert _run("[...p.best(value, false)]", _cells((1, True), (3, True)), tmp_path) == [0]
    assert _run("[...p.best(value, null)]", _cells((1, True), (3, True)), tmp_path) == []


@needs_node
@pytest.mark.parametrize("higher", [True, False])
def test_the_front_is_that_of_the_library(tmp_path: Path, higher: bool) -> None:
    points = [(1, 5), (2, 4), (2, 7), (3, 7), (3, 9), (0.5, 5), (0.5, 5), (4, 1), (2, 7)]
    mine = _run(
        f"p.pareto(value.map(([rate, quality]) => ({{rate, quality}})), {str(higher).lower()})",
        points,
        tmp_path,
    )
    theirs = pareto([Point("t", "", rate, quality) for rate, quality in points], higher_is_better=higher)
    assert [(each["rate"], each["quality"]) for each in mine] == [
        (each.rate, each.quality) for each in theirs
    ]


@needs_node
def test_histograms_come_out_as_they_went_in(tmp_path: Path) -> None:
    import numpy as np

    from tokbench.report.spread import spread

    column = np.random.default_rng(0).normal(size=400)
    text = spread({0: {"m": column}}, {"m": None})["hists"]["m"]["of"][0][0]
    counts = np.histogram(column, bins=48)[0]
    assert _run("p.unpacked(value)", text, tmp_path) == counts.tolist()
    shares = _run("p.shares(p.unpacked(value))", text, tmp_path)
    assert shares == pytest.approx([0, *np.cumsum(counts) / 400])
    merged = _run("p.merged(p.unpacked(value), 16)", text, tmp_path)
    assert len(merged) == 8
    assert sum(merged) == 400


@needs_node
def test_zoom_keeps_its_point_and_the_picture_its_place(tmp_path: Path) -> None:
    view = _run("p.zoomed({scale: 2, x: -50, y: -20}, 2, 30, 40)", 0, tmp_path)
    # The point of the picture under (30, 40) is (40, 30) before and after.
    assert ((30 - view["x"]) / view["scale"], (40 - view["y"]) / view["scale"]) == (40, 30)
    assert _run("p.zoomed({scale: 2, x: 0, y: 0}, 0, 0, 0).scale", 0, tmp_path) == 1
    assert _run("p.clamped({scale: 2, x: 10, y: -900}, 100, 50)", 0, tmp_path) == {
        "scale": 2,
        "x": 0,
        "y": -50,
    }


@needs_node
def test_differences_are_absolute_and_saturate(tmp_path: Path) -> None:
    assert _run("[...p.differences([10, 20, 200, 255], [12, 10, 0, 255], 4)]", 0, tmp_path) == [
        8,
        40,
        255,
        255,
    ]


@needs_node
def test_ticks_are_round_and_inside(tmp_path: Path) -> None:
    assert _run("p.ticks(0, 1, 5)", 0, tmp_path) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert _run("p.logTicks(0.09, 2.1)", 0, tmp_path) == pytest.approx([0.1, 0.2, 0.5, 1, 2])


@pytest.mark.parametrize("name", [*SCRIPTS, "timeline.js"])
def test_no_script_makes_markup_of_text(name: str) -> None:
    text = asset(name)
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "</script",
    ):
        assert word not in text
