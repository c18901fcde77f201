"""Cost: what a tokenizer needs to run, on the device that is named beside the numbers."""

from __future__ import annotations

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
from tokbench.metrics.rate import BPP
from tokbench.metrics.speed import DECODE_IPS, ENCODE_IPS
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

COST = Task(
    name="cost",
    version=1,
    title="parameters, operations, memory, time, tokens and bits of one image on the device at hand",
    protocol=get_protocol("adm-256"),
    metrics=(
        PARAMETERS,
        ENCODE_FLOPS,
        DECODE_FLOPS,
        PEAK_MEMORY,
        ENCODE_MS,
        DECODE_MS,
        ENCODE_IPS,
        DECODE_IPS,
        TOKENS,
        BITS,
        BPP,
    ),
    headline=(
        "parameters",
        "encode_flops",
        "decode_flops",
        "peak_memory",
        "encode_ms",
        "decode_ms",
        "encode_ips",
        "decode_ips",
        "tokens",
        "bits",
    ),
    primary="encode_ms",
)
