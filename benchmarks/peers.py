"""tokbench against the tool chain it replaces: the same images, tokenizers and networks, interleaved.

    python benchmarks/peers.py                                  # 256 images, 3 pairs: about 12 minutes on two cores
    python benchmarks/peers.py --images 32 --pairs 1            # about 1.5 minutes
    python benchmarks/peers.py --images 64 --pairs 2 --vgg      # about 6 minutes
    python benchmarks/peers.py --images 64 --tokenizers 10 --pairs 1    # about 7 minutes

One side is the chain as its users run it (`_chain.py`): write PNG files, then torch-fidelity, lpips, scikit-image and
torchmetrics, each a script of its own that reads them back. The other is one ``tokbench run`` of the same numbers,
once with an empty cache and once more with what that run cached. Printed are the ratios of wall time, processor time
and peak memory, and how far apart the numbers of the two sides are. Nothing touches the network. Linux only: memory is
read from /proc.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import _chain
import numpy as np
from _images import write_images
from _log import Log
from _measure import Usage, measure
from _networks import are_random, evaluators, write_weights
from _report import circumstances, commit, spread, table
from _tasks import environment, peers_task

from tokbench import Results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKENIZERS = (
    "vq-patch-8",
    "jpeg-q50",
    "area-4",
    "jpeg-q75",
    "vq-patch-4",
    "jpeg-q25",
    "area-2",
    "jpeg-q95",
    "area-8",
    "jpeg-q10",
)
"""Cheap ones, so that what is compared is the measuring."""

Values = dict[str, dict[str, Any]]
"""``{tokenizer: {metric: mean, or the numbers of the images in order}}``."""


class Bench:
    """Both sides on one set of images.

    Args:
        folder: where everything is kept.
        images: how many.
        tokenizers: which.
        vgg: whether LPIPS-vgg is computed too.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(
        self, folder: Path, images: int, tokenizers: Sequence[str], *, vgg: bool = False, device: str = "cpu"
    ) -> None:
        self.folder = folder
        self.tokenizers = tuple(tokenizers)
        self.device = device
        self.task = peers_task(vgg=vgg)
        self.steps = ("fidelity", "lpips_alex", *(("lpips_vgg",) if vgg else ()), "pixels", "ms_ssim")
        self.images = write_images(folder / f"images-{images}", images)
        self.weights = write_weights(folder, evaluators(vgg=vgg))
        self.environment = environment(folder)

    def peers(self) -> dict[str, Any]:
        """Run the peers' chain: originals once, everything else for each tokenizer."""
        work = self.folder / "peers"
        shutil.rmtree(work, ignore_errors=True)
        used = {"originals": [self._chain("originals", self.images, work / "originals")]}
        values: Values = {}
        for name in self.tokenizers:
            side = work / name
            used.setdefault("reconstruct", []).append(
                self._chain("reconstruct", name, work / "originals", side)
            )
            values[name] = {}
            for step in self.steps:
                result = work / f"{name}-{step}.json"
                used.setdefault(step, []).append(self._chain(step, work / "originals", side, result))
                values[name] |= json.loads(result.read_text())
        whole = _total([usage for usages in used.values() for usage in usages])
        steps = {step: sum(usage.wall for usage in usages) for step, usages in used.items()}
        return {"usage": asdict(whole), "steps": steps, "values": values}

    def tokbench(self, *, cached: bool) -> dict[str, Any]:
        """Run tokbench into a new results folder.

        Args:
            cached: keep what an earlier run left in the cache.
        """
        out = self.folder / "out"
        for old in (out, *(() if cached else (self.folder / "cache",))):
            shutil.rmtree(old, ignore_errors=True)
        usage = measure([sys.executable, "-m", "tokbench", *self.arguments(out)], self.environment)
        return {"usage": asdict(usage), "values": self.values(out)}

    def arguments(self, out: Path) -> list[str]:
        """Return the command line of tokbench's side."""
        return [
            *("run", "--offline", "--json", "--task", self.task.name, "--device", self.device),
            *("--images", str(self.images), "--out", str(out)),
            *(word for name in self.tokenizers for word in ("--tokenizer", name)),
            *(word for name, path in self.weights.items() for word in ("--weights", f"{name}={path}")),
        ]

    def values(self, out: Path) -> Values:
        """Read tokbench's numbers in the form of the chain's."""
        results = Results.load(out)
        frame = results.images()
        found: Values = {}
        for name in self.tokenizers:
            rows = frame[frame["tokenizer"] == name].sort_values("index")
            found[name] = {
                metric: rows[metric].tolist() if metric in rows else results.value(name, metric)
                for metric in self.task.headline
            }
        return found

    def _chain(self, step: str, *words: str | Path) -> Usage:
        command = [sys.executable, _chain.__file__, step, *map(str, words), "--device", self.device]
        return measure([*command, "--inception", str(self.weights["inception"])], self.environment)


def agreement(
    peers: Values, ours: Values, metrics: Sequence[str]
) -> list[tuple[str, float, float, float, float]]:
    """Compare the numbers of both sides.

    Returns:
        ``(metric, the chain's mean, tokbench's mean, largest difference of a mean, largest difference of an image)``
        for each metric; means are those of the first tokenizer, differences the largest over all. A metric of a whole
        set has NaN for its images.
    """
    rows = []
    for metric in metrics:
        pairs = [(np.array(peers[name][metric]), np.array(ours[name][metric])) for name in peers]
        of_means = max(abs(float(x.mean() - y.mean())) for x, y in pairs)
        of_images = max(float(np.abs(x - y).max()) if x.ndim else float("nan") for x, y in pairs)
        rows.append((metric, float(pairs[0][0].mean()), float(pairs[0][1].mean()), of_means, of_images))
    return rows


def _total(usages: Sequence[Usage]) -> Usage:
    whole = usages[0]
    for usage in usages[1:]:
        whole = whole.then(usage)
    return whole


def show(pairs: Sequence[Mapping[str, Any]], metrics: Sequence[str], count: int) -> str:
    """Return the tables.

    Args:
        pairs: what was measured, ``{side: measurement}`` each.
        metrics: names, in order.
        count: number of tokenizers.
    """
    sides = {"peers": "peers' chain", "cold": "tokbench", "warm": "tokbench, originals cached"}
    heads = {
        "wall": "wall s",
        "cpu": "CPU s",
        "largest": "largest process MB",
        "together": "all processes MB",
    }
    usages = {side: [pair[side]["usage"] for pair in pairs] for side in sides}
    rows = [
        [title, *(f"{median([usage[key] for usage in usages[side]]):.1f}" for key in heads)]
        for side, title in sides.items()
    ]
    for side, title in list(sides.items())[1:]:
        ratios = {
            key: [peer[key] / own[key] for peer, own in zip(usages["peers"], usages[side], strict=True)]
            for key in heads
        }
        rows.append([f"peers' chain ÷ {title}", *(f"**{spread(ratios[key])}**" for key in heads)])
    if count > 1:
        each = [
            [title, f"{median([use['wall'] for use in usages[side]]) / count:.1f}"]
            for side, title in sides.items()
        ]
        per_tokenizer = f"\n\n{table(['for each tokenizer', 'wall s'], each)}"
    else:
        per_tokenizer = ""
    steps = [
        [step, f"{median([pair['peers']['steps'][step] for pair in pairs]):.1f}"]
        for step in pairs[0]["peers"]["steps"]
    ]
    numbers = [
        [metric, f"{theirs:.6f}", f"{own:.6f}", f"{mean:.1e}", "" if np.isnan(image) else f"{image:.1e}"]
        for metric, theirs, own, mean, image in agreement(
            pairs[0]["peers"]["values"], pairs[0]["cold"]["values"], metrics
        )
    ]
    return "\n\n".join(
        (
            table(["", *heads.values()], rows) + per_tokenizer,
            table(["step of the chain", "wall s"], steps),
            table(["number", "peers' chain", "tokbench", "difference", "largest of an image"], numbers),
        )
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=256, metavar="N", help="number of images (256)")
    parser.add_argument(
        "--tokenizers", type=int, default=1, metavar="K", help="number of tokenizers, 1 to 10 (1)"
    )
    parser.add_argument("--pairs", type=int, default=3, help="repetitions of both sides, interleaved (3)")
    parser.add_argument("--vgg", action="store_true", help="LPIPS on VGG-16 too")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument(
        "--keep", type=Path, help="work in this folder; the same command goes on where it stopped"
    )
    chosen = parser.parse_args()
    names = TOKENIZERS[: chosen.tokenizers]
    settings = {
        "images": chosen.images,
        "tokenizers": names,
        "vgg": chosen.vgg,
        "device": chosen.device,
        "commit": commit(),
    }
    with nullcontext(chosen.keep) if chosen.keep else tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        log = Log(folder, settings)
        bench = Bench(folder, chosen.images, names, vgg=chosen.vgg, device=chosen.device)
        pairs = []
        for number in range(1, chosen.pairs + 1):
            ours = log.once(f"pair {number}: tokbench", partial(_cold_and_warm, bench))
            pairs.append({"peers": log.once(f"pair {number}: peers", bench.peers)} | ours)
        kind = (
            "random weights of the true architectures" if are_random(bench.weights) else "published weights"
        )
    of = f"{chosen.images} images at 256×256, {len(names)} tokenizer{'s' * (len(names) > 1)} ({', '.join(names)})"
    print(f"{of}, median of {len(pairs)} interleaved pair{'s' * (len(pairs) > 1)}.\n")
    print(circumstances(chosen.device, kind))
    print(f"\n{show(pairs, bench.task.headline, len(names))}")


def _cold_and_warm(bench: Bench) -> dict[str, Any]:
    return {"cold": bench.tokbench(cached=False), "warm": bench.tokbench(cached=True)}


if __name__ == "__main__":
    main()
