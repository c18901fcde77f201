"""From shards to rows: the last step of a run, and all that `merge` has to do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tokbench.errors import IntegrityError, TokbenchError
from tokbench.metrics.base import Estimate, ImageMetric
from tokbench.metrics.bootstrap import bootstrap
from tokbench.results.schema import Row

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from tokbench.metrics.base import Metric, SetMetric, State
    from tokbench.results.store import Store
    from tokbench.tasks.base import Task


class ShardStates(Sequence["State"]):
    """The states of one collector over the shards of a job, loaded one at a time so that memory stays flat."""

    def __init__(self, store: Store, job: Mapping[str, Any], metric: SetMetric) -> None:
        self._store = store
        self._job = job
        self._collector = metric.collector

    def __len__(self) -> int:
        return int(self._job["shards"])

    @overload
    def __getitem__(self, position: int) -> State: ...
    @overload
    def __getitem__(self, position: slice) -> list[State]: ...
    def __getitem__(self, position: int | slice) -> State | list[State]:
        """Load the state of a shard."""
        if isinstance(position, slice):
            return [self[number] for number in range(*position.indices(len(self)))]
        if not 0 <= position < len(self):
            raise IndexError(position)
        arrays = self._store.read_states(self._job["id"], position, self._collector.name)
        try:
            return self._collector.kind.from_arrays(arrays)
        except (ValueError, KeyError) as error:
            raise IntegrityError(
                f"shard {position} of `{self._job['id']}`: state `{self._collector.name}` is damaged: {error}",
                hint="delete that shard's files and run the same command again",
            ) from error


def summarize(
    store: Store, manifest: Mapping[str, Any], tasks: Mapping[str, Task], failed: Mapping[str, TokbenchError]
) -> list[Row]:
    """Turn the shards of a results folder into rows.

    Args:
        store: the results folder; every job that is not in `failed` must have all its shards.
        manifest: its manifest.
        tasks: the tasks that the manifest names.
        failed: ``{job id: error}`` of tokenizers that broke; they get rows without numbers.

    Raises:
        IntegrityError: a shard is missing or damaged.
    """
    rows: list[Row] = []
    for job in manifest["jobs"]:
        if job["id"] in failed:
            reason = f"{type(failed[job['id']]).__name__}: {failed[job['id']].message}"
            rows += [
                _row(job, *pair, _blank(reason), 0, job["images"], "failed") for pair in _metrics(job, tasks)
            ]
            continue
        table = read_table(store, job)
        lost = sum(status == "failed" for status in table["status"].to_pylist())
        rows += [
            _measured(store, job, task, metric, table, lost, manifest["settings"]["seed"])
            for task, metric in _metrics(job, tasks)
        ]
    return rows


def read_table(store: Store, job: Mapping[str, Any]) -> pa.Table:
    """Return the per-image rows of a job, in plan order.

    Raises:
        IntegrityError: a shard is missing or damaged, or the rows are not the planned images.
    """
    import pyarrow as pa

    table = pa.concat_tables(
        [store.read_rows(job["id"], job["key"], shard) for shard in range(job["shards"])]
    )
    if table["index"].to_pylist() != list(range(job["images"])):
        raise IntegrityError(
            f"the shards of `{job['id']}` do not hold its {job['images']} images once each",
            hint="delete its folder under shards/ and run the same command again",
        )
    return table


def _metrics(job: Mapping[str, Any], tasks: Mapping[str, Task]) -> Iterator[tuple[Task, Metric]]:
    for name in job["tasks"]:
        for metric in tasks[name].metrics:
            yield tasks[name], metric


def _measured(
    store: Store, job: Mapping[str, Any], task: Task, metric: Metric, table: pa.Table, lost: int, seed: int
) -> Row:
    reason = job["unsupported"].get(metric.name, "")
    if reason:
        return _row(job, task, metric, _blank(reason), 0, 0, "unsupported")
    if isinstance(metric, ImageMetric):
        values: npt.NDArray[np.float64] = table[f"metric:{metric.name}"].to_numpy()
        ok = np.array([status == "ok" for status in table["status"].to_pylist()], dtype=bool)
        measured = values[ok & ~np.isnan(values)]
        estimate = (
            bootstrap(measured, metric.mean, seed=seed)
            if measured.size
            else _blank("no image could be measured")
        )
        blank = int(ok.sum()) - measured.size
        if blank and measured.size:
            estimate = Estimate(
                estimate.value,
                estimate.low,
                estimate.high,
                estimate.method,
                f"not measurable on {blank} of the images",
            )
        n = int(measured.size)
    else:
        estimate = metric.finish(ShardStates(store, job, metric))
        n = int(job["images"]) - lost
    return _row(job, task, metric, estimate, n, lost, "unsupported" if math.isnan(estimate.value) else "ok")


def _blank(reason: str) -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, "", reason, reliable=False)


def _row(
    job: Mapping[str, Any], task: Task, metric: Metric, estimate: Estimate, n: int, failed: int, status: str
) -> Row:
    return Row(
        tokenizer=job["tokenizer"],
        dataset=job["dataset"],
        task=task.name,
        protocol=job["protocol"],
        metric=metric.name,
        value=float(estimate.value),
        ci_low=float(estimate.low),
        ci_high=float(estimate.high),
        ci_method=estimate.method,
        n=n,
        failed=failed,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        status=status,
        reliable=estimate.reliable,
        reason=estimate.reason,
    )
