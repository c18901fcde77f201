"""Harness overhead: the wall time of a run over that of its networks alone, in one process.

    python benchmarks/overhead.py                     # 64 images, 3 pairs: about 1.5 minutes on two cores
    python benchmarks/overhead.py --images 256        # about 5 minutes
    python benchmarks/overhead.py --vgg               # about 4 minutes

The networks see the same originals and reconstructions one by one, in as many lanes of one thread each as the run uses
(``torch.get_num_threads()``; on a GPU: in batches). The run is ``evaluate(...)`` with an empty cache. What it adds are
reading, decoding, preprocessing, the tokenizer, PSNR, SSIM, MS-SSIM, moments and files, as far as they are not hidden
behind the networks; and, in the whole run but not in a further image, loading the networks, the Fréchet distance with
its interval, and the summary.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _images import write_images
from _networks import are_random, evaluators, write_weights
from _report import circumstances, spread, table
from _tasks import peers_task
from PIL import Image

from tokbench import evaluate
from tokbench.catalog import discover
from tokbench.images.preprocess import prepare
from tokbench.images.rounding import from_uint8, to_uint8
from tokbench.loading import build_network, build_tokenizer
from tokbench.protocol import get_protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

BATCH = 16


def pixels_of(images: Path, tokenizer: str, device: torch.device) -> Tensor:
    """Return originals and reconstructions, uint8 ``[2n, 3, 256, 256]`` on the device."""
    originals = []
    for path in sorted(images.iterdir()):
        with Image.open(path) as image:
            originals.append(prepare(np.asarray(image.convert("RGB")), get_protocol("adm-256")).reference)
    entry = discover().tokenizer(tokenizer)
    model = build_tokenizer(entry, device=device, dtype=torch.float32, overrides={})
    batches = torch.from_numpy(np.stack(originals)).permute(0, 3, 1, 2).contiguous().to(device).split(BATCH)
    with torch.inference_mode():
        back = [to_uint8(model.decode(model.encode(from_uint8(batch)))) for batch in batches]
    return torch.cat([*batches, *back])


def alone(network: Any, images: Tensor) -> float:
    """Return the seconds that a network takes for all images, with nothing beside it."""
    if images.device.type != "cpu":
        torch.cuda.synchronize(images.device)
        start = time.perf_counter()
        for batch in images.split(BATCH):
            _look(network, batch)
        torch.cuda.synchronize(images.device)
        return time.perf_counter() - start
    threads = torch.get_num_threads()
    # The thread count is each thread's own; torch only keeps the last one set for threads to come.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as lanes:
        list(lanes.map(lambda image: _look(network, image), images[:threads].split(1)))
        start = time.perf_counter()
        for _ in lanes.map(lambda image: _look(network, image), images.split(1)):
            pass
        seconds = time.perf_counter() - start
    torch.set_num_threads(threads)
    return seconds


def _look(network: Any, images: Tensor) -> None:
    with torch.inference_mode():
        network(images)


def whole_run(images: Path, tokenizer: str, weights: Mapping[str, Path], device: str, *, vgg: bool) -> float:
    """Return the seconds of a run with nothing cached."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["TOKBENCH_CACHE"] = str(Path(place) / "cache")
        start = time.perf_counter()
        evaluate(
            tokenizer, images, peers_task(vgg=vgg), out=Path(place) / "out", weights=weights, device=device
        )
        return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=64, metavar="N", help="number of images (64)")
    parser.add_argument("--pairs", type=int, default=3, help="repetitions, interleaved (3)")
    parser.add_argument("--tokenizer", default="vq-patch-8")
    parser.add_argument("--vgg", action="store_true", help="LPIPS on VGG-16 too")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    chosen = parser.parse_args()
    sizes = chosen.images // 2, chosen.images
    # As the command line does; it is read when the first thread starts.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    device = torch.device(chosen.device)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        weights = write_weights(folder, evaluators(vgg=chosen.vgg))
        kind = "random weights of the true architectures" if are_random(weights) else "published weights"
        images = {size: write_images(folder / str(size), size) for size in sizes}
        pixels = pixels_of(images[chosen.images], chosen.tokenizer, device)
        networks = {
            each.name: build_network(each, device=device, overrides=weights)
            for each in evaluators(vgg=chosen.vgg)
        }
        warm_up = write_images(folder / "warm-up", 4)
        whole_run(warm_up, chosen.tokenizer, weights, chosen.device, vgg=chosen.vgg)
        floors: dict[str, list[float]] = {name: [] for name in networks}
        runs: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(chosen.pairs):
            for name, network in networks.items():
                floors[name].append(alone(network, pixels))
            for size in sizes:
                runs[size].append(
                    whole_run(images[size], chosen.tokenizer, weights, chosen.device, vgg=chosen.vgg)
                )
    print(f"{chosen.images} images at 256×256, {chosen.tokenizer}, {chosen.pairs} interleaved repetitions.\n")
    print(circumstances(chosen.device, kind))
    print(f"- lanes: {torch.get_num_threads() if chosen.device == 'cpu' else f'batches of {BATCH}'}\n")
    print(show(floors, runs))


def show(floors: Mapping[str, list[float]], runs: Mapping[int, list[float]]) -> str:
    """Return the table.

    Args:
        floors: seconds of each network alone on originals and reconstructions of the larger run.
        runs: ``{number of images: seconds}`` of half the images and of all.
    """
    half, count = sorted(runs)
    floor = [sum(each) for each in zip(*floors.values(), strict=True)]
    further = [whole - part for whole, part in zip(runs[count], runs[half], strict=True)]
    rows = [
        [f"{name} alone", f"{median(seconds):.2f}", f"{1000 * median(seconds) / count:.1f}", ""]
        for name, seconds in floors.items()
    ]
    rows += [
        ["networks alone, together", f"{median(floor):.2f}", f"{1000 * median(floor) / count:.1f}", "1"],
        [
            f"run of {count} images",
            f"{median(runs[count]):.2f}",
            f"{1000 * median(runs[count]) / count:.1f}",
            f"**{spread([whole / least for whole, least in zip(runs[count], floor, strict=True)])}**",
        ],
        [
            f"its images beyond the first {half}",
            f"{median(further):.2f}",
            f"{1000 * median(further) / (count - half):.1f}",
            f"**{median(further) / (count - half) * count / median(floor):.2f}**",
        ],
    ]
    return table(["", "wall s", "ms an image", "÷ networks"], rows)


if __name__ == "__main__":
    main()
