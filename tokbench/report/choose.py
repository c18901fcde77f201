"""Which few of an image set's images a report shows: the worst, the best, and some by chance of place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    Values = Mapping[str, Mapping[str, npt.NDArray[np.float64]]]


def choose(values: Values, directions: Mapping[str, bool | None], count: int) -> dict[int, str]:
    """Choose images for all tokenizers together, so that they can be laid side by side.

    Half of them are the worst of some tokenizer by some metric, a quarter the best, and the rest evenly spaced over the
    set. Tokenizers take turns, then metrics.

    Args:
        values: ``{metric: {tokenizer: float64 [n]}}``, the most telling metric first, NaN where there is none.
        directions: ``{metric: higher is better}``; those without a better end are passed over.
        count: how many images, or fewer when the set has no more.

    Returns:
        ``{position: why}``, in the order chosen.
    """
    columns = [
        (metric, tokenizer, column)
        for metric, of in values.items()
        if directions.get(metric) is not None
        for tokenizer, column in of.items()
    ]
    size = max((len(column) for of in values.values() for column in of.values()), default=0)
    count = min(count, size)
    worst, best = count - count // 2, count // 4
    chosen: dict[int, str] = {}
    for word, wanted in (("worst", worst), ("best", worst + best)):
        for position, metric, tokenizer in _turns(columns, directions, best=word == "best"):
            if len(chosen) >= wanted:
                break
            chosen.setdefault(position, f"{word} {metric} of {tokenizer}")
    step = 0
    while len(chosen) < count:
        chosen.setdefault((size // 2 + step * max(1, size // count)) % size, "by place")
        step += 1
        if step >= count:
            for position in range(size):
                if len(chosen) < count:
                    chosen.setdefault(position, "by place")
    return chosen


def _turns(
    columns: Sequence[tuple[str, str, npt.NDArray[np.float64]]],
    directions: Mapping[str, bool | None],
    *,
    best: bool,
) -> Iterator[tuple[int, str, str]]:
    """Yield the first of every column, then the second of every column, and so on."""
    import numpy as np

    orders = []
    for metric, tokenizer, column in columns:
        there = np.flatnonzero(~np.isnan(column))
        if not there.size or column[there].min() == column[there].max():
            continue  # nothing is worse than anything else
        sign = 1 if directions[metric] is not best else -1
        orders.append((metric, tokenizer, there[np.argsort(sign * column[there], kind="stable")]))
    for rank in range(max((len(order) for _, _, order in orders), default=0)):
        for metric, tokenizer, order in orders:
            if rank < len(order):
                yield int(order[rank]), metric, tokenizer
