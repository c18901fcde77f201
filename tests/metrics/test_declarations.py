"""What every metric must be: picklable, named, and importable without anything heavy."""

import pickle
import subprocess
import sys

import pytest

from tokbench.metrics import compat
from tokbench.metrics.agreement import CLASS_AGREEMENT, CLASS_AGREEMENT_5, CLASS_KL, ZERO_SHOT_AGREEMENT
from tokbench.metrics.base import ImageMetric, SetMetric
from tokbench.metrics.clip import CLIP_SIMILARITY, CMMD
from tokbench.metrics.codebook import PERPLEXITY, USAGE
from tokbench.metrics.coding import HUFFMAN, LZMA, ORDER0, ZLIB
from tokbench.metrics.cost import (
    BITS,
    DECODE_FLOPS,
    DECODE_MS,
    ENCODE_FLOPS,
    ENCODE_MS,
    PARAMETERS,
    PEAK_MEMORY,
    TOKENS,
)
from tokbench.metrics.dists import DISTS
from tokbench.metrics.frechet import FD_DINOV2, FD_LITE0, RFID, SFID
from tokbench.metrics.gradient import EDGE_F1, GMSD
from tokbench.metrics.kernel import KID, KID_LITE0
from tokbench.metrics.language import (
    ENTROPY_DOWN,
    ENTROPY_RIGHT,
    ENTROPY_SHARE,
    POSITION_ENTROPY,
    TOKEN_ENTROPY,
)
from tokbench.metrics.latents import EFFECTIVE_DIMENSION, KURTOSIS, LATENT_MEAN, LATENT_STD
from tokbench.metrics.objects import OBJECTS_LARGE, OBJECTS_MEDIUM, OBJECTS_SMALL
from tokbench.metrics.perceptual import FEAT_LITE0, LPIPS_ALEX, LPIPS_VGG
from tokbench.metrics.pixel import L1, PSNR
from tokbench.metrics.pooled import PSNR_POOLED
from tokbench.metrics.probe import LINEAR_PROBE
from tokbench.metrics.rate import BPP, BPP_ENTROPY
from tokbench.metrics.region import DRAWING_PSNR, PATTERN_PSNR, REGION_PSNR, TEXTURE_PSNR
from tokbench.metrics.spectrum import BAND_1, BAND_2, BAND_3, BAND_4, DETAIL_LOSS
from tokbench.metrics.speed import DECODE_IPS, ENCODE_IPS
from tokbench.metrics.structural import MS_SSIM, SSIM
from tokbench.metrics.texture import TEXTURE_LITE0
from tokbench.metrics.zipf import HEAPS, ZIPF, ZIPF_KS, ZIPF_R2

EVERY = (PSNR, L1, SSIM, MS_SSIM, FEAT_LITE0, LPIPS_ALEX, LPIPS_VGG, FD_LITE0, RFID, KID_LITE0, KID)
EVERY += (CLASS_AGREEMENT, CLASS_AGREEMENT_5, CLASS_KL, ZERO_SHOT_AGREEMENT, LINEAR_PROBE)
EVERY += (OBJECTS_SMALL, OBJECTS_MEDIUM, OBJECTS_LARGE)
EVERY += (DISTS, FD_DINOV2, SFID, CMMD, CLIP_SIMILARITY)
EVERY += (PSNR_POOLED, compat.SSIM_LLAMAGEN, compat.SSIM_SEED, compat.PSNR_SEED, compat.SSIM_LIGHTNINGDIT)
EVERY += (compat.PSNR_VTBENCH, compat.SSIM_VTBENCH, compat.LPIPS_VTBENCH)
EVERY += (BPP, BPP_ENTROPY, USAGE, PERPLEXITY, ENCODE_IPS, DECODE_IPS)
EVERY += (GMSD, EDGE_F1, DETAIL_LOSS, BAND_1, BAND_2, BAND_3, BAND_4, TEXTURE_LITE0)
EVERY += (REGION_PSNR, PATTERN_PSNR, DRAWING_PSNR, TEXTURE_PSNR)
EVERY += (TOKEN_ENTROPY, ENTROPY_SHARE, ENTROPY_RIGHT, ENTROPY_DOWN, POSITION_ENTROPY)
EVERY += (ZIPF, ZIPF_KS, ZIPF_R2, HEAPS, HUFFMAN, ORDER0, ZLIB, LZMA)
EVERY += (LATENT_MEAN, LATENT_STD, EFFECTIVE_DIMENSION, KURTOSIS)
EVERY += (PARAMETERS, ENCODE_FLOPS, DECODE_FLOPS, ENCODE_MS, DECODE_MS, PEAK_MEMORY, TOKENS, BITS)


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_a_metric_crosses_to_workers(metric):
    assert pickle.loads(pickle.dumps(metric)) == metric
    assert isinstance(metric, ImageMetric | SetMetric)
    assert len(metric.title) <= 8
    assert metric.definition.endswith(".")


def test_names_and_titles_are_unique():
    for attribute in ("name", "title"):
        assert len({getattr(metric, attribute) for metric in EVERY}) == len(EVERY)


def test_distances_of_one_network_share_their_states():
    assert FD_LITE0.collector is KID_LITE0.collector
    assert RFID.collector is KID.collector
    assert RFID.network == "inception"


def test_declarations_import_nothing_heavy():
    modules = (
        "tokbench.metrics.bootstrap",
        "tokbench.metrics.codebook",
        "tokbench.metrics.compat",
        "tokbench.metrics.frechet",
        "tokbench.metrics.kernel",
        "tokbench.metrics.perceptual",
        "tokbench.metrics.pixel",
        "tokbench.metrics.rate",
        "tokbench.metrics.speed",
        "tokbench.metrics.structural",
        "tokbench.networks.clip",
        "tokbench.networks.dinov2",
        "tokbench.networks.dists",
        "tokbench.networks.inception",
        "tokbench.networks.lite0",
        "tokbench.networks.lpips",
        "tokbench.weights",
    )
    code = f"import sys, {', '.join(modules)}; print(*({{'torch', 'numpy', 'scipy', 'pandas'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
