"""`tokbench report` as people call it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def _tokbench(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tokbench", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokbench.engine.evaluate import evaluate

    folder = tmp_path_factory.mktemp("report")
    evaluate("jpeg-q50", images, "rate-distortion", out=folder / "run", protocol="adm-64", limit=4)
    return folder


def test_one_file_is_written_and_named(run: Path, images: Path) -> None:
    done = _tokbench("report", "run", "--images", "2", "--image-set", images, "--title", "a <b>", folder=run)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "report.html\n"
    assert done.stderr.startswith("1 tokenizers, 2 images, 0.")
    page = (run / "report.html").read_text("utf-8")
    assert "<title>a &lt;b&gt;</title>" in page
    assert (
        page.count('"original":"data:image/webp;base64,') + page.count('"original": "data:image/webp;base64,')
        == 2
    )


def test_what_is_missing_is_said_on_stderr(run: Path) -> None:
    done = _tokbench("report", "run", "--out", "deep/er/x.html", folder=run)
    assert done.returncode == 0, done.stderr
    assert "note: no pictures: `images:small` is not installed here" in done.stderr
    assert (run / "deep" / "er" / "x.html").is_file()
    done = _tokbench("report", "nothing", folder=run)
    assert done.returncode == 8, done.stderr
    assert "holds no finished run" in done.stderr
