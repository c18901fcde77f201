"""What every benchmark prints: the machine, the versions, the command, and tables in Markdown."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tokbench.engine.profile import device_name

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGES = (
    "tokbench",
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "torch-fidelity",
    "lpips",
    "scikit-image",
    "torchmetrics",
)


def circumstances(device: str, networks: str) -> str:
    """Describe where and how figures were taken, as Markdown lines."""
    import torch

    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    threads = [
        f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith(("OMP_", "MKL_"))
    ]
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    lines = [
        f"- command: `python {command}` in `benchmarks/`, commit {commit()}",
        f"- machine: {device_name(torch.device('cpu'))}; {cores} cores, {memory:.0f} GiB",
        f"- versions: Python {platform.python_version()}, {', '.join(_versions())}",
        f"- networks: {networks}",
    ]
    if device != "cpu":
        lines.insert(2, f"- device: {device_name(torch.device(device))}")
    if threads:
        lines.append(f"- environment: {' '.join(threads)}")
    return "\n".join(lines)


def commit() -> str:
    """Return the checkout's commit, marked where files differ from it."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median, with the range in brackets where there are several values."""
    middle = f"{median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _versions() -> list[str]:
    installed = {
        name.lower().replace("_", "-") for each in importlib.metadata.distributions() if (name := each.name)
    }
    return [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES if name in installed]
