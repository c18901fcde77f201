"""Tokens as a language: how ids are distributed, ordered and compressed, and how latents spread."""

from __future__ import annotations

from tokbench.metrics.codebook import PERPLEXITY, USAGE
from tokbench.metrics.coding import HUFFMAN, LZMA, ORDER0, ZLIB
from tokbench.metrics.language import (
    ENTROPY_DOWN,
    ENTROPY_RIGHT,
    ENTROPY_SHARE,
    POSITION_ENTROPY,
    TOKEN_ENTROPY,
)
from tokbench.metrics.latents import EFFECTIVE_DIMENSION, KURTOSIS, LATENT_MEAN, LATENT_STD
from tokbench.metrics.zipf import HEAPS, ZIPF, ZIPF_KS, ZIPF_R2
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

TOKENS = Task(
    name="tokens",
    version=1,
    title="tokens as a language: usage, entropies, Zipf and Heaps exponents, compressibility; spread of latents",
    protocol=get_protocol("adm-256"),
    metrics=(
        USAGE,
        PERPLEXITY,
        TOKEN_ENTROPY,
        ENTROPY_SHARE,
        ENTROPY_RIGHT,
        ENTROPY_DOWN,
        POSITION_ENTROPY,
        ZIPF,
        ZIPF_KS,
        ZIPF_R2,
        HEAPS,
        HUFFMAN,
        ORDER0,
        ZLIB,
        LZMA,
        LATENT_MEAN,
        LATENT_STD,
        EFFECTIVE_DIMENSION,
        KURTOSIS,
    ),
    headline=(
        "codebook_usage",
        "token_entropy",
        "entropy_share",
        "entropy_right",
        "entropy_down",
        "zipf_exponent",
        "heaps_exponent",
        "huffman_share",
        "lzma_share",
        "effective_dimension",
    ),
    primary="entropy_share",
)
