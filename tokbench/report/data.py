"""What a report shows, as plain values: read from results folders, small enough to travel inside one HTML file.

A *board* is one image set looked at by one task; a *line* of it is a tokenizer in one view; a *cell* is a number with
all that is known of it. Boards are kept apart by whatever makes numbers incomparable: image set and the images chosen
of it, protocol, version of the task, evaluators and their weights.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError, TokbenchError, UsageError
from tokbench.results.rate_distortion import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokbench.catalog import Catalog
    from tokbench.results.results import Results
    from tokbench.results.schema import Row
    from tokbench.tasks.base import Task

SCHEMA = 1
"""Version of the embedded data; page and script of one file always belong together, other readers look here."""

_SCALE = re.compile(r"^(?P<head>\w+?)_(?P<bin>small|medium|large)(?P<tail>\w*)$")
_BINS = ("small", "medium", "large")
_PARAMETER = re.compile(r"^(\w+)=([0-9.]+)$")


@dataclass
class Source:
    """One tokenizer on one image set in one results folder.

    Attributes:
        results: the results folder.
        job: its job in the manifest.
        tokenizer: position of the tokenizer in the report.
        look: position of what it looked at in the report: an image set by a protocol.
    """

    results: Results
    job: Mapping[str, Any]
    tokenizer: int
    look: int

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that decided its numbers."""
        return identity_of(self.results, self.job)


@dataclass
class Assembly:
    """A report in the making: the document, and where more about each of its parts can be read.

    Attributes:
        document: plain values, ready for JSON.
        sources: what the document was made from.
        tasks: the tasks that this installation knows, by name.
    """

    document: dict[str, Any]
    sources: list[Source] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)


def assemble(runs: Sequence[Results], catalog: Catalog, made: str, version: str) -> Assembly:
    """Put the summaries of results folders together; per-image values and pictures are added later.

    Args:
        runs: what `Results.load` gave.
        catalog: where titles and definitions of metrics are looked up; a task it does not know is shown without.
        made: when the report is made, for people.
        version: of tokbench.

    Raises:
        UsageError: no results were given.
        IntegrityError: a manifest lacks what every run writes.
    """
    if not runs:
        raise UsageError("nothing to report", hint="name results folders that `tokbench run` wrote")
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "made": made,
        "tokbench": version,
        "runs": [],
        "tokenizers": [],
        "looks": [],
        "boards": [],
        "reasons": [""],
    }
    assembly = Assembly(document)
    reasons = {"": 0}
    places: dict[tuple[str, str], int] = {}
    looks: dict[str, int] = {}
    boards: dict[tuple[int, str, str], _Board] = {}
    for results in runs:
        try:
            document["runs"].append(_run(results))
            jobs = {
                (str(job["tokenizer"]), str(job["dataset"]), str(job["protocol"])): job
                for job in results.manifest["jobs"]
            }
            for job in jobs.values():
                tokenizer = _tokenizer(document, places, results, job)
                look = _look(document, looks, results, job)
                if tokenizer is not None:
                    assembly.sources.append(Source(results, job, tokenizer, look))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"the manifest in `{results.folder}` is damaged: {type(error).__name__} {error}",
                hint="run the command that made it again",
            ) from error
        known = {id(source.job): source for source in assembly.sources}
        for row in results.rows:
            source = known.get(id(jobs.get((row.tokenizer, row.dataset, row.protocol))))
            if source is not None:
                _add(document, boards, reasons, source, row)
    for name in dict.fromkeys(board["task"] for board in document["boards"]):
        try:
            assembly.tasks[name] = catalog.task(name)
        except TokbenchError:
            continue  # a task of a plugin that is not here: its numbers stand, its definitions do not
    for board in document["boards"]:
        _describe(board, assembly.tasks.get(board["task"]))
    return assembly


def identity_of(results: Results, job: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return everything that decided the numbers of a job; empty when the manifest does not say."""
    found = results.manifest.get("identity", {}).get(
        f"{job['tokenizer']} on {job['dataset']} by {job['protocol']}", {}
    )
    return found if isinstance(found, dict) else {}


def _run(results: Results) -> dict[str, Any]:
    manifest = results.manifest
    return {
        "folder": results.name,
        "key": str(manifest["key"])[:12],
        "created": str(manifest.get("created", "")),
        "tokbench": str(manifest.get("tokbench", "")),
        "complete": bool(results.complete),
        "failures": {str(name): str(reason) for name, reason in results.failures.items()},
        "unreadable": {str(name): len(images) for name, images in results.unreadable.items()},
    }


def _tokenizer(
    document: dict[str, Any], places: dict[tuple[str, str], int], results: Results, job: Mapping[str, Any]
) -> int | None:
    """Find or add a tokenizer; None for a job that an earlier folder holds already.

    One name stands for two tokenizers when code, weights, type or seed differ: the later one is then named with its
    folder, so that they stand beside each other.
    """
    identity = identity_of(results, job)
    what = json.dumps([identity.get("tokenizer"), identity.get("seed")], sort_keys=True)
    name = str(job["tokenizer"])
    if (name, what) not in places:
        spec = job.get("spec", {})
        taken = {each["name"] for each in document["tokenizers"]}
        shown = name if name not in taken else f"{name} ({results.name})"
        while shown in taken:
            shown += "′"
        places[name, what] = len(document["tokenizers"])
        document["tokenizers"].append(
            {
                "name": shown,
                "kind": str(spec.get("kind", "")),
                "family": family_of(name),
                "tokens": spec.get("tokens"),
                "vocab": spec.get("vocab"),
                "codebooks": spec.get("codebooks", 1),
                "license": str(spec.get("license", "")),
                "trained_on": [str(each) for each in spec.get("trained_on") or ()],
                "description": str(spec.get("description", "")),
            }
        )
    return places[name, what]


def _look(document: dict[str, Any], looks: dict[str, int], results: Results, job: Mapping[str, Any]) -> int:
    identity = identity_of(results, job)
    key = json.dumps([job["dataset"], job["protocol"], identity.get("images"), identity.get("protocol")])
    if key not in looks:
        looks[key] = len(document["looks"])
        document["looks"].append(
            {
                "dataset": str(job["dataset"]),
                "protocol": str(job["protocol"]),
                "images": int(job["images"]),
                "partial": bool(job["partial"]),
                "license": str(job.get("dataset_license", "")),
            }
        )
    return looks[key]


@dataclass
class _Board:
    """A board in the making, with its metrics and lines by name."""

    document: dict[str, Any]
    metrics: dict[str, int] = field(default_factory=dict)
    lines: dict[tuple[int, str], int] = field(default_factory=dict)


def _add(
    document: dict[str, Any],
    boards: dict[tuple[int, str, str], _Board],
    reasons: dict[str, int],
    source: Source,
    row: Row,
) -> None:
    identity = source.identity
    version = identity.get("tasks", {}).get(row.task)
    key = (source.look, row.task, json.dumps([version, identity.get("evaluators")], sort_keys=True))
    board = boards.get(key)
    if board is None:
        board = _Board({"look": source.look, "task": row.task, "metrics": [], "lines": [], "cells": []})
        boards[key] = board
        document["boards"].append(board.document)
    if row.metric not in board.metrics:
        board.metrics[row.metric] = len(board.metrics)
        board.document["metrics"].append(
            {"name": row.metric, "unit": row.unit, "higher": row.higher_is_better, "title": "", "about": ""}
        )
    line = (source.tokenizer, row.view)
    if line not in board.lines:
        board.lines[line] = len(board.lines)
        board.document["lines"].append({"t": source.tokenizer, "view": row.view})
        board.document["cells"].append([])
    cells = board.document["cells"][board.lines[line]]
    cells += [0] * (len(board.metrics) - len(cells))
    place = board.metrics[row.metric]
    if cells[place] == 0:  # the first of several folders that hold the same
        cells[place] = _cell(row, reasons, document["reasons"])


def _cell(row: Row, reasons: dict[str, int], texts: list[str]) -> list[Any]:
    """Return ``[value, low, high, n, failed, reliable, reason, method, status]``, short forms for size."""
    if row.reason not in reasons:
        reasons[row.reason] = len(texts)
        texts.append(row.reason)
    numbers = [_short(row.value), _short(row.ci_low), _short(row.ci_high)]
    return [*numbers, row.n, row.failed, int(row.reliable), reasons[row.reason], row.ci_method, row.status]


def _short(value: float) -> float:
    """Round to seven significant digits: more than any table shows, half the bytes."""
    return value if not math.isfinite(value) else float(f"{value:.7g}")


def _describe(board: dict[str, Any], task: Task | None) -> None:
    """Add what the task knows, the scale bins and the sweeps to a board whose cells are complete."""
    width = len(board["metrics"])
    for cells in board["cells"]:
        cells.extend([0] * (width - len(cells)))
    names = [metric["name"] for metric in board["metrics"]]
    board["title"] = task.title if task else ""
    board["headline"] = [name for name in (task.headline if task else names[:8]) if name in names]
    board["primary"] = task.primary if task else (names[0] if names else "")
    known = {metric.name: metric for metric in task.metrics} if task else {}
    means = {name: known[of] for of, name in task.means if of in known} if task else {}
    for metric in board["metrics"]:
        found = known.get(metric["name"]) or means.get(metric["name"])
        if found is not None:
            metric["title"] = found.title if metric["name"] in known else ""
            mean = "" if metric["name"] in known else f"Mean over the views of {found.name}. "
            metric["about"] = mean + found.definition
    board["scales"] = scales(names)
    board["sweeps"] = sweeps(line["view"] for line in board["lines"])


def scales(metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Find metrics that are given by scale: ``t_acc_small``, ``t_acc_medium`` and ``t_acc_large`` make one curve."""
    groups: dict[str, dict[str, str]] = {}
    for name in metrics:
        match = _SCALE.match(name)
        if match:
            groups.setdefault(match["head"] + match["tail"], {})[match["bin"]] = name
    return [
        {"name": head, "metrics": [group[name] for name in _BINS]}
        for head, group in groups.items()
        if len(group) == len(_BINS)
    ]


def sweeps(views: Iterable[str]) -> list[dict[str, Any]]:
    """Take views apart into a parameter to draw along and the rest: ``a=0.5 d=9`` is 0.5 along ``a``, of ``d=9``."""
    found: dict[str, dict[str, Any]] = {}
    for view in dict.fromkeys(views):
        first, *rest = view.split(" ") if view else [""]
        match = _PARAMETER.match(first)
        if match:
            group: dict[str, Any] = {"along": match[1], "rest": " ".join(rest), "views": []}
            try:
                found.setdefault(f"{match[1]} {group['rest']}", group)["views"].append(
                    [float(match[2]), view]
                )
            except ValueError:
                continue  # digits and dots that are no number
    for group in found.values():
        group["views"].sort()
    return [group for group in found.values() if len(group["views"]) > 1]
