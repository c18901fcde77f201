"""Measures what one image costs a tokenizer; nothing here runs unless a metric asks for it."""

from __future__ import annotations

import math
import platform
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from tokbench.metrics.cost import Profile
from tokbench.stored import stored_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tokbench.tokenizer import Codes, Tokenizer

REPEATS = 5
PATIENCE = 5.0
"""Seconds after which no further repetition is begun."""


def profile(
    tokenizer: Tokenizer, image: Tensor, through_bytes: Callable[[Codes], Codes], device: torch.device
) -> Profile:
    """Measure one image.

    Args:
        tokenizer: the tokenizer, warm.
        image: float32 ``[1, 3, h, w]`` in [0, 1], as `encode` takes it.
        through_bytes: packs and unpacks codes, as between `encode` and `decode`.
        device: where it runs.
    """
    codes = through_bytes(tokenizer.encode(image))
    flops = _flops(lambda: tokenizer.encode(image)), _flops(lambda: tokenizer.decode(codes))
    if not any(flops):
        # A table look-up is one side only; nothing on both sides is work that happened out of the counter's sight.
        flops = math.nan, math.nan
    stored = list(stored_tensors(tokenizer))
    elsewhere: int | None = getattr(tokenizer, "stored_numbers", None)  # of a tokenizer in a worker process
    here = sum(tensor.numel() for tensor in stored if tensor.is_floating_point())
    return Profile(
        device=device_name(device),
        parameters=here if elsewhere is None else elsewhere,
        encode_flops=flops[0],
        decode_flops=flops[1],
        encode_seconds=_seconds(lambda: tokenizer.encode(image), device),
        decode_seconds=_seconds(lambda: tokenizer.decode(codes), device),
        peak_bytes=_peak(tokenizer, image, codes, stored, device) if elsewhere is None else math.nan,
    )


def device_name(device: torch.device) -> str:
    """Return the name of a device as people know it, with the number of threads on a CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return str(device)
    described = Path("/proc/cpuinfo")
    lines = described.read_text(errors="replace").splitlines() if described.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    threads = torch.get_num_threads()
    return f"{model or platform.processor() or platform.machine()}, {threads} thread{'s' * (threads > 1)}"


def _flops(call: Callable[[], object]) -> float:
    # The counter sees this thread only, and networks that spread images over threads do not with a single one.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with FlopCounterMode(display=False) as counter:
            call()
    finally:
        torch.set_num_threads(threads)
    return float(counter.get_total_flops())


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    taken: list[float] = []
    while len(taken) < REPEATS and (not taken or sum(taken) < PATIENCE):
        _synchronise(device)
        start = time.perf_counter()
        call()
        _synchronise(device)
        taken.append(time.perf_counter() - start)
    return median(taken)


def _peak(
    tokenizer: Tokenizer, image: Tensor, codes: Codes, stored: list[Tensor], device: torch.device
) -> float:
    # A process's resident set keeps what earlier work freed, so on a CPU there is no honest number.
    if device.type != "cuda":
        return math.nan
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    tokenizer.encode(image)
    tokenizer.decode(codes)
    torch.cuda.synchronize(device)
    # Other tokenizers and networks share the device: only what is added counts, and the tokenizer's own weights.
    own = sum(tensor.untyped_storage().nbytes() for tensor in stored if tensor.device.type == "cuda")
    return float(torch.cuda.max_memory_allocated(device) - before + own)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
