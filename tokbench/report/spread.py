"""Per-image values in a few bytes: a histogram a tokenizer and metric, and the images at both ends.

Histograms of one metric share their edges, so that tokenizers can be laid over each other; 48 counts of 16 bits in
base64 are 128 characters, whatever the number of images.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.report.data import Assembly, Source

BINS = 48
ENDS = 3
_FULL = 65535
_PREFIX = "metric:"


def values_of(source: Source) -> tuple[list[str], dict[str, npt.NDArray[np.float64]]] | None:
    """Return the image ids and clean per-image values of a job; None when the folder lacks its shards."""
    from tokbench.results.store import Store
    from tokbench.results.summary import read_table

    try:
        table = read_table(Store(source.results.folder), source.job)
    except IntegrityError:
        return None
    names = [name for name in table.column_names if name.startswith(_PREFIX) and "@" not in name]
    values = {name.removeprefix(_PREFIX): table[name].to_numpy() for name in names}
    return table["image"].to_pylist(), values


def add_spread(assembly: Assembly) -> None:
    """Add histograms and extreme images to every look of a report."""
    document = assembly.document
    for number, look in enumerate(document["looks"]):
        read = {
            source.tokenizer: found
            for source in assembly.sources
            if source.look == number and (found := values_of(source)) is not None
        }
        directions = {
            metric["name"]: metric["higher"]
            for board in document["boards"]
            if board["look"] == number
            for metric in board["metrics"]
        }
        look.update(spread({t: values for t, (_, values) in read.items()}, directions))
        look["names"] = named(look["ends"], {t: ids for t, (ids, _) in read.items()})


def spread(
    values: Mapping[int, Mapping[str, npt.NDArray[np.float64]]], directions: Mapping[str, bool | None]
) -> dict[str, Any]:
    """Summarise per-image values.

    Args:
        values: by tokenizer and metric, float64 ``[n]``; NaN where there is none.
        directions: ``{metric: higher is better}``; metrics it does not name are left out.

    Returns:
        ``hists``: ``{metric: {low, high, of: {tokenizer: [counts in base64, n, infinite ones]}}}``; ``ends``:
        ``{metric: {tokenizer: [positions of the worst images, of the best]}}`` for metrics with a direction.
    """
    import numpy as np

    hists: dict[str, Any] = {}
    ends: dict[str, Any] = {}
    for metric in dict.fromkeys(name for each in values.values() for name in each):
        if metric not in directions:
            continue
        columns = {t: each[metric] for t, each in values.items() if metric in each}
        finite = {t: column[np.isfinite(column)] for t, column in columns.items()}
        if not any(column.size for column in finite.values()):
            continue
        low = min(float(column.min()) for column in finite.values() if column.size)
        high = max(float(column.max()) for column in finite.values() if column.size)
        hists[metric] = {
            "low": float(f"{low:.6g}"),
            "high": float(f"{high:.6g}"),
            "of": {
                t: [_packed(column, low, high), int(column.size), int(np.isinf(columns[t]).sum())]
                for t, column in finite.items()
            },
        }
        if directions[metric] is not None:
            sign = 1 if directions[metric] else -1
            ends[metric] = {t: _ends(sign * column) for t, column in columns.items()}
    return {"hists": hists, "ends": ends}


def _packed(column: npt.NDArray[np.float64], low: float, high: float) -> str:
    """Count values into `BINS` equal bins; counts above 16 bits are scaled, which keeps the shape."""
    import numpy as np

    if high > low:
        places = np.clip(((column - low) / (high - low) * BINS).astype(np.int64), 0, BINS - 1)
    else:
        places = np.full(column.size, BINS // 2)
    counts = np.bincount(places, minlength=BINS)
    if counts.max(initial=0) > _FULL:
        counts = np.round(counts * (_FULL / counts.max()))
    return base64.b64encode(counts.astype("<u2").tobytes()).decode()


def _ends(goodness: npt.NDArray[np.float64]) -> list[list[int]]:
    """Return positions of the worst and the best images; ties go to the earlier image."""
    import numpy as np

    there = np.flatnonzero(~np.isnan(goodness))
    ordered = there[np.argsort(goodness[there], kind="stable")]
    best = there[np.argsort(-goodness[there], kind="stable")]
    return [ordered[:ENDS].tolist(), best[:ENDS].tolist()]


def named(
    ends: Mapping[str, Mapping[int, list[list[int]]]], ids: Mapping[int, Sequence[str]]
) -> dict[str, str]:
    """Return the ids of the images that `ends` speaks of, by position."""
    return {
        str(place): str(ids[t][place])
        for of in ends.values()
        for t, both in of.items()
        for side in both
        for place in side
    }
