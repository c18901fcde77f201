"""A worker process of a run is killed: the shard in hand is lost, said so, and computed by the same call."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tokbench import evaluate
from tokbench.errors import AdapterError
from tokbench.metrics.pixel import PSNR
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from pathlib import Path

TASK = Task("one", 1, "cheap", get_protocol("adm-64"), (PSNR,), ("psnr",), "psnr")


def test_a_killed_worker_ends_the_run_which_goes_on_where_it_was(
    images: Path, same: Any, snapshot: Any, tmp_path: Path
) -> None:
    wanted = evaluate("jpeg-q50", images, TASK, out=tmp_path / "whole")
    killed = []

    def kill_one(count: int) -> None:
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    out = tmp_path / "out"
    with pytest.raises(AdapterError, match="a worker process ended with exit status -9") as caught:
        evaluate("jpeg-q50", images, TASK, out=out, workers=2, batch_size=4, on_images=kill_one)
    assert caught.value.exit_code == 5
    assert "finished shards are kept" in str(caught.value.hint)
    assert not multiprocessing.active_children()
    before = snapshot(out, "*.parquet")
    assert same(evaluate("jpeg-q50", images, TASK, out=out), wanted)
    assert before.items() <= snapshot(out, "*.parquet").items()
    assert not list(out.rglob(".*"))
