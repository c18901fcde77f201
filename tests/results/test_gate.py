"""The gate's verdicts, baseline file, outputs and exit codes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from tokbench.cli.app import app
from tokbench.errors import IntegrityError, StorageError, TokbenchError, UnknownNameError, UsageError
from tokbench.results.baseline import read_baseline, write_baseline
from tokbench.results.comparable import IncomparableError
from tokbench.results.gate import Check, Gate, judge
from tokbench.results.gate_output import junit, step_summary, workflow_commands
from tokbench.results.side import Part, Side, of_run
from tokbench.results.sources import tasks_of
from tokbench.results.thresholds import Threshold, Thresholds

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench import Results


@pytest.fixture(scope="module")
def side(finished: Results) -> Side:
    return of_run(finished, "jpeg-q75", tasks_of(finished))


@pytest.fixture(scope="module")
def worse(finished: Results) -> Side:
    """What a broken JPEG encoder would look like: quality 50 under the name of quality 75."""
    return replace(of_run(finished, "jpeg-q50", tasks_of(finished), "jpeg-q75"), tokenizer="jpeg-q75")


@pytest.fixture(scope="module")
def baseline(side: Side, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("baseline") / "baseline.json"
    write_baseline(file, [side], "0" * 64)
    return file


@pytest.fixture(scope="module")
def better(worse: Side, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline whose numbers are those of quality 50, so that it can be passed."""
    file = tmp_path_factory.mktemp("baseline") / "better.json"
    write_baseline(file, [worse], "0" * 64)
    return file


def edited(side: Side, **fields: Any) -> Side:
    ((place, part),) = side.parts.items()
    return replace(side, parts={place: replace(part, **fields)})


def only(side: Side) -> Part:
    (part,) = side.parts.values()
    return part


def gate(*words: str | Path) -> Any:
    done = CliRunner().invoke(app, ["gate", *map(str, words)], env={"GITHUB_ACTIONS": ""})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def verdicts(found: Gate) -> dict[str, str]:
    return {check.metric: check.verdict for check in found.checks}


def test_a_baseline_gives_back_what_was_written(side: Side, baseline: Path) -> None:
    (read,) = read_baseline(baseline)
    ((place, then),) = read.parts.items()
    now = side.parts[place]
    assert then.images == now.images
    assert all(
        long.startswith(short) and len(short) == 12
        for short, long in zip(then.pixels, now.pixels, strict=True)
    )
    assert then.identity == now.identity
    assert then.measured.keys() == now.measured.keys()
    for name, each in now.measured.items():
        assert repr(then.measured[name].row) == repr(each.row)
        assert then.measured[name].left_out == each.left_out
        if each.values is not None:
            np.testing.assert_array_equal(then.measured[name].values, each.values)
    # As the module says: about 20 kB, less for 20 images.
    assert baseline.stat().st_size < 20_000


def test_an_unchanged_run_passes(side: Side, baseline: Path) -> None:
    found = judge(read_baseline(baseline), {"jpeg-q75": side})
    assert set(verdicts(found).values()) == {"pass"}
    reasons = {check.reason for check in found.checks}
    assert reasons == {"20 images measured", "unchanged"}
    assert "timings are not checked: encode_ips, decode_ips" in found.notes


def test_a_worse_run_fails(worse: Side, baseline: Path) -> None:
    found = judge(read_baseline(baseline), {"jpeg-q75": worse})
    assert found.verdict == "fail"
    checks = {check.metric: check for check in found.checks}
    assert checks["psnr"].verdict == checks["ssim"].verdict == "fail"
    assert checks["psnr"].allowed == 0.1
    assert checks["psnr"].reason.endswith("dB, only 0.10 dB allowed, certain")
    # Too few images for a Fréchet distance: shown, never a reason to fail.
    assert checks["fd_lite0"].verdict == "inconclusive"
    assert "but not certain: n = 20 below 2 × 1,280" in checks["fd_lite0"].reason
    # A bit rate has no better end, so nothing is worse until a threshold says what is.
    assert "bpp" not in checks


def test_tolerances_decide(worse: Side, baseline: Path) -> None:
    lenient = Thresholds(
        {("", "default", ""): Threshold(relative=9.0), ("", "metric", "psnr"): Threshold(absolute=5)}
    )
    found = judge(read_baseline(baseline), {"jpeg-q75": worse}, lenient)
    assert found.verdict == "pass"
    reason = next(check.reason for check in found.checks if check.metric == "psnr")
    assert reason.startswith("worse by ")
    assert reason.endswith(" dB, 5.0 dB allowed")
    bits = Thresholds({("", "metric", "bpp"): Threshold(relative=0.01, worse="lower")})
    assert verdicts(judge(read_baseline(baseline), {"jpeg-q75": worse}, bits))["bpp"] == "fail"
    silent = Thresholds({("", "default", ""): Threshold(check=False)})
    assert verdicts(judge(read_baseline(baseline), {"jpeg-q75": worse}, silent)) == {"images": "pass"}


def test_worse_without_certainty_is_inconclusive(side: Side) -> None:
    """One image out of twenty carries the whole change: the interval includes none."""
    psnr = only(side).measured["psnr"]
    assert psnr.values is not None
    values = psnr.values.copy()
    values[3] -= 10
    row = replace(psnr.row, value=psnr.row.value - 0.5)
    changed = edited(side, measured={"psnr": replace(psnr, row=row, values=values)})
    found = judge([edited(side, measured={"psnr": psnr})], {"jpeg-q75": changed})
    assert verdicts(found)["psnr"] == "inconclusive"
    assert found.checks[-1].reason.startswith("worse by 0.50 dB, only 0.10 dB allowed, but ")


def test_what_is_gone_fails(side: Side) -> None:
    part = only(side)
    ssim = part.measured["ssim"]
    blank = replace(
        ssim, row=replace(ssim.row, status="unsupported", value=math.nan, reason="weights not fetched")
    )
    found = judge([side], {"jpeg-q75": edited(side, measured={**part.measured, "ssim": blank})})
    (check,) = [check for check in found.checks if check.verdict == "fail"]
    assert (check.metric, check.reason) == ("ssim", "unsupported: weights not fetched")
    rest = {name: each for name, each in part.measured.items() if name != "bpp"}
    found = judge([side], {"jpeg-q75": edited(side, measured=rest)})
    (check,) = [check for check in found.checks if check.verdict == "fail"]
    assert (check.metric, check.reason) == ("bpp", "it is not measured any more")
    found = judge([side], {})
    assert [(check.metric, check.verdict, check.reason) for check in found.checks] == [
        ("results", "fail", "the run has no such tokenizer")
    ]
    found = judge([side], {"jpeg-q75": replace(side, broken="AdapterError: boom")})
    assert found.checks[0].reason == "it failed: AdapterError: boom"
    ((place, _),) = side.parts.items()
    more = replace(side, parts={**side.parts, (place[0], "detail", place[2]): part})
    found = judge([more], {"jpeg-q75": side})
    assert [check.reason for check in found.checks if check.verdict == "fail"] == [
        "the baseline has it, the run has not"
    ]
    assert judge([], {}).verdict == "fail"


def test_images_that_fail_fail_the_gate(side: Side) -> None:
    image = only(side).images[2]
    found = judge([side], {"jpeg-q75": edited(side, failed={image: "torn file", "b": "torn"})})
    check = next(check for check in found.checks if check.metric == "images")
    assert (check.verdict, check.reason) == ("fail", f"2 images failed: {image}: torn file, and 1 more")
    known = judge([edited(side, failed={image: "torn"})], {"jpeg-q75": edited(side, failed={image: "torn"})})
    assert verdicts(known)["images"] == "pass"


def test_a_new_metric_is_noted(side: Side) -> None:
    part = only(side)
    old = edited(side, measured={name: each for name, each in part.measured.items() if name != "ssim"})
    found = judge([old], {"jpeg-q75": side})
    assert found.verdict == "pass"
    assert "not in the baseline, so not checked: ssim; --update adds them" in found.notes


def test_other_runs_are_refused(side: Side) -> None:
    other = {**only(side).identity, "protocol": "x"}
    with pytest.raises(IncomparableError, match="protocol: "):
        judge([side], {"jpeg-q75": edited(side, identity=other)})


def test_the_command_line(finished: Results, baseline: Path, better: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    done = gate("--update", "--run", finished.folder, "--baseline", file)
    assert done.stderr.startswith("baseline of jpeg-q75, jpeg-q50, identity written to ")
    done = gate("--run", finished.folder, "--baseline", baseline)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "pass: 8 pass, 0 inconclusive, 0 fail")
    assert done.stdout.splitlines()[:2] == [
        "jpeg-q75 · images:small · reconstruction · adm-64",
        "  pass         images: 20 images measured",
    ]
    done = gate("--run", finished.folder, "--baseline", better, "--json")
    assert (done.exit_code, json.loads(done.stdout)["verdict"]) == (0, "pass")


@pytest.fixture
def spoilt(finished: Results, baseline: Path, tmp_path: Path) -> Path:
    """A baseline of which the run is a regression: the numbers of quality 75 under the name of quality 50."""
    document = json.loads(baseline.read_text())
    document["tokenizers"][0]["tokenizer"] = "jpeg-q50"
    file = tmp_path / "spoilt.json"
    file.write_text(json.dumps(document))
    return file


def test_exit_codes_and_files(finished: Results, spoilt: Path, tmp_path: Path) -> None:
    report, summary, limits = tmp_path / "junit.xml", tmp_path / "summary.md", tmp_path / "gate.toml"
    words = ("gate", "--run", str(finished.folder), "--baseline", str(spoilt), "--junit", str(report))
    inside = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    summary.write_text("before\n")
    done = CliRunner().invoke(app, list(words), env=inside)
    assert done.exit_code == 10
    assert done.stdout.splitlines()[-1].startswith("fail: ")
    assert any(line.startswith("  fail         psnr: worse by ") for line in done.stdout.splitlines())
    errors = [line for line in done.stderr.splitlines() if line.startswith("::error title=tokbench gate%3A ")]
    assert any(
        "psnr fail::jpeg-q50 · images:small · reconstruction · adm-64: worse by" in line for line in errors
    )
    assert any(
        line.startswith("::warning title=tokbench gate%3A fd_lite0") for line in done.stderr.splitlines()
    )
    assert summary.read_text().startswith("before\n### ❌ tokbench gate: fail\n")
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    assert int(suite.get("failures", "0")) == len(errors) == len(suite.findall("testcase/failure"))
    limits.write_text("[default]\ncheck = false\n[metric.fd_lite0]\nrelative = 0.01\n")
    gentle = [*words[:5], "--thresholds", str(limits)]
    assert CliRunner().invoke(app, gentle, env={"GITHUB_ACTIONS": ""}).exit_code == 0
    done = CliRunner().invoke(app, [*gentle, "--strict"], env={"GITHUB_ACTIONS": ""})
    assert done.exit_code == 11
    assert done.stdout.splitlines()[-1] == "inconclusive: 1 pass, 1 inconclusive, 0 fail"
    limits.write_text("[metric.psnrr]\nabsolute = 1\n")
    with pytest.raises(UnknownNameError, match="unknown metric `psnrr`; did you mean `psnr`"):
        gate(*words[1:5], "--thresholds", limits)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"kind": "other"}, IntegrityError, "is no baseline"),
        ({"schema": 99}, IntegrityError, "is of schema 99, this tokbench reads 1"),
        ({"tokenizers": [{}]}, IntegrityError, "is damaged: KeyError: 'tokenizer'"),
        ({"image_lists": []}, IntegrityError, "is damaged: IndexError"),
        (
            {"image_lists": [{"images": ["a"], "pixels": "ab"}]},
            IntegrityError,
            "images and their pixels differ",
        ),
        (
            {"image_lists": [{"images": ["a"], "pixels": "a" * 12}]},
            IntegrityError,
            "values are not those of 1 images",
        ),
    ],
)
def test_damaged_baselines(
    baseline: Path, tmp_path: Path, change: dict[str, Any], kind: type[TokbenchError], message: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(json.loads(baseline.read_text()) | change))
    with pytest.raises(kind, match=message):
        read_baseline(file)


def test_baselines_that_cannot_be_used(finished: Results, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read: No such file") as caught:
        read_baseline(tmp_path / "none.json")
    assert caught.value.hint == "write one with `tokbench gate --update --run DIR --baseline FILE`"
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(IntegrityError, match="is no JSON"):
        read_baseline(tmp_path / "text.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_baseline(tmp_path / "file" / "b.json", [], "")


def test_hostile_names_are_escaped() -> None:
    check = Check(
        "a,b:c", "<img onerror=x>", "t|u", "p", "psnr", "fail", "50 % off\n::error::x \x1b[31m`@you` \x00"
    )
    found = Gate((check, replace(check, verdict="inconclusive")), 2, ("note | <b>",))
    error, warning = workflow_commands(found)
    assert error == (
        "::error title=tokbench gate%3A psnr fail::"
        "a,b:c · <img onerror=x> · t|u · p: 50 %25 off%0A::error::x \\x1b[31m`@you` \\x00"
    )
    assert warning.startswith("::warning ")
    assert workflow_commands(found, strict=True)[1].startswith("::error ")
    text = step_summary(found)
    assert "<img" not in text
    assert "<b>" not in text
    assert "`@you`" not in text
    assert "@you" not in text
    table = [line for line in text.splitlines() if line.startswith("| ❌")]
    assert len(table) == 1
    assert table[0].count(" | ") == 7
    suite = ElementTree.fromstring(junit(found))
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "1")
    assert ElementTree.fromstring(junit(found, strict=True)).get("failures") == "2"


def test_no_baseline_of_a_broken_run(
    finished: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokbench import Results as Loaded

    broken = replace(finished, failures={"jpeg-q75": "boom"})
    monkeypatch.setattr(Loaded, "load", lambda folder: broken)
    with pytest.raises(UsageError, match="is no baseline: jpeg-q75 failed"):
        gate("--update", "--run", finished.folder, "--baseline", tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()
