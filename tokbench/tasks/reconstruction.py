"""Reconstruction: how much of the image survives a clean round trip through the tokens."""

from __future__ import annotations

from tokbench.metrics.clip import CMMD
from tokbench.metrics.codebook import PERPLEXITY, USAGE
from tokbench.metrics.dists import DISTS
from tokbench.metrics.frechet import FD_DINOV2, FD_LITE0, RFID, SFID
from tokbench.metrics.kernel import KID, KID_LITE0, KID_PAIRED
from tokbench.metrics.perceptual import FEAT_LITE0, LPIPS_ALEX, LPIPS_VGG
from tokbench.metrics.pixel import L1, PSNR
from tokbench.metrics.pooled import PSNR_POOLED
from tokbench.metrics.rate import BPP, BPP_ENTROPY
from tokbench.metrics.speed import DECODE_IPS, ENCODE_IPS
from tokbench.metrics.structural import MS_SSIM, SSIM
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

RECONSTRUCTION = Task(
    name="reconstruction",
    version=1,
    title="pixel, perceptual and distribution distances of a clean round trip at 256×256, with rate and speed",
    protocol=get_protocol("adm-256"),
    metrics=(
        BPP,
        BPP_ENTROPY,
        PSNR,
        PSNR_POOLED,
        SSIM,
        MS_SSIM,
        L1,
        FEAT_LITE0,
        FD_LITE0,
        KID_LITE0,
        RFID,
        SFID,
        KID,
        KID_PAIRED,
        FD_DINOV2,
        CMMD,
        LPIPS_ALEX,
        LPIPS_VGG,
        DISTS,
        USAGE,
        PERPLEXITY,
        ENCODE_IPS,
        DECODE_IPS,
    ),
    headline=("bpp", "psnr", "ssim", "feat_lite0", "fd_lite0", "kid_lite0", "rfid", "lpips_alex"),
    primary="fd_lite0",
)
