"""Numbers held against the shards that a submission includes: the summary is computed again from them."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError, TokbenchError
from tokbench.leaderboard.reading import Problem
from tokbench.leaderboard.submission import SHARDS
from tokbench.results.schema import row_from_dict
from tokbench.results.store import SUMMARY, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokbench.catalog import Catalog

_INFLATED = 4 << 30
_ENOUGH = 50
# The summary is the same code on the same stored numbers; libraries may differ in the last digits of a resample.
_RELATIVE = 1e-6


def check_shards(
    folder: Path, manifest: Mapping[str, Any], summary: Mapping[str, Any], catalog: Catalog
) -> list[Problem]:
    """Summarise the shards of a submission and compare every number; its documents must be sound."""
    from tokbench.results.summary import summarize

    store = Store(folder)
    found = []
    for job in manifest["jobs"]:
        for number in range(min(job["shards"], job["images"])):
            name = f"{SHARDS}/{job['id']}/{number:05d}"
            reason = _too_long(folder / f"{name}.parquet", job["images"]) or _unsafe(store, job["id"], number)
            if reason:
                found.append(Problem(name, "", reason))
    if found:
        return found[:_ENOUGH]
    tasks = {name: catalog.task(name) for job in manifest["jobs"] for name in job["tasks"]}
    try:
        again = summarize(store, manifest, tasks, {})
    except (TokbenchError, KeyError, ValueError, TypeError) as error:
        reason = error.message if isinstance(error, TokbenchError) else f"{type(error).__name__}: {error}"
        return [Problem(SHARDS, "", f"cannot be summarised: {reason.replace(str(folder), '.')}")]
    stated = {_place(row): row for row in map(row_from_dict, summary["rows"])}
    for row in again:
        other = stated.get(_place(row))
        if other is None:
            continue
        for name in ("value", "ci_low", "ci_high", "n", "failed"):
            a, b = float(getattr(other, name)), float(getattr(row, name))
            if not _equal(a, b):
                place = " · ".join(filter(None, _place(row)))
                found.append(Problem(SUMMARY, f"{place}: {name}", f"is {a:.9g}, the shards give {b:.9g}"))
    return found[:_ENOUGH]


def _place(row: Any) -> tuple[str, str, str, str, str]:
    return row.tokenizer, row.dataset, row.task, row.metric, row.view


def _equal(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=_RELATIVE, abs_tol=1e-9)


def _unsafe(store: Store, job: str, shard: int) -> str:
    """Say why a file of arrays must not be opened: missing, or more than 4 GiB when inflated."""
    try:
        with zipfile.ZipFile(Path(store.folder) / store.states_name(job, shard)) as archive:
            size = sum(each.file_size for each in archive.infolist())
    except IntegrityError as error:
        return error.message.replace(str(store.folder), ".")
    except (OSError, zipfile.BadZipFile) as error:
        return f"its .npz cannot be read: {type(error).__name__}"
    return f"its .npz inflates to {size >> 20} MiB" if size > _INFLATED else ""


def _too_long(path: Path, images: int) -> str:
    """Say why a file of rows must not be read: missing, damaged, or larger than so many images need."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        return f"its .parquet cannot be read: {type(error).__name__}"
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if metadata.num_rows > images or size > _INFLATED:
        return f"its .parquet holds {metadata.num_rows} rows, {size >> 20} MiB"
    return ""
