"""docs/metrics.md describes every metric of the tasks that tokbench ships."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tokbench.catalog import discover

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def described() -> list[str]:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([a-z0-9_*]+)`", row.split("|")[1])]


@pytest.mark.parametrize("task", ["reconstruction", "semantics"])
def test_every_metric_is_described(task: str) -> None:
    found = discover()
    names = {
        metric.name for name in found.tasks if name.startswith(task) for metric in found.task(name).metrics
    }
    assert len(names) > 10
    patterns = described()
    assert not {name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)}


def test_every_described_metric_exists() -> None:
    found = discover()
    tasks = [found.task(name) for name in found.tasks]
    names = {metric.name for task in tasks for metric in task.metrics}
    names |= {name for task in tasks for _, name in task.means}
    # The dots between band_1 and band_4 stand for the two between.
    assert not [pattern for pattern in described() if not any(fnmatchcase(name, pattern) for name in names)]
