"""Detail: what becomes of fine structure at native resolution."""

from __future__ import annotations

from tokbench.metrics.gradient import EDGE_F1, GMSD
from tokbench.metrics.pixel import PSNR
from tokbench.metrics.rate import BPP
from tokbench.metrics.region import DRAWING_PSNR, INK_PSNR, PATTERN_PSNR, REGION_PSNR, TEXTURE_PSNR
from tokbench.metrics.spectrum import BAND_1, BAND_2, BAND_3, BAND_4, DETAIL_LOSS
from tokbench.metrics.texture import TEXTURE_LITE0
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

DETAIL = Task(
    name="detail",
    version=1,
    title="energy by spatial frequency, gradients, edges and texture at native resolution",
    protocol=get_protocol("native"),
    metrics=(
        BPP,
        PSNR,
        GMSD,
        EDGE_F1,
        DETAIL_LOSS,
        BAND_1,
        BAND_2,
        BAND_3,
        BAND_4,
        TEXTURE_LITE0,
        REGION_PSNR,
        INK_PSNR,
        PATTERN_PSNR,
        DRAWING_PSNR,
        TEXTURE_PSNR,
    ),
    headline=(
        "bpp",
        "psnr",
        "gmsd",
        "edge_f1",
        "detail_loss",
        "band_3",
        "band_4",
        "texture_lite0",
        "region_psnr",
    ),
    primary="gmsd",
)
