"""Runs a network so that its answer for one image never depends on the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def one_by_one(function: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """Apply `function` to each item ``[1, ...]`` of ``[n, ...]``, without gradients, and join the results.

    Convolution libraries choose how they order their sums by batch size and by the number of threads. So on the CPU
    every item is computed alone by one thread, several items side by side when torch may use several threads. On an
    accelerator the items follow each other.

    Args:
        function: called from several threads at once; changes nothing.
        batch: n items, n at least 1.
    """

    def alone(item: Tensor) -> Tensor:
        with torch.inference_mode():
            return function(item)

    items = torch.split(batch, 1)
    threads = torch.get_num_threads()
    if batch.device.type != "cpu" or threads == 1:
        return torch.cat([alone(item) for item in items])
    # A thread count set inside a thread holds there, and for threads started later: it is put back at the end.
    lanes = ThreadPoolExecutor(min(threads, len(items)), initializer=torch.set_num_threads, initargs=(1,))
    try:
        with lanes:
            results = list(lanes.map(alone, items))
    finally:
        torch.set_num_threads(threads)
    return torch.cat(results)
