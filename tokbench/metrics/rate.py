"""What the codes cost, in bits per pixel of the original."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric, SetMetric
from tokbench.metrics.codebook import TOKEN_COUNTS, estimate_entropy_rate, needs_codebook

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch
    from tokbench.tokenizer import TokenSpec


def needs_codes(spec: TokenSpec) -> str:
    """Return "" for anything that encodes, else the reason."""
    return "reconstructions read from disk have no codes" if spec.kind == "images" else ""


def _measure(batch: Batch) -> npt.NDArray[np.float64]:
    return batch.bits / (batch.original.shape[-2] * batch.original.shape[-1])


BPP = ImageMetric(
    name="bpp",
    title="bpp",
    unit="bit/px",
    higher_is_better=None,
    measure=_measure,
    definition="Bits of the serialised codes divided by the pixels of the original, averaged over images.",
    applies=needs_codes,
)

BPP_ENTROPY = SetMetric(
    name="bpp_entropy",
    title="bpp-H",
    unit="bit/px",
    higher_is_better=None,
    collector=TOKEN_COUNTS,
    finish=estimate_entropy_rate,
    definition=(
        "Order-0 entropy of the ids, codebook by codebook, times tokens per pixel: what an ideal entropy coder that "
        "knows the frequencies on these images would spend."
    ),
    applies=needs_codebook,
)
