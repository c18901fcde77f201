"""Legibility: the smallest font that survives the tokens, on pages whose words state their size."""

from __future__ import annotations

from tokbench.metrics.legibility import legibility_metrics
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

LEGIBILITY = Task(
    name="legibility",
    version=1,
    title="smallest legible font in pixels, read by RapidOCR at native size",
    protocol=get_protocol("native"),
    metrics=legibility_metrics("rapidocr"),
    headline=("legible_size", "legible_size_original"),
    primary="legible_size",
)
