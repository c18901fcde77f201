"""A task from another distribution: PSNR alone, at native resolution."""

from tokbench.metrics.pixel import PSNR
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

PSNR_ONLY = Task(
    "psnr-only", 1, "PSNR at native resolution", get_protocol("native"), (PSNR,), ("psnr",), "psnr"
)
