"""`tokbench run --profile`, as a person calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.testing import CliRunner

from tokbench.cli.app import app
from tokbench.engine.trace import PROFILE
from tokbench.report.timeline import PAGE

if TYPE_CHECKING:
    from pathlib import Path


def test_run_shows_where_the_time_went(images: Path, tmp_path: Path) -> None:
    words = ["run", "-t", "jpeg-q50", "--images", images, "--task", "rate-distortion", "--protocol", "adm-64"]
    words += ["--limit", "4", "--workers", "1", "--out", tmp_path, "--profile", "--json"]
    done = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0
    # Data on stdout stay one JSON object; the profile is for people.
    assert done.stdout.startswith("{")
    assert done.stdout.endswith("}\n")
    lines = done.stderr.splitlines()
    assert any(line.startswith("Where the time went: ") and "first batch" in line for line in lines)
    for stage in ("tokenizer/jpeg-q50", "metric/psnr", "write", "finish", "start/imports"):
        assert sum(line.startswith(f"{stage} ") for line in lines) == 1, stage
    assert any(line.startswith("main · tokbench") for line in lines)
    assert (tmp_path / PROFILE).is_file()
    assert "tokenizer/jpeg-q50" in (tmp_path / PAGE).read_text()
