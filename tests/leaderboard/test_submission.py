"""Submissions: what is prepared is sound, and every forgery is found with its file and field."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.errors import IntegrityError, UsageError
from tokbench.leaderboard.ranges import out_of_range
from tokbench.leaderboard.reading import bad_text
from tokbench.leaderboard.submission import submit, without_paths
from tokbench.leaderboard.validate import validate
from tokbench.results.results import Results

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench.catalog import Catalog

Edit = Callable[..., None]
SUMMARY, MANIFEST = "summary.json", "manifest.json"


def problems(folder: Path, catalog: Catalog) -> list[str]:
    return [str(each) for each in validate(folder, catalog)]


def rows_of(table: dict[str, Any], metric: str, tokenizer: str = "area-8") -> dict[str, Any]:
    return next(r for r in table["rows"] if (r["tokenizer"], r["metric"]) == (tokenizer, metric))


def set_value(name: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda table: rows_of(table, name).update(fields)


def test_a_submission_is_sound_small_and_reads_as_the_run_did(
    real_run: Path, submission: Path, catalog: Catalog
) -> None:
    assert problems(submission, catalog) == []
    assert {path.name for path in submission.iterdir()} == {MANIFEST, SUMMARY, "checksums.json"}
    again, before = Results.load(submission), Results.load(real_run)
    assert [row.to_dict() for row in again.rows if row.status == "ok"] == [
        row.to_dict() for row in before.rows if row.status == "ok"
    ]
    text = (submission / MANIFEST).read_text() + (submission / SUMMARY).read_text()
    assert str(real_run.parent) not in text
    assert submission.joinpath(SUMMARY).read_text().count("\n") > len(again.rows)


def test_paths_are_cut_to_names() -> None:
    assert without_paths("/home/me/runs/x") == "x"
    assert without_paths("taef2-encoder=../data/taef2.pth") == "taef2-encoder=taef2.pth"
    assert without_paths(r"w=C:\me\weights.pth") == "w=weights.pth"
    assert without_paths("~/weights.pth") == "weights.pth"
    assert without_paths("--dataset") == "--dataset"
    assert without_paths("imagenet/val") == "imagenet/val"
    assert without_paths("hf://datasets/x/y") == "hf://datasets/x/y"


def test_only_whole_finished_runs_are_submitted(real_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(real_run, run)
    manifest = json.loads((run / MANIFEST).read_text())
    manifest["jobs"][0]["partial"] = True
    (run / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="a part of its images"):
        submit(run, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds other files"):
        submit(real_run, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("ssim", value=1.2, ci_high=1.3), r"rows\[\d+\].value: 1.2 lies outside"),
        (set_value("bpp", value=-1.0), r"bpp|value: -1 lies outside"),
        (set_value("l1", value=1e999), "inf where a finite number must stand"),
        (set_value("psnr", value=-1e999), "-inf where a finite number must stand"),
        (set_value("psnr", value=None), "missing in a row that is ok"),
        (set_value("psnr", n=18), "18 measured and 0 failed of 17"),
        (set_value("psnr", n=0), "rests on one image"),
        (set_value("psnr", ci_low=99.0), "lies above ci_high"),
        (set_value("l1", higher_is_better=True), "unit and direction of `l1`"),
        (set_value("psnr", value="30"), "`value` is of the wrong type"),
        (set_value("psnr", n=True), "`n` is of the wrong type"),
        (set_value("psnr", status="great"), "must be `ok` or `unsupported`"),
        (set_value("rfid", value=0.1, status="ok"), "the manifest says that this cannot be measured"),
        (set_value("fd_lite0", reason=""), "an unreliable value has a reason"),
        (set_value("psnr", metric="psnr_magic"), "psnr_magic is no row of this run"),
        (set_value("psnr", tokenizer="identity"), "is no row of this run, or stands twice"),
        (
            set_value("psnr", reason="<script>alert(1)</script>"),
            r"rows\[\d+\].reason: holds active content: '<script'",
        ),
        (set_value("psnr", reason="[x](javascript:alert(1))"), "holds active content"),
        (set_value("psnr", reason="a\u202eb"), r"control character U\+202E"),
        (set_value("psnr", reason="\u001b[2J"), r"control character U\+001B"),
        (set_value("psnr", reason="x" * 5000), "longer than 4000"),
        (lambda table: table["rows"].pop(), "rows: lacks"),
        (lambda table: table["rows"].append(table["rows"][0]), "stands twice"),
        (lambda table: table.update(complete=False), "complete: is not True"),
        (lambda table: table.update(key="0" * 64), "key: is not"),
        (lambda table: table.update(extra=1), "extra: is unknown"),
    ],
)
def test_a_forged_summary_is_found(
    submission: Path, catalog: Catalog, edit: Edit, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(submission, SUMMARY, change)
    found = problems(submission, catalog)
    assert found
    assert found[0].startswith("summary.json: ")
    assert re.search(message, "\n".join(found)), found[:3]


def first_job(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda table: table["jobs"][0].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first_job(dataset="faces-nano"), "jobs[0].dataset: unknown image set `faces-nano`"),
        (first_job(dataset_digest="sha256:" + "0" * 64), "jobs[0].dataset_digest: is not the one"),
        (first_job(images=18), "jobs[0].images: is 18, `faces-mini` has 17"),
        (first_job(partial=True), "jobs[0].partial: "),
        (first_job(tokenizer="../../etc"), "jobs[0].tokenizer: must be a name"),
        (first_job(id="../../etc"), "jobs[0].id: must be a name"),
        (first_job(key="0" * 64), "jobs[0].key: is not the hash of the job's identity"),
        (first_job(tasks=["nothing"]), "jobs[0]: unknown task `nothing`"),
        (first_job(shards=10**12), "jobs[0].shards: must be from 1"),
        (first_job(images="17"), "jobs[0].images: must be of type int"),
        (lambda table: table["jobs"].pop(), "identity: does not hold each job"),
        (lambda table: table.update(key="0" * 64), "key: is not the hash of the jobs' keys"),
        (lambda table: table.update(schema=2), "schema: is 2, wanted 1"),
        (lambda table: table.update(jobs=[]), "jobs: is empty"),
        (lambda table: table["environment"].update(packages=[1]), "environment.packages: must be an object"),
        (
            lambda table: table["settings"].update(weights={"a": "/home/me/a.pth"}),
            "settings.weights.a: must be a word",
        ),
        (lambda table: table.update(command=["/home/me/x"]), "command[0]: must be a word without a path"),
        (
            lambda table: table["jobs"][0]["spec"].update(trained_on="all"),
            "jobs[0].spec.trained_on: must be a list",
        ),
        (
            lambda table: next(iter(table["identity"].values()))["tokenizer"].update(weights={"w": "0"}),
            "jobs[0].key: is not the hash",
        ),
    ],
)
def test_a_forged_manifest_is_found(
    submission: Path, catalog: Catalog, edit: Edit, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(submission, MANIFEST, change)
    found = problems(submission, catalog)
    assert found
    assert f"manifest.json: {message}" in "\n".join(found), found[:3]


def test_files_that_are_changed_missing_strange_linked_or_large(submission: Path, catalog: Catalog) -> None:
    summary = submission / SUMMARY
    text = summary.read_bytes()
    summary.write_bytes(text + b" ")
    assert problems(submission, catalog) == ["summary.json: its SHA-256 is not the one in checksums.json"]
    summary.unlink()
    assert "summary.json: is missing" in problems(submission, catalog)
    summary.symlink_to(submission / MANIFEST)
    assert problems(submission, catalog) == ["summary.json: is a link or no plain file"]
    summary.unlink()
    summary.write_bytes(text)
    (submission / "run.py").write_text("import os")
    assert problems(submission, catalog)[0].startswith("run.py: does not belong here")
    (submission / "run.py").unlink()
    with (submission / "checksums.json").open("ab") as file:
        file.truncate(17 << 20)
    assert problems(submission, catalog) == ["checksums.json: is larger than 16 MiB"]


@pytest.mark.parametrize(
    "text",
    ["[1]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "\xff"],
)
def test_what_is_no_plain_json_object_is_refused(submission: Path, catalog: Catalog, text: str) -> None:
    data = text.encode("latin-1")
    (submission / SUMMARY).write_bytes(data)
    sums = json.loads((submission / "checksums.json").read_text())
    sums["files"][SUMMARY] = hashlib.sha256(data).hexdigest()
    (submission / "checksums.json").write_text(json.dumps(sums))
    (found,) = problems(submission, catalog)
    assert found.startswith("summary.json: is no")


def test_deep_nesting_is_refused(submission: Path, catalog: Catalog, edit: Edit) -> None:
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]
    edit(submission, SUMMARY, lambda table: table.update(unreadable={"a": deep}))
    assert "nested deeper" in problems(submission, catalog)[0]


def test_numbers_are_held_against_the_shards(
    real_run: Path, tmp_path: Path, catalog: Catalog, edit: Edit
) -> None:
    folder = submit(real_run, tmp_path / "whole", shards=True)
    assert problems(folder, catalog) == []
    edit(
        folder,
        SUMMARY,
        lambda table: rows_of(table, "psnr").update(value=rows_of(table, "psnr")["value"] + 0.01),
    )
    (found,) = problems(folder, catalog)
    assert "area-8 · faces-mini · reconstruction · psnr: value: is" in found
    shard = next((folder / "shards").rglob("*.parquet"))
    shard.write_bytes(b"PAR1")
    assert "its SHA-256 is not the one" in problems(folder, catalog)[0]


def test_ranges_and_text() -> None:
    inf = float("inf")
    assert out_of_range("psnr", inf) == ""
    assert out_of_range("psnr_ink", inf) == ""
    assert out_of_range("rfid", inf)
    assert out_of_range("rfid", -0.1)
    assert out_of_range("rfid", -1e-9) == ""
    assert out_of_range("kid_lite0", -0.001) == ""
    assert out_of_range("t_acc_drop", -0.2) == ""
    assert out_of_range("t_acc", -0.2)
    assert out_of_range("words_dropped", 12.0) == ""
    assert bad_text("PSNR of 3 < 4 images, 50 % | a_b") == ""
    assert bad_text("< ScRiPt>")
    assert bad_text("a\x00b")
