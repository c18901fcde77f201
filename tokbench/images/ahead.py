"""Reading ahead: a bounded number of requests on their way while the caller works, results in order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    T = TypeVar("T")


def ahead(calls: Iterable[Callable[[], T]], *, threads: int = 1, depth: int = 8) -> Iterator[T]:
    """Yield the results of calls in their order.

    Args:
        calls: what to call; with one thread, each is called after the one before has returned.
        threads: calls made at the same time.
        depth: calls started, or finished and not yet taken, beyond the one the caller works on.

    Raises:
        Exception: whatever a call raises, when its turn comes; later calls are cancelled.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, "reader") as pool:
        try:
            for call in calls:
                waiting.append(pool.submit(call))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
