"""A run whose shards cost nothing, and a disk that fails when it is told to."""

from __future__ import annotations

import errno
import math
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tokbench.errors import IntegrityError
from tokbench.metrics.pixel import L1, PSNR
from tokbench.metrics.pooled import PSNR_POOLED, Squares
from tokbench.protocol import get_protocol
from tokbench.results.disk import Disk
from tokbench.results.finish import finish
from tokbench.results.store import MANIFEST, Store
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tokbench.results.results import Results

FAKE = Task(
    "fake",
    1,
    "numbers made of plan positions",
    get_protocol("adm-64"),
    (PSNR, L1, PSNR_POOLED),
    ("psnr",),
    "psnr",
)


class FakeRun:
    """Jobs of `images` images in shards of `size`; every value follows from job and plan position."""

    def __init__(self, images: int = 10, size: int = 4, jobs: int = 1, key: str = "run") -> None:
        self.images, self.size = images, size
        self.manifest: dict[str, Any] = {
            "key": key,
            "identity": {"all": {"tasks": {}, "evaluators": {}, "protocol": key}},
            "settings": {"seed": 0},
            "jobs": [
                {
                    "id": f"job-{number}",
                    "key": f"{key}-{number}",
                    "tokenizer": f"t{number}",
                    "spec": {"trained_on": []},
                    "dataset": "fake",
                    "dataset_digest": "",
                    "protocol": "adm-64",
                    "tasks": ["fake"],
                    "images": images,
                    "partial": False,
                    "shards": -(-images // size),
                    "unsupported": {},
                }
                for number in range(jobs)
            ],
        }

    @property
    def units(self) -> list[tuple[int, int]]:
        """(job number, shard number) of everything there is to do."""
        return [
            (number, shard)
            for number, job in enumerate(self.manifest["jobs"])
            for shard in range(job["shards"])
        ]

    def open(self, store: Store) -> None:
        """As the engine opens a folder."""
        if store.create_json(MANIFEST, self.manifest):
            store.sweep()
            return
        if (store.read_json(MANIFEST) or {})["key"] != self.manifest["key"]:
            raise IntegrityError("another run")
        store.check_writable()

    def shard(self, number: int, shard: int, noise: int = 0) -> tuple[Any, Any]:
        """Rows and states of a shard; `noise` goes into what is not repeatable: a time, and unused squares."""
        import pyarrow as pa

        index = np.arange(shard * self.size, min((shard + 1) * self.size, self.images))
        random = np.random.default_rng((number, shard))
        squares = random.integers(1000, 9000, len(index))
        table = np.stack((index, squares, np.full(len(index), 300), np.full(len(index), 255)), 1)
        rows = {
            "index": index,
            "image": [f"image-{place}" for place in index],
            "pixels_sha256": ["00" * 32] * len(index),
            "status": ["ok"] * len(index),
            "reason": [""] * len(index),
            "metric:psnr": 10 * np.log10(255**2 * 300 / squares),
            "metric:l1": np.sqrt(squares / 300) / 255,
            "seconds": np.full(len(index), float(noise)),
        }
        return pa.table(rows), {"squares": Squares(table).arrays(), "seconds": {"all": np.array([noise])}}

    def write(self, store: Store, number: int, shard: int, noise: int = 0) -> None:
        """Compute and write one shard."""
        job = self.manifest["jobs"][number]
        store.write_shard(job["id"], job["key"], shard, *self.shard(number, shard, noise))

    def work(self, store: Store, units: Iterable[tuple[int, int]] | None = None) -> int:
        """Do what is not done yet; return how many shards that were."""
        made = 0
        for number, shard in self.units if units is None else units:
            job = self.manifest["jobs"][number]
            if not store.done(job["id"], job["key"], shard):
                self.write(store, number, shard)
                made += 1
        return made

    def finish(self, store: Store) -> Results:
        """Summarise."""
        return finish(store, self.manifest, {"fake": FAKE}, {})

    def all(self, store: Store) -> Results:
        """A whole run."""
        self.open(store)
        self.work(store)
        return self.finish(store)


class FaultyDisk(Disk):
    """Fails at one call of all, or at every call of one kind; flushing is counted and left out, since it is slow.

    Args:
        at: number of the call that fails, or the name of the method whose calls all do.
        code: how; a write puts half of its data on the disk first.
    """

    def __init__(self, at: int | str = -1, code: int = errno.EIO) -> None:
        self.at, self.code = at, code
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.at in {len(self.calls) - 1, name}:
            raise OSError(self.code, os.strerror(self.code))

    def make_folder(self, path: Path) -> None:
        self._call("make_folder")
        super().make_folder(path)

    def create(self, path: Path) -> int:
        self._call("create")
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.at in {len(self.calls), "write"}:
            super().write(descriptor, data[: len(data) // 2])
        self._call("write")
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._call("sync")

    def rename(self, source: Path, target: Path) -> None:
        self._call("rename")
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        self._call("link")
        super().link(source, target)

    def sync_folder(self, path: Path) -> None:
        self._call("sync_folder")

    def remove(self, path: Path) -> None:
        self._call("remove")
        super().remove(path)

    @property
    def kinds(self) -> Counter[str]:
        """How often each call was made."""
        return Counter(self.calls)


def numbers(results: Results) -> dict[str, tuple[float, ...]]:
    return {
        f"{row.tokenizer} {row.metric}": (row.value, row.ci_low, row.ci_high, float(row.n))
        for row in results.rows
    }


@pytest.fixture
def fake_run() -> type[FakeRun]:
    return FakeRun


@pytest.fixture
def fake_task() -> Task:
    return FAKE


@pytest.fixture
def faulty_disk() -> type[FaultyDisk]:
    return FaultyDisk


@pytest.fixture
def same() -> Any:
    """``same(results, others)``: every number is equal to the last bit, and there are some."""

    def compare(one: Results, other: Results) -> bool:
        a, b = numbers(one), numbers(other)
        return bool(a) and a == b and not any(math.isnan(value) for values in a.values() for value in values)

    return compare


@pytest.fixture
def snapshot() -> Any:
    """``snapshot(folder)``: every file below it with its inode and time, which change when it is written again."""

    def take(folder: Path, pattern: str = "*") -> dict[Path, tuple[int, int]]:
        return {
            path: (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in folder.rglob(pattern)
            if path.is_file()
        }

    return take
