"""Kills a run at chosen moments and resumes it, in children of one process that has everything imported.

    python zygote.py IMAGES FOLDER RANDOM

Every child starts from the same memory, so that 50 runs cost little more than their work. This process starts no thread
of its own: the runs are in its children alone. Prints one JSON object: the moments, and what went wrong.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import tokbench.engine.batch_size
import tokbench.engine.manifest
import tokbench.engine.trace
import tokbench.engine.workers
import tokbench.results.finish
from tokbench import Codes, TokenSpec, evaluate
from tokbench.catalog import discover
from tokbench.images.imageset import ImageSet, open_images
from tokbench.metrics import bootstrap, jackknife  # noqa: F401
from tokbench.metrics.pixel import L1, PSNR
from tokbench.metrics.pooled import PSNR_POOLED
from tokbench.metrics.rate import BPP
from tokbench.protocol import get_protocol
from tokbench.results.disk import Disk
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokbench.metrics.base import ImageMetric

torch.set_num_threads(1)
DISK = ("make_folder", "create", "write", "sync", "link", "rename", "sync_folder", "remove")
LIMIT = 60
LARGE = {"numpy", "scipy", "pandas", "pyarrow", "PIL", "tokbench"}


class Points:
    """Counts the moments that a run passes, and kills this process at the chosen one."""

    def __init__(self, at: tuple[str, int] | None) -> None:
        self.passed: Counter[str] = Counter()
        self._at = at
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        with self._lock:
            self.passed[name] += 1
            if (name, self.passed[name]) == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(LIMIT)

    def before(self, owner: Any, name: str, label: str = "") -> None:
        """Make a function pass a point each time it is called."""
        whole = getattr(owner, name)

        def passing(*args: Any, **named: Any) -> Any:
            self(label or name)
            return whole(*args, **named)

        setattr(owner, name, passing)


class Steps:
    """A tokenizer of eight levels."""

    spec = TokenSpec("steps", "codec", vocab=8)

    def encode(self, images: torch.Tensor) -> Codes:
        return Codes(ids=(images * 7).round().long())

    def decode(self, codes: Codes) -> torch.Tensor:
        assert codes.ids is not None
        return codes.ids / 7


def task(point: Points) -> Task:
    """Cheap metrics of both kinds, which pass points while they measure and while they finish."""

    def passing(name: str, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(what: Any) -> Any:
            point(name)
            return inner(what)

        return call

    measured = replace(L1, measure=passing("measure", L1.measure))
    collected = replace(PSNR_POOLED.collector, of=passing("collect", PSNR_POOLED.collector.of))
    pooled = replace(PSNR_POOLED, collector=collected, finish=passing("summarise", PSNR_POOLED.finish))
    kinds: tuple[ImageMetric, ...] = (BPP, PSNR, measured)
    return Task("kill", 1, "cheap", get_protocol("adm-64"), (*kinds, pooled), ("psnr",), "psnr")


class Zygote:
    """Forks the children."""

    def __init__(self, images: Path, folder: Path) -> None:
        self._images, self._folder = open_images(str(images)), folder
        self._catalog = discover()

    def run(self, out: Path, at: tuple[str, int] | None = None) -> int:
        """Fork a child that runs into `out`; return its process id."""
        child = os.fork()
        if child:
            return child
        try:
            point = Points(at)
            for name in (
                "sync",
                "sync_folder",
            ):  # a killed process loses nothing that was written, and this is slow
                setattr(Disk, name, lambda *_: None)
            for name in DISK:
                point.before(Disk, name)
            point.before(tokbench.engine.evaluate, "make_run", "plan")
            point.before(ImageSet, "read")
            point.before(Steps, "encode")
            point.before(Steps, "decode")
            results = evaluate(
                Steps(),
                self._images,
                task(point),
                out=out,
                batch_size=8,
                catalog=self._catalog,
                on_start=lambda done, total: point("start"),
                on_images=lambda count: point("images"),
            )
            rows = [
                [row.tokenizer, row.metric, row.value, row.ci_low, row.ci_high, row.n] for row in results.rows
            ]
            found = {
                "rows": rows,
                "points": point.passed,
                "complete": results.complete,
                "modules": sorted(sys.modules),
            }
            self._folder.joinpath("answer.json").write_text(json.dumps(found))
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)

    def answer(self, out: Path) -> dict[str, Any]:
        """Run to the end and return what the child found."""
        status = wait(self.run(out))
        if status != 0:
            raise SystemExit(f"the run into {out} ended with {status}")
        path = self._folder / "answer.json"
        found: dict[str, Any] = json.loads(path.read_text())
        path.unlink()
        return found


def wait(child: int) -> int:
    """Return the exit code of a child, negative for a signal."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    raise SystemExit("a child hangs")


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether all numbers are the same to 1e-12."""
    if not one["complete"] or not other["complete"] or len(one["rows"]) != len(other["rows"]):
        return False
    return all(
        a[:2] == b[:2] and np.allclose(a[2:], b[2:], rtol=1e-12, atol=1e-12, equal_nan=True)
        for a, b in zip(one["rows"], other["rows"], strict=True)
    )


def finished(out: Path) -> dict[str, tuple[int, int]]:
    """Shards that are done, with what changes when they are written again."""
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.rglob("*.parquet")}


def main() -> None:
    """Kill at every moment, and at some random times."""
    images, folder, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    zygote = Zygote(images, folder)
    for name in zygote.answer(folder / "warm")["modules"]:
        if name not in sys.modules and name.partition(".")[0] in LARGE:
            importlib.import_module(name)  # what a run imports on the way, it need not import 60 times
    gc.freeze()  # children share what is never looked at again
    begin = time.monotonic()
    wanted = zygote.answer(folder / "whole")
    length = time.monotonic() - begin
    moments: list[tuple[str, int] | float] = []
    for name, times in wanted["points"].items():
        # Every system call of the store; of what repeats for each batch, the first and the last.
        moments += [(name, number) for number in range(1, times + 1) if name in DISK or number in {1, times}]
    moments += [random.Random(0).uniform(0, length) for _ in range(count)]
    wrong, killed, kept = [], 0, 0
    for number, moment in enumerate(moments):
        out = folder / str(number)
        if isinstance(moment, float):
            child = zygote.run(out)
            time.sleep(moment)
            os.kill(child, signal.SIGKILL)
        else:
            child = zygote.run(out, moment)
        killed += wait(child) == -signal.SIGKILL
        before = finished(out)
        kept += len(before)
        resumed = zygote.answer(out)
        if not equal(resumed, wanted):
            wrong.append([moment, "other numbers"])
        if not before.items() <= finished(out).items():
            wrong.append([moment, "a finished shard was written again"])
        if list(out.rglob(".*")):
            wrong.append([moment, "a temporary file stayed"])
    found = {
        "moments": len(moments),
        "points": wanted["points"],
        "shards": len(finished(folder / "whole")),
        "killed": killed,
        "kept": kept,
        "wrong": wrong,
        "cpu_seconds": sum(os.times()[:4]),
        "threads": threading.active_count(),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
