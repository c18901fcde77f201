"""Threads that measure while the main one reads and reconstructs."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")


class Lanes:
    """As many threads as torch may use, each of which computes with one: side by side, not inside one operator.

    Two networks of one thread each are faster than one of two threads on the same two processors, and their numbers do
    not depend on the number of threads. On an accelerator a single lane keeps it busy while the main thread prepares.

    Args:
        device: where the measuring happens.
    """

    def __init__(self, device: torch.device) -> None:
        threads = torch.get_num_threads()
        self.count = threads if device.type == "cpu" else 1
        started = Barrier(self.count + 1)

        def start() -> None:
            torch.set_num_threads(1)
            started.wait()

        self._pool = ThreadPoolExecutor(self.count, "lane", initializer=start)
        for _ in range(self.count):
            self._pool.submit(int)
        started.wait()
        # A count set inside a thread holds there and for threads to come: it is put back once all lanes have theirs.
        torch.set_num_threads(threads)

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function in the next free lane."""
        return self._pool.submit(function, *arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)
