"""Comparing runs: pairing, refusals that name the field, tables, words, JSON, the images that changed most."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tokbench import Results, compare
from tokbench.cli.app import app
from tokbench.errors import IntegrityError, UnknownNameError, UsageError
from tokbench.results.comparable import IncomparableError
from tokbench.results.compare import compare_sides
from tokbench.results.side import Part, Place, Side, of_run
from tokbench.results.sources import tasks_of

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench.results.comparison import Comparison


@pytest.fixture(scope="module")
def sides(finished: Results) -> tuple[Side, Side]:
    tasks = tasks_of(finished)
    a, b = (of_run(finished, name, tasks) for name in ("jpeg-q75", "jpeg-q50"))
    return a, b


def only_place(side: Side) -> tuple[Place, Part]:
    ((place, part),) = side.parts.items()
    return place, part


def changed(side: Side, **identity: Any) -> Side:
    place, part = only_place(side)
    return replace(side, parts={place: replace(part, identity={**part.identity, **identity})})


def moved(side: Side, position: int, name: str) -> Side:
    place, part = only_place(side)
    other = (*place[:position], name, *place[position + 1 :])
    return replace(side, parts={other: part})


def test_rows_of_a_known_difference(finished: Results, pair: Comparison) -> None:
    found = pair
    rows = {row.metric: row for row in found.rows}
    images = finished.images().pivot(index="image", columns="tokenizer", values="psnr")
    by_hand = (images["jpeg-q50"] - images["jpeg-q75"]).mean()
    assert rows["psnr"].difference == pytest.approx(by_hand, rel=1e-9)
    assert rows["psnr"].ci_low < by_hand < rows["psnr"].ci_high < 0
    assert (rows["psnr"].n, rows["psnr"].finding) == (20, "certain")
    assert rows["psnr"].p < rows["psnr"].p_holm <= rows["psnr"].p * found.tests
    assert rows["psnr_pooled"].method == "paired jackknife"
    assert rows["psnr_pooled"].finding == "certain"
    # 20 images are too few for a Fréchet distance, however clear the difference.
    assert rows["fd_lite0"].finding == "unreliable"
    assert "not certain: n = 20 below 2 × 1,280" in rows["fd_lite0"].effect
    assert not {"encode_ips", "decode_ips"} & rows.keys()
    assert found.left_out == ("timings differ from run to run and are not compared: encode_ips, decode_ips",)
    assert found.tests == sum(not math.isnan(row.p) and row.finding != "equal" for row in found.rows)


def test_the_images_that_changed_most(finished: Results, pair: Comparison) -> None:
    found = pair
    images = finished.images().pivot(index="image", columns="tokenizer", values="psnr")
    gap = (images["jpeg-q50"] - images["jpeg-q75"]).abs().sort_values(ascending=False)
    # The primary metric, fd_lite0, has no value for one image: the headline's first that has one stands in.
    assert {each.metric for each in found.changed} == {"psnr"}
    assert [each.image for each in found.changed] == list(gap.index[:5])
    assert found.changed[0].value_b == images["jpeg-q50"][found.changed[0].image]


def test_the_exact_reference(finished: Results) -> None:
    found = compare("identity", "jpeg-q50", run=finished)
    rows = {row.metric: row for row in found.rows}
    assert rows["psnr"].difference == -math.inf
    assert rows["psnr"].effect == "the reference is exact in psnr, jpeg-q50 is not, certain"
    # Its replicates of the distance between equal sets are not stored, they are all zero.
    assert not math.isnan(rows["kid_lite0"].ci_low)
    assert found.changed[0].value_a == math.inf


def test_several_are_corrected_together(finished: Results, pair: Comparison) -> None:
    whole = compare(finished)
    assert (whole.reference, whole.others) == ("jpeg-q75", ("jpeg-q50", "identity"))
    assert whole.tests > pair.tests
    assert {row.b for row in whole.rows} == {"jpeg-q50", "identity"}


def test_a_run_against_itself_is_equal(finished: Results, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "again")
    found = compare(f"{finished.folder}:jpeg-q50", f"{tmp_path / 'again'}:jpeg-q50")
    assert found.reference == "jpeg-q50 (run)"
    assert found.others == ("jpeg-q50 (again)",)
    assert {row.finding for row in found.rows if row.metric != "fd_lite0"} == {"equal"}
    assert found.tests == 0
    assert not found.changed
    assert next(row for row in found.rows if row.metric == "ssim").effect == "ssim is exactly the same"


@pytest.mark.parametrize(
    ("position", "name", "field"),
    [(0, "other-set", "image set"), (1, "detail", "task"), (2, "native", "protocol")],
)
def test_nothing_in_common_names_the_field(
    sides: tuple[Side, Side], position: int, name: str, field: str
) -> None:
    a, b = sides
    with pytest.raises(IncomparableError, match=f"{field}: .* in `jpeg-q75`, {name} in `jpeg-q50`") as caught:
        compare_sides(a, [moved(b, position, name)])
    assert caught.value.field == field
    assert caught.value.exit_code == 8


@pytest.mark.parametrize(
    ("identity", "field"),
    [
        ({"seed": 1}, "seed: 0 in `jpeg-q75`, 1 in `jpeg-q50`"),
        ({"protocol": "abc"}, "protocol: [0-9a-f]+ in `jpeg-q75`, abc in `jpeg-q50`"),
        ({"schema": 0}, "schema: 1 in `jpeg-q75`, 0 in `jpeg-q50`"),
        ({"images": {"identity": "files:1", "selection": "x"}}, "images.identity: "),
        ({"tasks": {"reconstruction": 2}}, "version of task reconstruction: 1 in `jpeg-q75`, 2 in"),
        ({"evaluators": {"lite0": {"lite0": "dead"}}}, "weights of evaluator lite0: .*dead"),
    ],
)
def test_refusals_name_the_field_and_both_values(
    sides: tuple[Side, Side], identity: dict[str, Any], field: str
) -> None:
    a, b = sides
    with pytest.raises(IncomparableError, match=field):
        compare_sides(a, [changed(b, **identity)])


def test_other_selections_and_other_pixels_are_refused(sides: tuple[Side, Side]) -> None:
    a, b = sides
    place, part = only_place(b)
    fewer = replace(part, images=part.images[:10], pixels=part.pixels[:10])
    with pytest.raises(IncomparableError, match=r"number of images: 20 in .*, 10 in") as caught:
        compare_sides(a, [replace(b, parts={place: fewer})])
    assert caught.value.hint == "run both with the same --limit, or both without"
    other = replace(part, pixels=(*part.pixels[:-1], "0" * 64))
    with pytest.raises(IncomparableError, match=f"pixels of image {part.images[-1]}: "):
        compare_sides(a, [replace(b, parts={place: other})])
    images = {**part.identity["images"], "selection": "x"}
    with pytest.raises(IncomparableError, match=r"images\.selection: .*, x in"):
        compare_sides(a, [changed(b, images=images)])


def test_images_that_failed_on_one_side(sides: tuple[Side, Side]) -> None:
    a, b = sides
    place, part = only_place(b)
    psnr = part.measured["psnr"]
    assert psnr.values is not None
    values = np.where(np.arange(20) == 7, math.nan, psnr.values)
    failed = replace(
        part,
        failed={part.images[7]: "torn"},
        measured={**part.measured, "psnr": replace(psnr, values=values)},
    )
    found = compare_sides(a, [replace(b, parts={place: failed})])
    rows = {row.metric: row for row in found.rows}
    assert rows["psnr"].n == 19
    assert rows["psnr_pooled"].finding == "unreliable"
    assert "some failed on one side only" in rows["psnr_pooled"].effect
    assert any("1 images failed and are left out of the pairs" in line for line in found.left_out)


def test_a_metric_that_one_side_lacks_is_said(sides: tuple[Side, Side]) -> None:
    a, b = sides
    place, part = only_place(b)
    ssim = part.measured["ssim"]
    lacking = replace(ssim, row=replace(ssim.row, status="unsupported", value=math.nan, reason="no weights"))
    found = compare_sides(
        a, [replace(b, parts={place: replace(part, measured={**part.measured, "ssim": lacking})})]
    )
    row = next(row for row in found.rows if row.metric == "ssim")
    assert (row.finding, row.effect) == ("unsupported", "ssim not compared: `jpeg-q50`: no weights")
    with pytest.raises(UsageError, match=r"`jpeg-q50` has no results in .*: it broke"):
        compare_sides(a, [replace(b, broken="it broke")])


def test_what_cannot_be_opened(finished: Results, tmp_path: Path) -> None:
    folder = finished.folder
    with pytest.raises(UsageError, match="is no results folder") as caught:
        compare("nowhere", folder)
    assert caught.value.hint == "give FOLDER, FOLDER:TOKENIZER, or names of tokenizers with --run FOLDER"
    with pytest.raises(UsageError, match="holds 3 tokenizers: jpeg-q75, jpeg-q50, identity"):
        compare(folder, f"{folder}:jpeg-q50")
    with pytest.raises(
        UnknownNameError,
        match="unknown tokenizer in this run: `jpeg-q51`; did you mean `jpeg-q75` or `jpeg-q50`",
    ):
        compare("jpeg-q75", "jpeg-q51", run=folder)
    with pytest.raises(UsageError, match="is named twice"):
        compare("jpeg-q75", "jpeg-q75", run=folder)
    with pytest.raises(UsageError, match="one tokenizer alone leaves nothing to compare"):
        compare(f"{folder}:jpeg-q75")
    with pytest.raises(IntegrityError, match="holds no finished run"):
        compare(tmp_path, folder)


def test_a_table_within_100_columns_and_plain_words(finished: Results) -> None:
    done = CliRunner().invoke(
        app, ["compare", "jpeg-q75", "jpeg-q50", "--run", str(finished.folder), "--top", "2"]
    )
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].rstrip() == "images:small · 20 images · reconstruction · adm-64"
    assert lines[1].rstrip() == "reference: jpeg-q75; other: jpeg-q50"
    table = lines[: lines.index("the images that changed most in psnr:")]
    assert (
        max(map(len, table[: next(n for n, line in enumerate(table) if line.startswith("jpeg-q50 "))])) <= 100
    )
    words = next(line.split() for line in lines if line.lstrip().startswith("metric"))
    assert words == ["metric", "reference", "other", "difference", "95", "%", "interval", "p", "finding"]
    assert any(line.startswith("jpeg-q50 loses ") and line.endswith(" dB PSNR, certain") for line in lines)
    assert any("~" in line and "unreliable" in line for line in lines if "fd_lite0" in line)
    assert sum(line.startswith("  image-") and "→" in line for line in lines) == 2
    assert lines[-1].startswith("p-values are corrected for ")
    assert "timings differ from run to run and are not compared" in done.stderr


def test_json_frame_and_notebook(finished: Results, pair: Comparison) -> None:
    done = CliRunner().invoke(
        app, ["compare", "jpeg-q75", "jpeg-q50", "--run", str(finished.folder), "--json"]
    )
    got = json.loads(done.stdout)
    assert set(got) == {"reference", "others", "tests", "rows", "changed", "left_out"}
    assert got["rows"][0]["a"] == "jpeg-q75"
    found = pair
    assert len(found.frame()) == len(found.rows) == len(got["rows"])
    evil = replace(found, rows=(replace(found.rows[0], effect="<script>"), *found.rows[1:]))
    html = evil._repr_html_()
    assert "<table>" in html
    assert "<script>" not in html
    assert f"corrected for {found.tests} metrics" in html


def test_the_command_line_exits_with_8_when_it_refuses(finished: Results, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished.folder, other)
    manifest = json.loads((other / "manifest.json").read_text())
    for identity in manifest["identity"].values():
        identity["seed"] = 3
    (other / "manifest.json").write_text(json.dumps(manifest))
    words = [sys.executable, "-m", "tokbench", "compare", f"{finished.folder}:jpeg-q75", f"{other}:jpeg-q50"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (8, "")
    assert done.stderr == (
        "error: `jpeg-q75` and `jpeg-q50` cannot be compared: seed: 0 in `jpeg-q75`, 3 in `jpeg-q50`\n"
        "hint: run both with the same --seed\n"
    )


def test_what_is_the_same_is_one_line(finished: Results, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "again")
    words = ["compare", f"{finished.folder}:identity", f"{tmp_path / 'again'}:identity"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("exactly the same: ")]
    assert "psnr, " in line
    assert "ssim" in line
    assert "p-values are corrected for 0 metrics together" in done.stdout
