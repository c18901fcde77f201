"""Boards: one table per image set, task and protocol, of measured rows alone.

Rows stand on one board only when images, protocol, task version and the networks behind their metrics are the same;
whatever differs there makes another board, or an error that names the field.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError
from tokbench.leaderboard.rank import Place, places
from tokbench.results.schema import column
from tokbench.results.verdict import same_set

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokbench.catalog import Catalog
    from tokbench.metrics.base import Metric
    from tokbench.results.results import Results
    from tokbench.results.schema import Row
    from tokbench.tasks.base import Task

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Column:
    """One metric on one view.

    Attributes:
        key: ``metric`` or ``metric@view``; unique on a board.
        metric: metric name.
        view: view name.
        title: heading.
        unit: unit, "" for pure numbers.
        higher_is_better: direction, None when neither end is better.
        definition: what is measured.
        headline: whether the task shows it in short tables.
        ranked: False for wall-clock figures, which differ from machine to machine.
        places: ``{tokenizer: place}``; empty when nothing may be ranked.
    """

    key: str
    metric: str
    view: str
    title: str
    unit: str
    higher_is_better: bool | None
    definition: str
    headline: bool
    ranked: bool
    places: Mapping[str, Place]


@dataclass(frozen=True)
class Line:
    """One tokenizer on a board.

    Attributes:
        tokenizer: name.
        spec: its spec as the run recorded it, plain values.
        cells: ``{column key: row}``.
        seen: whether it was fitted on this image set.
        measured: how many of the board's columns have a value.
        of: how many columns the board has.
        run: folder name of the run it comes from.
    """

    tokenizer: str
    spec: Mapping[str, Any]
    cells: Mapping[str, Row]
    seen: bool
    measured: int
    of: int
    run: str


@dataclass(frozen=True)
class Board:
    """One table of measured rows.

    Attributes:
        dataset: image-set name.
        version: version of the image set.
        images: number of images.
        task: task name.
        title: what the task asks.
        protocol: protocol name.
        columns: in the order of the task.
        lines: the best first, by `order`; then those that `order` does not rank, by name.
        order: key of the column that orders the board, "" when no column can be ranked.
        runs: folder names of the runs.
    """

    dataset: str
    version: str
    images: int
    task: str
    title: str
    protocol: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    order: str
    runs: tuple[str, ...]

    @property
    def name(self) -> str:
        """File name without its ending: ``photos-mini.reconstruction.adm-256``; what no file may be called is ``_``."""
        return _UNSAFE.sub("_", f"{self.dataset}.{self.task}.{self.protocol}")

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns that anything was measured in, headline ones first."""
        valued = [
            each for each in self.columns if any(_valued(line.cells.get(each.key)) for line in self.lines)
        ]
        return tuple(sorted(valued, key=lambda each: not each.headline))

    @property
    def ordering(self) -> Column | None:
        """The column that orders the board."""
        return next((each for each in self.columns if each.key == self.order), None)

    def blanks(self) -> dict[str, str]:
        """Return why columns without any value are blank: ``{column key: reason}``."""
        shown = {each.key for each in self.shown}
        return {
            each.key: next(
                (row.reason for line in self.lines if (row := line.cells.get(each.key))), "not measured"
            )
            for each in self.columns
            if each.key not in shown
        }


def boards(runs: Mapping[str, Results], catalog: Catalog) -> tuple[Board, ...]:
    """Arrange finished runs as boards, sorted by image set, task and protocol.

    Args:
        runs: ``{folder name: run}``.
        catalog: where tasks are looked up.

    Raises:
        IntegrityError: a run is unfinished or of a part of its images, two runs measured one tokenizer, or numbers that
            are not comparable would share a column.
    """
    groups: dict[tuple[str, str, str], list[tuple[str, Results, Mapping[str, Any]]]] = {}
    for name, results in sorted(runs.items()):
        if not results.complete:
            raise IntegrityError(
                f"run `{name}` is not finished", hint="run its command again, then submit it again"
            )
        for job in results.manifest["jobs"]:
            if job["partial"]:
                raise IntegrityError(
                    f"run `{name}` measured only {job['images']} images of `{job['dataset']}` (--limit)",
                    hint="a leaderboard compares whole image sets: run it without --limit",
                )
            for task in job["tasks"]:
                groups.setdefault((job["dataset"], task, job["protocol"]), []).append((name, results, job))
    return tuple(_board(catalog.task(key[1]), groups[key]) for key in sorted(groups))


def _board(task: Task, members: Sequence[tuple[str, Results, Mapping[str, Any]]]) -> Board:
    owners: dict[str, str] = {}
    cells: dict[str, dict[str, Row]] = {}
    for name, results, job in members:
        tokenizer = job["tokenizer"]
        if tokenizer in owners:
            raise IntegrityError(
                f"`{tokenizer}` on `{job['dataset']}` by `{task.name}` is in two runs: {owners[tokenizer]} and {name}",
                hint="keep one of them",
            )
        owners[tokenizer] = name
        cells[tokenizer] = {
            column(row.metric, row.view): row
            for row in results.rows
            if (row.tokenizer, row.dataset, row.task, row.protocol)
            == (tokenizer, job["dataset"], task.name, job["protocol"])
        }
    _check_same(task, members)
    columns = tuple(
        _column(task, metric, name, view, {each: row[key] for each, row in cells.items() if key in row})
        for metric, name, view in _wanted(task)
        if any((key := column(name, view)) in row for row in cells.values())
    )
    first = members[0][2]
    order = _order(task, columns)
    ranks = next((each.places for each in columns if each.key == order), {})
    lines = [
        Line(
            job["tokenizer"],
            job["spec"],
            cells[job["tokenizer"]],
            seen(job["spec"].get("trained_on", ()), job["dataset"]),
            sum(_valued(cells[job["tokenizer"]].get(each.key)) for each in columns),
            len(columns),
            name,
        )
        for name, _, job in members
    ]
    lines.sort(key=lambda line: (_rank(ranks, line), _value(line, order), line.tokenizer))
    return Board(
        first["dataset"],
        first.get("dataset_version", ""),
        first["images"],
        task.name,
        task.title,
        first["protocol"],
        columns,
        tuple(lines),
        order,
        tuple(sorted(set(owners.values()))),
    )


def seen(trained_on: Sequence[str], dataset: str) -> bool:
    """Whether a tokenizer was fitted on an image set, under its own name or that of another storage of it."""
    return any(same_set(dataset, name) or same_set(name, dataset) for name in trained_on)


def _wanted(task: Task) -> list[tuple[Metric, str, str]]:
    """List what a task measures, in order: metric, name of the row, view."""
    plain = [(metric, metric.name, view.name) for view in task.views for metric in task.metrics]
    means = [(metric, name, "") for metric in task.metrics for of, name in task.means if of == metric.name]
    return [*means, *plain]


def _column(task: Task, metric: Metric, name: str, view: str, rows: Mapping[str, Row]) -> Column:
    mean = name != metric.name
    return Column(
        key=column(name, view),
        metric=name,
        view=view,
        title=name if mean else metric.title,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        definition=f"Mean over the views of {metric.name}. {metric.definition}"
        if mean
        else metric.definition,
        headline=name in task.headline and (mean or not view),
        ranked=metric.repeatable,
        places=places(rows) if metric.repeatable else {},
    )


def _order(task: Task, columns: Sequence[Column]) -> str:
    """Return the column that orders a board: the task's primary metric, or the first headline that can be ranked."""
    ranked = {each.key for each in columns if each.places}
    return next((key for key in (task.primary, *task.headline) if key in ranked), "")


def _rank(ranks: Mapping[str, Place], line: Line) -> float:
    place = ranks.get(line.tokenizer)
    return place.rank if place else float("inf")


def _value(line: Line, order: str) -> float:
    """Return what sorts lines of one rank: the better value first."""
    row = line.cells.get(order)
    if row is None or not _valued(row):
        return 0.0
    return -row.value if row.higher_is_better else row.value


def _valued(row: Row | None) -> bool:
    return row is not None and row.status == "ok" and not math.isnan(row.value)


def _check_same(task: Task, members: Sequence[tuple[str, Results, Mapping[str, Any]]]) -> None:
    """Refuse a board whose rows differ in anything but the tokenizer.

    Raises:
        IntegrityError: names the field and two runs in which it differs.
    """
    seen_first: dict[str, tuple[str, Any]] = {}
    networks = {metric.network for metric in task.metrics if metric.network}
    for name, results, job in members:
        identity = results.manifest["identity"].get(identity_name(job))
        if identity is None:
            raise IntegrityError(
                f"the manifest of run `{name}` does not say what decides `{identity_name(job)}`"
            )
        fields = {
            "images": identity.get("images"),
            "protocol": identity.get("protocol"),
            f"tasks.{task.name}": identity["tasks"].get(task.name),
            "tokenizer.dtype": identity.get("tokenizer", {}).get("dtype"),
            "seed": identity.get("seed"),
            **{
                f"evaluators.{each}": identity["evaluators"][each]
                for each in networks & identity["evaluators"].keys()
            },
        }
        for field, value in fields.items():
            other, first = seen_first.setdefault(field, (name, value))
            if first != value:
                raise IntegrityError(
                    f"runs {other} and {name} cannot share a board of `{job['dataset']}`: `{field}` differs",
                    hint="measure both with the same version of tokbench, image set and networks",
                )


def identity_name(job: Mapping[str, Any]) -> str:
    """Return the name of a job in its manifest's `identity`."""
    return f"{job['tokenizer']} on {job['dataset']} by {job['protocol']}"
