"""Results folders to report on: a small real run, and a made-up one of any size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tokbench.results.results import Results
from tokbench.results.schema import Row

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m&amp;`${1}"


def made_up(
    folder: Path, tokenizers: int, metrics: int, images: int, *, name: str = "t", shards: bool = True
) -> Results:
    """A results folder as a run would leave it, with random numbers."""
    import pyarrow as pa

    from tokbench.results.store import MANIFEST, SUMMARY, Store

    random = np.random.default_rng(0)
    store = Store(folder)
    names = [f"metric_{number}" for number in range(metrics)]
    jobs: list[dict[str, Any]] = []
    rows = []
    for number in range(tokenizers):
        tokenizer = f"{name}{number}"
        values = random.normal(30 + number / 10, 4, (metrics, images))
        jobs.append(
            {
                "id": f"job-{number}",
                "key": f"key-{number}",
                "tokenizer": tokenizer,
                "spec": {"kind": "discrete" if number % 2 else "codec", "vocab": 1024, "trained_on": []},
                "dataset": "made-up",
                "dataset_license": "CC0-1.0",
                "protocol": "adm-256",
                "tasks": ["made-up-task"],
                "images": images,
                "partial": False,
                "shards": 1,
                "unsupported": {},
            }
        )
        if shards:
            columns: dict[str, Any] = {
                "index": list(range(images)),
                "image": [f"image-{place:05d}" for place in range(images)],
                "status": ["ok"] * images,
                "reason": [""] * images,
            }
            columns |= {f"metric:{each}": values[at] for at, each in enumerate(names)}
            store.write_shard(f"job-{number}", f"key-{number}", 0, pa.table(columns), {})
        rows += [
            row(tokenizer, each, float(values[at].mean()), n=images, higher=at % 2 == 0)
            for at, each in enumerate(names)
        ]
    manifest = {"schema": 1, "key": "0" * 64, "settings": {"seed": 0}, "jobs": jobs, "identity": {}}
    results = Results(folder, tuple(rows), manifest, True, {}, {})
    store.write_json(MANIFEST, manifest)
    store.write_json(SUMMARY, results.summary())
    return results


def row(tokenizer: str, metric: str, value: float, **changes: Any) -> Row:
    fields: dict[str, Any] = {
        "tokenizer": tokenizer,
        "dataset": "made-up",
        "task": "made-up-task",
        "protocol": "adm-256",
        "metric": metric,
        "view": "",
        "value": value,
        "ci_low": value - 0.1,
        "ci_high": value + 0.1,
        "ci_method": "bootstrap-bca",
        "n": 10,
        "failed": 0,
        "unit": "",
        "higher_is_better": changes.pop("higher", True),
        "status": "ok",
        "reliable": True,
        "reason": "",
    }
    return Row(**(fields | changes))


@pytest.fixture(scope="session")
def make_results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``make_results(tokenizers, metrics, images, …)``."""
    return lambda *sizes, **changes: made_up(tmp_path_factory.mktemp("made-up"), *sizes, **changes)


@pytest.fixture(scope="session")
def make_row() -> Any:
    return row


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def small_run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Three tokenizers on ten small images: the numbers of a real run, and what is needed to look at its images."""
    from tokbench.engine.evaluate import evaluate

    return evaluate(
        ["identity", "jpeg-q50", "vq-patch-8"],
        images,
        ["rate-distortion", "tokens"],
        out=tmp_path_factory.mktemp("report-run") / "run",
        protocol="adm-64",
        limit=10,
    )


@pytest.fixture
def embedded() -> Any:
    """Read the data back out of a page."""

    def read(page: str) -> dict[str, Any]:
        _, _, rest = page.partition('<script type="application/json" id="data">')
        found: dict[str, Any] = json.loads(rest.partition("</script>")[0])
        return found

    return read
