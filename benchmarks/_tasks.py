"""What benchmarks compute, as tasks that ``tokbench run --task peers`` finds.

`environment` puts a folder on ``PYTHONPATH`` that offers them as an installed distribution would.
"""

from __future__ import annotations

import os
from pathlib import Path

from tokbench.metrics.frechet import RFID
from tokbench.metrics.perceptual import LPIPS_ALEX, LPIPS_VGG
from tokbench.metrics.pixel import PSNR
from tokbench.metrics.structural import MS_SSIM, SSIM
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

_WITHOUT_VGG = (RFID, LPIPS_ALEX, PSNR, SSIM, MS_SSIM)

PEERS = Task(
    name="peers",
    version=1,
    title="what peers compute with a script for each package",
    protocol=get_protocol("adm-256"),
    metrics=_WITHOUT_VGG,
    headline=tuple(metric.name for metric in _WITHOUT_VGG),
    primary=RFID.name,
)

PEERS_VGG = Task(
    name="peers-vgg",
    version=1,
    title="the same with LPIPS on VGG-16",
    protocol=get_protocol("adm-256"),
    metrics=(*_WITHOUT_VGG, LPIPS_VGG),
    headline=(*PEERS.headline, LPIPS_VGG.name),
    primary=RFID.name,
)

PIXELS = Task(
    name="pixels",
    version=1,
    title="no network at all: what reading, reconstructing and writing cost",
    protocol=get_protocol("adm-256"),
    metrics=(PSNR, SSIM),
    headline=(PSNR.name, SSIM.name),
    primary=PSNR.name,
)


def peers_task(*, vgg: bool) -> Task:
    """Return the task of a comparison."""
    return PEERS_VGG if vgg else PEERS


def environment(folder: Path) -> dict[str, str]:
    """Return this process's environment with everything of a benchmark added that its commands look for.

    Args:
        folder: of the benchmark. The cache is ``folder/cache``, and torchvision finds its weights in ``folder/hub``.
    """
    paths = [
        str(_write_plugin(folder / "plugin")),
        str(Path(__file__).parent),
        os.environ.get("PYTHONPATH", ""),
    ]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "TORCH_HOME": str(folder),
        "TOKBENCH_PLUGINS": "tokbench-benchmarks",
        "TOKBENCH_CACHE": str(folder / "cache"),
    }


def _write_plugin(folder: Path) -> Path:
    """Write the metadata of a distribution that has the tasks above, and return `folder`."""
    metadata = folder / "tokbench_benchmarks-1.0.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tokbench-benchmarks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[tokbench.tasks]\npeers = _tasks:PEERS\npeers-vgg = _tasks:PEERS_VGG\npixels = _tasks:PIXELS\n"
    )
    return folder
