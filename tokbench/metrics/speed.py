"""Throughput of `encode` and `decode`, wall clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.metrics.base import ImageMetric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch
    from tokbench.tokenizer import TokenSpec


def harmonic_mean(values: npt.NDArray[np.float64]) -> Any:
    """Average rates over the last axis as images divided by total time."""
    import numpy as np

    with np.errstate(divide="ignore"):
        return values.shape[-1] / (1 / values).sum(-1)


def needs_coding(spec: TokenSpec) -> str:
    """Return "" for anything that is timed, else the reason."""
    return "reconstructions were read from disk, not made" if spec.kind == "images" else ""


def _rate(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    import numpy as np

    with np.errstate(divide="ignore"):
        return 1 / seconds


def _measure_encode(batch: Batch) -> npt.NDArray[np.float64]:
    return _rate(batch.encode_seconds)


def _measure_decode(batch: Batch) -> npt.NDArray[np.float64]:
    return _rate(batch.decode_seconds)


ENCODE_IPS = ImageMetric(
    name="encode_ips",
    title="enc/s",
    unit="image/s",
    higher_is_better=True,
    measure=_measure_encode,
    mean=harmonic_mean,
    definition="Images divided by the wall time spent in `encode`; differs from machine to machine and run to run.",
    applies=needs_coding,
    repeatable=False,
)

DECODE_IPS = ImageMetric(
    name="decode_ips",
    title="dec/s",
    unit="image/s",
    higher_is_better=True,
    measure=_measure_decode,
    mean=harmonic_mean,
    definition="Images divided by the wall time spent in `decode`; differs from machine to machine and run to run.",
    applies=needs_coding,
    repeatable=False,
)
