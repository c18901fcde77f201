"""Batches as the engine hands them over, made from a seed."""

import numpy as np
import torch
from torch.nn import functional

from tokbench.metrics.base import Batch, no_codebook
from tokbench.metrics.features import FeatureRows
from tokbench.tokenizer import Codes, TokenSpec

DISCRETE = TokenSpec("toy", "discrete", vocab=8)


def pictures(n=3, height=192, width=180, seed=0):
    """Smooth seeded images, uint8 ``[n, 3, height, width]``."""
    rough = torch.rand(n, 3, 24, 20, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(rough, size=(height, width), mode="bicubic").mul(255).clamp(0, 255).byte()


def noisy(images, level, seed=1):
    """The same images with normal noise of a level in 8-bit steps."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    return (images + level * noise).round().clamp(0, 255).byte()


def make_batch(
    original,
    reconstruction,
    *,
    index=None,
    spec=DISCRETE,
    codes=None,
    features=None,
    bits=None,
    truth=None,
    evaluators=None,
    codebook=no_codebook,
):
    n = len(original)
    found = {}
    return Batch(
        index=np.arange(n) if index is None else np.asarray(index),
        original=original,
        reconstruction=reconstruction,
        features=features,
        spec=spec,
        codes=codes or Codes(payloads=(b"",) * n),
        bits=np.full(n, 100.0) if bits is None else np.asarray(bits, float),
        truth=[{}] * n if truth is None else truth,
        evaluator=(evaluators or {}).__getitem__,
        once=lambda key, compute: found[key] if key in found else found.setdefault(key, compute()),
        view="",
        codebook=codebook,
        encode_seconds=np.full(n, 0.5),
        decode_seconds=np.linspace(0.1, 0.4, n),
    )


def rows(x, y, shards=3):
    """Feature rows of originals x and reconstructions y, dealt out to shards."""
    index = np.arange(len(x))
    return [FeatureRows.of(index[i::shards], x[i::shards], y[i::shards]) for i in range(shards)]


def degrade(x, level, seed=2):
    return (x + level * np.random.default_rng(seed).normal(size=x.shape)).astype(np.float32)


def features(n, width, seed=1):
    """Non-negative with dead columns, as after a ReLU."""
    x = np.random.default_rng(seed).gamma(0.7, 1.0, (n, width))
    x[:, ::7] = 0
    return x.astype(np.float32)
