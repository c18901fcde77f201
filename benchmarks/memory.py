"""Peak memory of a run against the number of images: it should not depend on it.

    python benchmarks/memory.py 100 2000

Generates seeded 256×256 images, evaluates `jpeg-q50` and `vq-patch-8` on the first N of them in a process of its own
per N, and prints each process's peak resident memory and its wall time per image.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def write_images(folder: Path, count: int) -> None:
    """Write `count` different 256×256 JPEG files with structure at several scales."""
    folder.mkdir()
    for number in range(count):
        random = np.random.default_rng(number)
        total = np.zeros((256, 256, 3))
        for cells in (4, 16, 64):
            coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            total += np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC), float)
        Image.fromarray((total / 3).astype(np.uint8)).save(folder / f"{number:06d}.jpg", quality=95)


def measure(images: Path, out: Path) -> tuple[float, float]:
    """Evaluate a folder in a child process; return its peak resident memory in MB and its wall time in seconds."""
    code = (
        "import resource, sys\n"
        "from tokbench import evaluate\n"
        "evaluate(['jpeg-q50', 'vq-patch-8'], sys.argv[1], out=sys.argv[2])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(images), str(out)], check=True, capture_output=True, text=True
    )
    return float(done.stdout), time.perf_counter() - start


def main() -> None:
    """Print one line per number of images."""
    sizes = [int(word) for word in sys.argv[1:]] or [100, 2000]
    with tempfile.TemporaryDirectory() as name:
        for size in sizes:
            folder = Path(name) / str(size)
            write_images(folder, size)
            peak, seconds = measure(folder, Path(name) / f"out-{size}")
            print(f"{size} images: peak {peak:.0f} MB, {1000 * seconds / size:.0f} ms an image")


if __name__ == "__main__":
    main()
