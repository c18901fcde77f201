"""Fréchet distance at full width: torch-fidelity's own route against tokbench's, with and without its interval.

    python benchmarks/frechet.py --width 2048 --images 10000

Seeded features with a falling spectrum stand for a network's. Every route runs in a process of its own, in turn, so
that its peak memory is its own; tokbench's read the features a shard at a time, as they do after a run. "second
tokenizer" is another set of reconstructions of the same originals in the same process. Needs the extra `fid`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tokbench.metrics.features import FeatureRows
from tokbench.metrics.frechet import estimate, frechet_distance
from tokbench.metrics.kernel import estimate as kernel_estimate
from tokbench.metrics.moments import Moments

SHARD = 256
ROUTES = {
    "eigenvalues": "torch-fidelity: eigenvalues of the product, one value",
    "value": "tokbench: one value",
    "interval": "tokbench: value and 20 replicates",
    "next": "tokbench: the same for the second tokenizer",
    "kernel": "tokbench: kernel distance, value and 20 replicates",
    "kernel-next": "tokbench: the same for the second tokenizer",
}


def write_features(folder: Path, count: int, width: int) -> None:
    """Write features of `count` originals and of two tokenizers' reconstructions, float32 ``[count, width]``."""
    random = np.random.default_rng(0)
    spectrum = np.exp(-np.linspace(0, 6, width))[:, None]
    mix = (random.normal(size=(width, width)) * spectrum / width**0.5).astype(np.float32)
    files = [(folder / name).open("wb") for name in ("originals", "first", "second")]
    for start in range(0, count, SHARD):
        hidden = random.standard_normal((3, min(SHARD, count - start), width), np.float32)
        for file, level in zip(files, (0.0, 0.3, 0.4), strict=True):
            # A network's last operation is mostly a rectifier with a mean over positions after it.
            rows = np.abs((hidden[0] + level * hidden[1 if level < 0.4 else 2]) @ mix + 1.0)
            file.write(rows.astype(np.float32).data)
    for file in files:
        file.close()


class Shards(Sequence[FeatureRows]):
    """Feature rows on disk, loaded a shard at a time."""

    def __init__(self, folder: Path, tokenizer: str, width: int) -> None:
        self._files = folder / "originals", folder / tokenizer
        self._width = width
        self._count = self._files[0].stat().st_size // (4 * width)

    def __len__(self) -> int:
        return math.ceil(self._count / SHARD)

    def __getitem__(self, position: Any) -> Any:
        """Load a shard."""
        start = position * SHARD
        if start >= self._count:
            raise IndexError(position)
        count = min(SHARD, self._count - start)
        sides = [
            np.fromfile(file, np.float32, count * self._width, offset=4 * start * self._width)
            for file in self._files
        ]
        return FeatureRows(np.arange(start, start + count), *(side.reshape(count, -1) for side in sides))


def run(route: str, folder: Path, width: int) -> None:
    """Time one route in this process and print what it gave as JSON."""
    first, second = (Shards(folder, name, width) for name in ("first", "second"))
    replicates: tuple[float, ...] = ()
    if route == "eigenvalues":
        import torch
        from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

        start = time.perf_counter(), time.process_time()
        sides = (np.fromfile(folder / name, np.float32).reshape(-1, width) for name in ("originals", "first"))
        both = [fid_features_to_statistics(torch.from_numpy(side).double()) for side in sides]
        value = fid_statistics_to_metric(*both, verbose=False)["frechet_inception_distance"]
    elif route == "value":
        start = time.perf_counter(), time.process_time()
        value = frechet_distance(
            Moments.over((shard.reference for shard in first), width),
            Moments.over((shard.reconstruction for shard in first), width),
        )
    else:
        compute = kernel_estimate if route.startswith("kernel") else estimate
        if route.endswith("next"):
            compute(second)
        start = time.perf_counter(), time.process_time()
        found = compute(first)
        value, replicates = found.value, found.replicates
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"value": value, "replicates": replicates, "wall": wall, "cpu": cpu, "peak": peak}))


def children(rounds: int, width: int, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run every route in a process of its own, `rounds` times in turn."""
    for _ in range(rounds):
        for route in ROUTES:
            command = [
                sys.executable,
                __file__,
                "--width",
                str(width),
                "--route",
                route,
                "--folder",
                str(folder),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            yield route, json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print a line per route, and how far the values agree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--route", choices=[*ROUTES, "features"])
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.route == "features":
        write_features(asked.folder, asked.images, asked.width)
        return
    if asked.route:
        run(asked.route, asked.folder, asked.width)
        return
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "torch", "torch-fidelity"))
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    print(f"{asked.images} images, width {asked.width}, {asked.rounds} rounds; OMP_NUM_THREADS {threads}")
    print(f"{os.cpu_count()} cores ({platform.machine()}), {packages}")
    found: dict[str, list[dict[str, Any]]] = {route: [] for route in ROUTES}
    with tempfile.TemporaryDirectory() as name:
        size = ["--width", str(asked.width), "--images", str(asked.images)]
        # In a process of its own too: a child's peak memory starts at its parent's.
        subprocess.run([sys.executable, __file__, *size, "--route", "features", "--folder", name], check=True)
        for route, result in children(asked.rounds, asked.width, Path(name)):
            found[route].append(result)
    print(f"{'route':56} {'value':>16} {'wall s':>8} {'cpu s':>8} {'peak MB':>8}")
    for route, title in ROUTES.items():
        wall, cpu, peak = (
            statistics.median(each[key] for each in found[route]) for key in ("wall", "cpu", "peak")
        )
        print(f"{title:56} {found[route][0]['value']:16.10g} {wall:8.2f} {cpu:8.2f} {peak:8.0f}")
    first = found["interval"][0]["value"]
    for route in ("eigenvalues", "value", "next"):
        print(f"{ROUTES[route]}: differs by {abs(found[route][0]['value'] / first - 1):.1e}")


if __name__ == "__main__":
    main()
