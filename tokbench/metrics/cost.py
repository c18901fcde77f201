"""What a tokenizer costs: stored numbers, floating-point operations, memory, time, tokens and bits."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Self

from tokbench.metrics.base import Collector, Estimate, ImageMetric, SetMetric
from tokbench.metrics.rate import needs_codes
from tokbench.metrics.speed import needs_coding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch
    from tokbench.tokenizer import TokenSpec

    Rows = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """What one image of one size costs on one device.

    Attributes:
        device: its name, with the number of threads on a CPU.
        parameters: floating-point numbers that the tokenizer stores: parameters, buffers, codebooks.
        encode_flops: floating-point operations of `encode`, a multiply-add counted as two; NaN when none was seen in
            either direction.
        decode_flops: likewise of `decode`.
        encode_seconds: median wall time of `encode` after a warm-up, devices synchronised.
        decode_seconds: likewise of `decode`.
        peak_bytes: most device memory in use at once, weights included; NaN on a CPU.
    """

    device: str
    parameters: int
    encode_flops: float
    decode_flops: float
    encode_seconds: float
    decode_seconds: float
    peak_bytes: float


COLUMNS = ("parameters", "encode_flops", "decode_flops", "encode_seconds", "decode_seconds", "peak_bytes")


@dataclass(frozen=True, eq=False)
class Costs:
    """The profile of each image; a commutative monoid, exactly.

    Attributes:
        index: plan positions, int64 ``[n]``, ascending, no two equal.
        rows: float64 ``[n, 6]``, the numbers of `Profile` in the order of `COLUMNS`.
        devices: device names, str ``[n]``.
    """

    index: npt.NDArray[np.int64]
    rows: Rows
    devices: npt.NDArray[np.str_]

    @classmethod
    def empty(cls) -> Self:
        """Return the state of no image."""
        import numpy as np

        return cls(np.zeros(0, np.int64), np.zeros((0, len(COLUMNS))), np.zeros(0, np.str_))

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Note the profile of a batch, whose images are of one size.

        Raises:
            ValueError: nothing was run that could be profiled.
        """
        import numpy as np

        if batch.profile is None:
            raise ValueError(f"{batch.spec.name} was not run here")
        device, *numbers = astuple(batch.profile())
        count = len(batch.index)
        rows = np.tile(np.array(numbers, np.float64), (count, 1))
        return cls(np.sort(batch.index).astype(np.int64), rows, np.full(count, device))

    def __add__(self, other: Self) -> Self:
        import numpy as np

        index = np.concatenate((self.index, other.index))
        order = np.argsort(index)
        if (np.diff(index[order]) == 0).any():
            raise ValueError("costs hold an image twice")
        rows = np.concatenate((self.rows, other.rows))[order]
        return type(self)(index[order], rows, np.concatenate((self.devices, other.devices))[order])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return ``index`` (int64), ``rows`` (float64) and ``devices`` (text)."""
        return {"index": self.index, "rows": self.rows, "devices": self.devices}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild from `arrays`.

        Raises:
            ValueError: an array is missing, or they do not fit together.
        """
        import numpy as np

        if set(arrays) != {"index", "rows", "devices"}:
            raise ValueError(f"costs need index, rows and devices, got {sorted(arrays)}")
        index, rows = np.asarray(arrays["index"], np.int64), np.asarray(arrays["rows"], np.float64)
        if rows.shape != (len(index), len(COLUMNS)) or arrays["devices"].shape != index.shape:
            raise ValueError("costs do not fit together")
        return cls(index, rows, arrays["devices"].astype(np.str_))


@dataclass(frozen=True)
class _Column:
    """Finishes one column.

    Attributes:
        name: of `COLUMNS`.
        scale: factor into the metric's unit.
        on_device: whether it depends on the device, which is then named and must be one.
        median: whether the images' median counts, which one disturbed process does not move; else their mean.
        absent: why a number may be missing.
    """

    name: str
    scale: float
    on_device: bool = False
    median: bool = False
    absent: str = ""

    def __call__(self, states: Sequence[Costs]) -> Estimate:
        import numpy as np

        total = sum(states, Costs.empty())
        values = total.rows[:, COLUMNS.index(self.name)] * self.scale
        devices = sorted(set(total.devices.tolist()))
        if not len(values):
            return _blank("no image was measured")
        if np.isnan(values).any():
            return _blank(f"{self.absent}, here {', '.join(devices)}" if self.on_device else self.absent)
        value = float(np.median(values) if self.median else values.mean())
        if not self.on_device:
            return Estimate(value, math.nan, math.nan, "none")
        return Estimate(value, math.nan, math.nan, "none", f"on {', '.join(devices)}", len(devices) == 1)


def _blank(reason: str) -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, "none", reason, reliable=False)


def needs_operations(spec: TokenSpec) -> str:
    """Return "" for tokenizers that compute with tensors, else the reason."""
    if spec.kind == "codec":
        return "a codec in native code has no tensor operations to count"
    return needs_coding(spec)


def tokens_per_image(batch: Batch) -> Rows:
    """Return the ids of each image, all codebooks counted, or the positions of its latents, float64 ``[n]``.

    Latents of four axes are ``[n, channels, h, w]``, others have their channels last.
    """
    import numpy as np

    n = len(batch.index)
    if batch.codes.ids is not None:
        count = batch.codes.ids[0].numel()
    elif batch.codes.latents is not None:
        shape = batch.codes.latents.shape[1:]
        count = math.prod(shape[1:] if len(shape) == 3 else shape[:-1])
    else:
        return np.full(n, np.nan)
    return np.full(n, float(count))


def needs_tokens(spec: TokenSpec) -> str:
    """Return "" for tokenizers whose codes are ids or latents, else the reason."""
    return "" if spec.kind in {"discrete", "continuous"} else "its codes are no tokens"


def _bits(batch: Batch) -> Rows:
    return batch.bits


_UNSEEN = "no tensor operation was seen: other threads and native code are not counted"

COSTS = Collector(name="costs", kind=Costs, of=Costs.of)


def _cost(
    name: str,
    title: str,
    unit: str,
    finish: _Column,
    definition: str,
    applies: Callable[[TokenSpec], str] = needs_coding,
    higher_is_better: bool | None = False,
) -> SetMetric:
    return SetMetric(
        name=name,
        title=title,
        unit=unit,
        higher_is_better=higher_is_better,
        collector=COSTS,
        finish=finish,
        definition=definition,
        applies=applies,
        repeatable=not finish.on_device,
    )


PARAMETERS = _cost(
    "parameters",
    "params",
    "M",
    _Column("parameters", 1e-6),
    "Floating-point numbers that the tokenizer stores, in millions: parameters, buffers and codebooks.",
    needs_operations,
    None,
)
ENCODE_FLOPS = _cost(
    "encode_flops",
    "encFLOP",
    "GFLOP",
    _Column("encode_flops", 1e-9, absent=_UNSEEN),
    "Operations of matrix products, convolutions and attention in `encode` of one image; a multiply-add counts two.",
    needs_operations,
)
DECODE_FLOPS = _cost(
    "decode_flops",
    "decFLOP",
    "GFLOP",
    _Column("decode_flops", 1e-9, absent=_UNSEEN),
    "Operations of matrix products, convolutions and attention in `decode` of one image; a multiply-add counts two.",
    needs_operations,
)
ENCODE_MS = _cost(
    "encode_ms",
    "enc ms",
    "ms",
    _Column("encode_seconds", 1e3, on_device=True, median=True),
    "Wall time of `encode` of one image alone: median of up to five after a warm-up, on the device named beside it.",
)
DECODE_MS = _cost(
    "decode_ms",
    "dec ms",
    "ms",
    _Column("decode_seconds", 1e3, on_device=True, median=True),
    "Wall time of `decode` of one image alone: median of up to five after a warm-up, on the device named beside it.",
)
PEAK_MEMORY = _cost(
    "peak_memory",
    "peak",
    "MiB",
    _Column("peak_bytes", 2**-20, on_device=True, absent="measured on CUDA devices only"),
    "Most CUDA memory that one image takes in `encode` and `decode`, the tokenizer's own tensors included.",
    needs_operations,
)

TOKENS = ImageMetric(
    name="tokens",
    title="tokens",
    unit="",
    higher_is_better=None,
    measure=tokens_per_image,
    definition="Ids of an image, all codebooks counted, or positions of its latents.",
    applies=needs_tokens,
)
BITS = ImageMetric(
    name="bits",
    title="bits",
    unit="bit",
    higher_is_better=None,
    measure=_bits,
    definition="Bits of an image's serialised codes.",
    applies=needs_codes,
)
