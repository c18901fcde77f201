"""Reconstruction as published evaluations set it up: their crop, their metrics, their errors, each under its name.

What a preset cannot repeat is said in its metrics' definitions and in docs/metrics.md. Distribution distances are
torch-fidelity's in every preset, on rounded pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.metrics.codebook import PERPLEXITY, USAGE
from tokbench.metrics.compat import (
    LPIPS_VTBENCH,
    PSNR_SEED,
    PSNR_VTBENCH,
    SSIM_LIGHTNINGDIT,
    SSIM_LLAMAGEN,
    SSIM_SEED,
    SSIM_VTBENCH,
)
from tokbench.metrics.frechet import RFID
from tokbench.metrics.perceptual import LPIPS_ALEX, LPIPS_VGG
from tokbench.metrics.pixel import PSNR
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from tokbench.metrics.base import Metric


def _preset(name: str, protocol: str, metrics: tuple[Metric, ...], primary: str) -> Task:
    return Task(
        name=f"reconstruction-{name}",
        version=1,
        title=f"reconstruction with the crop and the metrics of {_WHOSE[name]}",
        protocol=get_protocol(protocol),
        metrics=metrics,
        headline=tuple(metric.name for metric in metrics),
        primary=primary,
    )


_WHOSE = {
    "llamagen": "LlamaGen (GigaTok and ReTok follow it)",
    "titok": "TiTok and One-D-Piece",
    "seed-voken": "SEED-Voken (Open-MAGVIT2, IBQ; WeTok follows it)",
    "vtbench": "VTBench",
    "lightningdit": "LightningDiT (VA-VAE)",
}

LLAMAGEN = _preset("llamagen", "adm-256", (RFID, PSNR, SSIM_LLAMAGEN, USAGE), "rfid")
TITOK = _preset("titok", "bicubic-256", (RFID, USAGE, PERPLEXITY), "rfid")
SEED_VOKEN = _preset(
    "seed-voken", "seed-256", (RFID, PSNR_SEED, SSIM_SEED, LPIPS_ALEX, LPIPS_VGG, USAGE), "rfid"
)
VTBENCH = _preset("vtbench", "vtbench-256", (RFID, PSNR_VTBENCH, SSIM_VTBENCH, LPIPS_VTBENCH), "psnr_vtbench")
LIGHTNINGDIT = _preset("lightningdit", "lightningdit-256", (RFID, PSNR, SSIM_LIGHTNINGDIT, LPIPS_VGG), "rfid")
