"""Cost per image, peak memory and disk against the number of images, and a projection to 50,000 images × 10 tokenizers.

    python benchmarks/scale.py 100 400                          # about 6 minutes on two cores
    python benchmarks/scale.py 100 1000 10000 --task pixels     # PSNR and SSIM only: about 20 minutes
    python benchmarks/scale.py 100 1000 10000 --keep FOLDER     # hours; the same command goes on where it stopped

Each number of images is one ``tokbench run`` in a process of its own with nothing cached; the first two are also run
with a single tokenizer, so that what an image costs once is told from what it costs every tokenizer. `--task` takes
``peers`` (rFID, LPIPS-alex, PSNR, SSIM, MS-SSIM), ``peers-vgg``, ``pixels``, or any task of tokbench. Linux only.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _images import write_images
from _log import Log
from _measure import measure
from _networks import are_random, evaluators, write_weights
from _report import circumstances, commit, table
from _tasks import environment
from peers import TOKENIZERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECTED = 50_000, 10

Point = dict[str, Any]
"""One run: images, tokenizers, usage, and bytes of its results folder and of the cache."""


class Scale:
    """Runs of several sizes.

    Args:
        folder: where everything is kept.
        task: name of the task.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, folder: Path, task: str, device: str) -> None:
        self.folder = folder
        self.task = task
        self.device = device
        self.weights = write_weights(folder, evaluators(vgg=task == "peers-vgg")) if "peers" in task else {}
        self.environment = environment(folder)

    def point(self, images: int, tokenizers: int) -> Point:
        """Measure one run."""
        source = write_images(self.folder / f"images-{images}", images)
        out = self.folder / "out"
        for old in (out, self.folder / "cache"):
            shutil.rmtree(old, ignore_errors=True)
        command = [
            *(sys.executable, "-m", "tokbench", "run", "--offline", "--json", "--task", self.task),
            *("--images", str(source), "--out", str(out), "--device", self.device),
            *(word for name in TOKENIZERS[:tokenizers] for word in ("--tokenizer", name)),
            *(word for name, path in self.weights.items() for word in ("--weights", f"{name}={path}")),
        ]
        usage = measure(command, self.environment)
        return {
            "images": images,
            "tokenizers": tokenizers,
            "results": _bytes(out),
            "cache": _bytes(self.folder / "cache"),
            **asdict(usage),
        }


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fit(points: Sequence[Point], key: str) -> tuple[float, float, float]:
    """Fit ``start + images × (once + tokenizers × each)`` to a quantity of all points by least squares.

    Residuals are taken relative to the points, so that small runs decide the start and large ones the slopes.

    Returns:
        start, once, each; none below zero.
    """
    from scipy.optimize import nnls

    rows = np.array([[1, point["images"], point["images"] * point["tokenizers"]] for point in points], float)
    values = np.array([point[key] for point in points], float)
    weights = 1 / np.maximum(values, 1e-9)
    start, once, each = nnls(rows * weights[:, None], values * weights)[0]
    return float(start), float(once), float(each)


def show(points: Sequence[Point]) -> str:
    """Return the tables."""
    rows = []
    for point in points:
        images, work = point["images"], point["images"] * point["tokenizers"]
        rows.append(
            [
                f"{images:,} × {point['tokenizers']}",
                f"{point['wall']:.1f}",
                f"{1000 * point['wall'] / work:.1f}",
                f"{point['largest']:.0f}",
                f"{point['together']:.0f}",
                f"{point['results'] / work / 1000:.2f}",
                f"{point['cache'] / images / 1000:.2f}",
            ]
        )
    heads = (
        "images × tokenizers",
        "wall s",
        "ms an image and tokenizer",
        "largest process MB",
        "all processes MB",
        "results kB an image and tokenizer",
        "cache kB an image",
    )
    return f"{table(heads, rows)}\n\n{_slopes(points)}\n\n{_projection(points)}"


def _slopes(points: Sequence[Point]) -> str:
    start, once, each = fit(points, "wall")
    most = max(point["tokenizers"] for point in points)
    ends = [point for point in points if point["tokenizers"] == most]
    grown = (ends[-1]["together"] - ends[0]["together"]) / (ends[-1]["images"] - ends[0]["images"])
    return "\n".join(
        (
            f"- wall time ≈ {start:.1f} s + images × ({1000 * once:.1f} ms + tokenizers × {1000 * each:.1f} ms)",
            f"- memory stayed under {max(point['together'] for point in points):.0f} MB; from {ends[0]['images']:,} to "
            f"{ends[-1]['images']:,} images it changed by {1000 * grown:+.1f} MB per 1,000 images",
        )
    )


def _projection(points: Sequence[Point]) -> str:
    images, tokenizers = PROJECTED

    def at(key: str) -> float:
        start, once, each = fit(points, key)
        return start + images * (once + tokenizers * each)

    largest = max(points, key=lambda point: point["images"] * point["tokenizers"])
    rows = [
        ["wall time, one machine, one process", f"{at('wall') / 3600:.1f} h"],
        ["results folder", f"{at('results') / 1e9:.2f} GB"],
        ["cache", f"{at('cache') / 1e9:.2f} GB"],
        ["memory, all processes, as measured", f"{largest['together']:.0f} MB"],
    ]
    return table([f"projection: {images:,} images × {tokenizers} tokenizers", ""], rows)


def runs(sizes: Sequence[int], tokenizers: int) -> list[tuple[int, int]]:
    """Return ``(images, tokenizers)`` of the runs to make, smallest first.

    Raises:
        ValueError: fewer than two sizes, or fewer than two tokenizers: there would be no slope.
    """
    ordered = sorted(set(sizes))
    if len(ordered) < 2 or not 2 <= tokenizers <= len(TOKENIZERS):
        msg = f"give at least two numbers of images, and 2 to {len(TOKENIZERS)} tokenizers"
        raise ValueError(msg)
    return [*((size, 1) for size in ordered[:2]), *((size, tokenizers) for size in ordered)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sizes", type=int, nargs="*", default=[100, 400], metavar="N", help="numbers of images"
    )
    parser.add_argument("--tokenizers", type=int, default=3, metavar="K", help="2 to 10 (3)")
    parser.add_argument("--task", default="peers")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument(
        "--keep", type=Path, help="work in this folder; the same command goes on where it stopped"
    )
    chosen = parser.parse_args()
    wanted = runs(chosen.sizes, chosen.tokenizers)
    settings: Mapping[str, Any] = {"task": chosen.task, "device": chosen.device, "commit": commit()}
    with nullcontext(chosen.keep) if chosen.keep else tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        log = Log(folder, settings)
        scale = Scale(folder, chosen.task, chosen.device)
        points = [
            log.once(f"{images} images × {tokenizers}", partial(scale.point, images, tokenizers))
            for images, tokenizers in wanted
        ]
        kind = "random weights of the true architectures" if are_random(scale.weights) else "as installed"
    print(
        f"Task {chosen.task}, images of 256×256, tokenizers {', '.join(TOKENIZERS[: chosen.tokenizers])}.\n"
    )
    print(circumstances(chosen.device, kind))
    print(f"\n{show(points)}")


if __name__ == "__main__":
    main()
