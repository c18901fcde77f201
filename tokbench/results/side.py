"""One side of a comparison: what a run measured of one tokenizer, with what pairing needs.

A side comes from a results folder (`of_run`) or from a baseline file (`tokbench.results.baseline`); comparing and
gating do not know which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError, UnknownNameError, UsageError
from tokbench.metrics.base import ImageMetric
from tokbench.results.schema import Row, column

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tokbench.metrics.paired import Rule
    from tokbench.results.results import Results
    from tokbench.results.store import Store
    from tokbench.tasks.base import Task

    Floats = npt.NDArray[np.float64]

Place = tuple[str, str, str]
"""Image set, task and protocol: what two sides must have in common."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One metric on one view.

    Attributes:
        row: its row of the summary.
        values: float64 ``[images of the part]``, NaN where not measured; None for set metrics.
        left_out: replicates of a set metric, without each jackknife group; () when it has none.
        mean: how per-image values become one number, None for the arithmetic mean.
    """

    row: Row
    values: Floats | None = None
    left_out: tuple[float, ...] = ()
    mean: Rule | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """One task on one image set through one protocol.

    Attributes:
        images: image ids in plan order.
        pixels: SHA-256 of each image's decoded pixels, possibly shortened; "" where it could not be read.
        failed: ``{image id: reason}`` of images that could not be measured.
        identity: what decides the numbers, from the manifest.
        shown: the per-image metric by which images that changed are listed, "" when the task has none.
        measured: by name, ``metric`` or ``metric@view``; without timings, which no pairing makes comparable.
        timings: names of the metrics left out as timings.
    """

    images: tuple[str, ...]
    pixels: tuple[str, ...]
    failed: Mapping[str, str]
    identity: Mapping[str, Any]
    shown: str
    measured: Mapping[str, Measured]
    timings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Side:
    """A tokenizer as one run measured it.

    Attributes:
        tokenizer: its name.
        label: what it is called in tables and sentences.
        origin: where the numbers come from, for messages: a folder or a file.
        parts: by image set, task and protocol.
        broken: why the tokenizer has no results, or "".
    """

    tokenizer: str
    label: str
    origin: str
    parts: Mapping[Place, Part]
    broken: str = field(default="")


def tokenizers(results: Results) -> list[str]:
    """Return the names of a run's tokenizers, in its order."""
    return list(dict.fromkeys(str(job["tokenizer"]) for job in results.manifest["jobs"]))


def only_tokenizer(results: Results) -> str:
    """Return the name of a run's tokenizer.

    Raises:
        UsageError: it has several.
    """
    names = tokenizers(results)
    if len(names) != 1:
        raise UsageError(
            f"`{results.folder}` holds {len(names)} tokenizers: {', '.join(names)}",
            hint=f"name one, e.g. {results.folder}:{names[0]}",
        )
    return names[0]


def of_run(results: Results, tokenizer: str, tasks: Mapping[str, Task], label: str = "") -> Side:
    """Gather what a run measured of a tokenizer.

    Args:
        results: the run.
        tokenizer: one of its tokenizers.
        tasks: the tasks that its manifest names.
        label: what to call it; by default its name.

    Raises:
        UnknownNameError: the run has no such tokenizer.
        IntegrityError: a shard is missing or damaged.
    """
    from tokbench.results.store import Store

    jobs = [job for job in results.manifest["jobs"] if job["tokenizer"] == tokenizer]
    if not jobs:
        known = tokenizers(results)
        hint = f"`{results.folder}` holds {', '.join(known)}"
        raise UnknownNameError("tokenizer in this run:", tokenizer, known, hint=hint)
    broken = results.failures.get(tokenizer, "")
    parts: dict[Place, Part] = {}
    if not broken:
        for job in jobs:
            parts |= _parts(Store(results.folder), results, job, tasks)
    return Side(tokenizer, label or tokenizer, str(results.folder), parts, broken)


def _parts(
    store: Store, results: Results, job: Mapping[str, Any], tasks: Mapping[str, Task]
) -> dict[Place, Part]:
    from tokbench.results.summary import read_table

    table = read_table(store, job)
    names = f"{job['tokenizer']} on {job['dataset']} by {job['protocol']}"
    identity = results.manifest["identity"].get(names)
    if identity is None:
        raise IntegrityError(f"the manifest of `{results.folder}` does not say what decides `{names}`")
    lost = {
        row["image"]: row["reason"]
        for row in table.select(["image", "status", "reason"]).to_pylist()
        if row["status"] == "failed"
    }
    found = {}
    for name in job["tasks"]:
        place = (job["dataset"], name, job["protocol"])
        rows = {
            column(row.metric, row.view): row
            for row in results.rows
            if row.tokenizer == job["tokenizer"] and (row.dataset, row.task, row.protocol) == place
        }
        timings = tuple(metric.name for metric in tasks[name].metrics if not metric.repeatable)
        found[place] = Part(
            tuple(table["image"].to_pylist()),
            tuple(table["pixels_sha256"].to_pylist()),
            lost,
            identity,
            _shown(tasks[name], rows),
            {
                key: measured
                for key, measured in _measured(store, job, tasks[name], table, rows).items()
                if measured.row.metric not in timings
            },
            timings,
        )
    return found


def _measured(
    store: Store, job: Mapping[str, Any], task: Task, table: pa.Table, rows: Mapping[str, Row]
) -> dict[str, Measured]:
    """Attach to each row the per-image values or the replicates that pairing needs."""
    import numpy as np

    from tokbench.results.summary import ShardStates, mean_over_views

    ok = np.array([status == "ok" for status in table["status"].to_pylist()], dtype=bool)
    found = {}
    for metric in task.metrics:
        estimates = []
        for view in task.views:
            name = column(metric.name, view.name)
            row = rows[name]
            if row.status != "ok":
                found[name] = Measured(row)
            elif isinstance(metric, ImageMetric):
                values = np.where(ok, table[f"metric:{name}"].to_numpy(), math.nan)
                found[name] = Measured(row, values=values, mean=metric.mean)
            else:
                estimate = metric.finish(ShardStates(store, job, metric.collector, view.name))
                estimates.append(estimate)
                found[name] = Measured(row, left_out=estimate.replicates)
        for mean in (name for of, name in task.means if of == metric.name):
            whole = len(estimates) == len(task.views)
            found[mean] = Measured(
                rows[mean], left_out=mean_over_views(estimates).replicates if whole else ()
            )
    return found


def _shown(task: Task, rows: Mapping[str, Row]) -> str:
    """Return the task's primary metric if it is per image, else the first per-image one of its headline."""
    per_image = {
        metric.name
        for metric in task.metrics
        if isinstance(metric, ImageMetric) and metric.higher_is_better is not None and metric.repeatable
    }
    wanted = (task.primary, *task.headline)
    return next((name for name in wanted if name in per_image and name in rows), "")
