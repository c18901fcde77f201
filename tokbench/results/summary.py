"""From shards to rows: the last step of a run, and all that `merge` has to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tokbench.errors import IntegrityError, TokbenchError
from tokbench.metrics.base import Estimate, ImageMetric
from tokbench.metrics.bootstrap import bootstrap
from tokbench.metrics.jackknife import estimate as jackknife
from tokbench.results.arrow import to_numpy
from tokbench.results.schema import Row, column

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from tokbench.metrics.base import Collector, Metric, State
    from tokbench.results.store import Store
    from tokbench.tasks.base import Task


_TEXTS = ("image", "pixels_sha256", "status", "reason")


class _NotFiniteError(ValueError):
    """A network's numbers are not finite: whatever is computed from them says nothing."""


class ShardStates(Sequence["State"]):
    """The states of one collector on one view over the shards of a job, loaded one at a time: memory stays flat."""

    def __init__(self, store: Store, job: Mapping[str, Any], collector: Collector, view: str) -> None:
        self._store = store
        self._job = job
        self._collector = collector
        self._name = column(collector.name, view)

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
        arrays = self._store.read_states(self._job["id"], position, self._name)
        for name in getattr(self._collector.kind, "FINITE", ()):
            # A sum is not finite when one of its terms is not, and costs no second array.
            if name in arrays and not np.isfinite(arrays[name].sum(dtype=np.float64)):
                raise _NotFiniteError(
                    f"network {self._collector.network} gave NaN or infinity for some image"
                )
        try:
            return self._collector.kind.from_arrays(arrays)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise IntegrityError(
                f"shard {position} of `{self._job['id']}`: state `{self._name}` is damaged: {error}",
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
        table = None if job["id"] in failed else read_table(store, job)
        for name in job["tasks"]:
            if table is None:
                reason = f"{type(failed[job['id']]).__name__}: {failed[job['id']].message}"
                rows += [
                    _row(job, tasks[name], metric, view.name, _blank(reason), 0, job["images"], "failed")
                    for view in tasks[name].views
                    for metric in tasks[name].metrics
                ]
            else:
                rows += _task_rows(store, job, tasks[name], table, manifest["settings"]["seed"])
    return rows


def _task_rows(store: Store, job: Mapping[str, Any], task: Task, table: pa.Table, seed: int) -> list[Row]:
    """Return the rows of one task of one job: every metric on every view, then the means over views."""
    lost = sum(status == "failed" for status in table["status"].to_pylist())
    rows = []
    estimates: dict[str, list[Estimate]] = {}
    for view in task.views:
        for metric in task.metrics:
            row, estimate = _measured(store, job, task, metric, view.name, table, lost, seed)
            rows.append(row)
            estimates.setdefault(metric.name, []).append(estimate)
    for metric in task.metrics:
        for name in (name for of, name in task.means if of == metric.name):
            mean = mean_over_views(estimates[metric.name])
            status = "unsupported" if math.isnan(mean.value) else "ok"
            n = next(row.n for row in rows if row.metric == metric.name)
            rows.append(_row(job, task, metric, "", mean, n, lost, status, name))
    return rows


def mean_over_views(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of one metric over views; NaN when any view lacks it: cells left out would flatter.

    The interval is the jackknife's, of the mean of the views' replicates, since all views share their images.
    """
    blank = next((each for each in estimates if math.isnan(each.value)), None)
    if blank is not None:
        return _blank(blank.reason)
    value = math.fsum(each.value for each in estimates) / len(estimates)
    reliable = all(each.reliable for each in estimates)
    counts = {len(each.replicates) for each in estimates}
    if counts == {0} or len(counts) > 1:
        return Estimate(value, math.nan, math.nan, "", estimates[0].reason, reliable)
    left_out = [
        math.fsum(group) / len(group) for group in zip(*(each.replicates for each in estimates), strict=True)
    ]
    return jackknife(value, left_out, reason=estimates[0].reason, reliable=reliable)


def read_table(store: Store, job: Mapping[str, Any]) -> pa.Table:
    """Return the per-image rows of a job, in plan order.

    Raises:
        IntegrityError: a shard is missing or damaged, or the rows are not the planned images.
    """
    import pyarrow as pa

    try:
        table = pa.concat_tables(
            [_typed(store.read_rows(job["id"], job["key"], shard)) for shard in range(job["shards"])]
        )
    except (pa.ArrowException, KeyError) as error:
        raise IntegrityError(
            f"the shards of `{job['id']}` do not hold what a run writes: {error}",
            hint="delete its folder under shards/ and run the same command again",
        ) from error
    if table.num_rows != job["images"] or table["index"].to_pylist() != list(range(job["images"])):
        raise IntegrityError(
            f"the shards of `{job['id']}` do not hold its {job['images']} images once each",
            hint="delete its folder under shards/ and run the same command again",
        )
    return table


def _typed(table: pa.Table) -> pa.Table:
    """Give the columns of a shard the types that a run writes.

    Raises:
        KeyError: one is missing.
        ArrowException: one holds something else.
    """
    import pyarrow as pa

    kinds = {"index": pa.int64(), **dict.fromkeys(_TEXTS, pa.string())}
    for name in ("index", "image", "status", "reason"):
        table.schema.field(name)
    fields = [
        pa.field(
            field.name,
            pa.float64() if field.name.startswith("metric:") else kinds.get(field.name, field.type),
        )
        for field in table.schema
    ]
    return table.cast(pa.schema(fields, table.schema.metadata))


def _measured(
    store: Store,
    job: Mapping[str, Any],
    task: Task,
    metric: Metric,
    view: str,
    table: pa.Table,
    lost: int,
    seed: int,
) -> tuple[Row, Estimate]:
    name = column(metric.name, view)
    reason = job["unsupported"].get(name, "")
    if reason:
        return _row(job, task, metric, view, _blank(reason), 0, 0, "unsupported"), _blank(reason)
    if isinstance(metric, ImageMetric):
        values: npt.NDArray[np.float64] = to_numpy(table[f"metric:{name}"])
        ok = np.array([status == "ok" for status in table["status"].to_pylist()], dtype=bool)
        measured = values[ok & ~np.isnan(values)]
        estimate = (
            bootstrap(measured, metric.mean, seed=seed)
            if measured.size
            else _blank("no image could be measured")
        )
        blank = int(ok.sum()) - measured.size
        broken = int(np.isinf(measured).sum())
        if broken and metric.mean is None:
            estimate = _blank(f"infinite or not a number on {broken} of {measured.size} images")
        elif blank and measured.size:
            estimate = replace(estimate, reason=f"not measurable on {blank} of the images")
        n = int(measured.size)
    else:
        try:
            estimate = metric.finish(ShardStates(store, job, metric.collector, view))
        except _NotFiniteError as error:
            estimate = _blank(str(error))
        n = int(job["images"]) - lost
    if math.isnan(estimate.value) and not estimate.reason:
        estimate = replace(estimate, reason="the value is not a number", reliable=False)
    status = "unsupported" if math.isnan(estimate.value) else "ok"
    return _row(job, task, metric, view, estimate, n, lost, status), estimate


def _blank(reason: str) -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, "", reason, reliable=False)


def _row(
    job: Mapping[str, Any],
    task: Task,
    metric: Metric,
    view: str,
    estimate: Estimate,
    n: int,
    failed: int,
    status: str,
    name: str = "",
) -> Row:
    return Row(
        tokenizer=job["tokenizer"],
        dataset=job["dataset"],
        task=task.name,
        protocol=job["protocol"],
        metric=name or metric.name,
        view=view,
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
