"""A small real run, its submission, and rows made by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.catalog import Catalog, discover
from tokbench.engine.evaluate import evaluate
from tokbench.leaderboard.submission import submit
from tokbench.results.results import Results
from tokbench.results.schema import Row

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return discover()


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tokenizers on the 17 images of faces-mini at 64 pixels."""
    out = tmp_path_factory.mktemp("leaderboard") / "faces"
    evaluate(
        ["identity", "area-8"], ["faces-mini"], ["reconstruction"], protocol="adm-64", out=out, workers=1
    )
    return out


@pytest.fixture
def submission(real_run: Path, tmp_path: Path) -> Path:
    return submit(real_run, tmp_path / "submission")


@pytest.fixture
def edit() -> Callable[..., None]:
    """Change a document of a submission and mend the checksums, as a forger would."""

    def change(folder: Path, name: str, alter: Callable[[dict[str, Any]], object]) -> None:
        value = json.loads((folder / name).read_text("utf-8"))
        alter(value)
        # 1e999 reads as infinity, which json writes as Infinity: no JSON.
        text = json.dumps(value).replace("-Infinity", "-1e999").replace("Infinity", "1e999")
        (folder / name).write_text(text, encoding="utf-8")
        sums = json.loads((folder / "checksums.json").read_text("utf-8"))
        sums["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "checksums.json").write_text(json.dumps(sums), encoding="utf-8")

    return change


@pytest.fixture
def row() -> Callable[..., Row]:
    """Make one row; PSNR of `jpeg` on photos-mini unless said otherwise."""

    def make(tokenizer: str = "jpeg", value: float = 30.0, half: float = 0.5, **fields: Any) -> Row:
        plain: dict[str, Any] = {
            "tokenizer": tokenizer,
            "dataset": "photos-mini",
            "task": "reconstruction",
            "protocol": "adm-256",
            "metric": "psnr",
            "view": "",
            "value": value,
            "ci_low": value - half,
            "ci_high": value + half,
            "ci_method": "bootstrap-bca",
            "n": 128,
            "failed": 0,
            "unit": "dB",
            "higher_is_better": True,
            "status": "ok",
            "reliable": True,
            "reason": "",
        }
        return Row(**{**plain, **fields})

    return make


@pytest.fixture
def run_of() -> Callable[..., Results]:
    """Make a finished run of rows on one image set."""

    def make(rows: list[Row], partial: bool = False, **spec: Any) -> Results:
        names = list(dict.fromkeys(row.tokenizer for row in rows))
        first = rows[0]
        jobs, identity = [], {}
        for name in names:
            jobs.append(
                {
                    "id": name,
                    "key": name,
                    "tokenizer": name,
                    "spec": {"name": name, "trained_on": [], "source": "", "description": ""} | spec,
                    "dataset": first.dataset,
                    "dataset_version": "1",
                    "protocol": first.protocol,
                    "tasks": [first.task],
                    "images": 128,
                    "partial": partial,
                }
            )
            identity[f"{name} on {first.dataset} by {first.protocol}"] = {
                "images": {"name": first.dataset},
                "protocol": "0",
                "tasks": {first.task: 1},
                "tokenizer": {"dtype": "float32"},
                "seed": 0,
                "evaluators": {"lite0": {"lite0": "a"}},
            }
        manifest = {
            "key": "0" * 64,
            "created": "2026-11-22T00:00:00+00:00",
            "command": ["tokbench", "run"],
            "tokbench": "0.1.0",
            "environment": {},
            "jobs": jobs,
            "identity": identity,
        }
        return Results(Path(), tuple(rows), manifest, True, {}, {})

    return make
