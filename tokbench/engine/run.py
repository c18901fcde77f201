"""What a run consists of, resolved from names: passes, jobs and their keys."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tokbench.errors import DigestError, MissingPackageError, WeightsMissingError
from tokbench.results.schema import SCHEMA, column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tokbench.catalog import Catalog
    from tokbench.engine.plan import Plan
    from tokbench.engine.subject import Subject
    from tokbench.images.imageset import ImageSet
    from tokbench.metrics.base import Collector, Metric
    from tokbench.networks.base import Evaluator
    from tokbench.protocol import EvalProtocol
    from tokbench.tasks.base import Task
    from tokbench.views import View


NEEDS = {
    "codebook": "a codebook",
    "encoder-features": "the encoder's features",
    "variable-length": "codes of variable length",
}
"""What the absence of a capability is called in reasons."""


@dataclass(frozen=True)
class Settings:
    """How a run is carried out; of these only dtype and seed may change a number.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``auto``.
        dtype: ``float32``, ``float16`` or ``bfloat16``: the tokenizers' weights.
        seed: seed of stochastic tokenizers and of bootstrap resampling.
        batch_size: images per call.
        overrides: ``--weights NAME=PATH``.
    """

    device: str
    dtype: str
    seed: int
    batch_size: int
    overrides: Mapping[str, Path]


@dataclass(frozen=True)
class Measurement:
    """A metric on a view: one column, or one state, of a shard."""

    view: View
    metric: Metric

    @property
    def name(self) -> str:
        """Return ``metric`` or ``metric@view``."""
        return column(self.metric.name, self.view.name)


@dataclass(frozen=True)
class Pass:
    """All tasks that look at one image set through one protocol: their images are read once.

    Attributes:
        images: the image set.
        protocol: the protocol.
        tasks: the tasks.
        plan: which images, in which shards.
        evaluators: the networks that are at hand.
        missing: ``{evaluator: reason}`` of those that are not.
    """

    images: ImageSet
    protocol: EvalProtocol
    tasks: tuple[Task, ...]
    plan: Plan
    evaluators: tuple[Evaluator, ...]
    missing: Mapping[str, str]

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The (view, metric) pairs of all tasks, each once; the clean view first, so that it is decoded first."""
        found = {
            Measurement(view, metric).name: Measurement(view, metric)
            for task in self.tasks
            for view in task.views
            for metric in task.metrics
        }
        return tuple(sorted(found.values(), key=lambda each: bool(each.view.name)))


@dataclass(frozen=True)
class Job:
    """One tokenizer in one pass: what a shard is computed for.

    Attributes:
        subject: the tokenizer.
        part: the pass.
        identity: everything that decides its numbers, as plain values.
    """

    subject: Subject
    part: Pass
    identity: Mapping[str, Any]

    @property
    def key(self) -> str:
        """SHA-256 over the canonical JSON of `identity`."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def id(self) -> str:
        """Folder name: readable, and unique through eight digits of the key."""
        parts = (self.subject.spec.name, self.part.images.name, self.part.protocol.name, self.key[:8])
        return ".".join(re.sub(r"[^A-Za-z0-9_-]+", "-", part)[-40:].strip("-") or "x" for part in parts)

    def unsupported(self, measurement: Measurement) -> str:
        """Return why something cannot be measured for this tokenizer here, or ""."""
        view, metric = measurement.view, measurement.metric
        # An object's capabilities are those it has, whether its spec lists them or not.
        spec = replace(self.subject.spec, capabilities=self.subject.capabilities)
        lacking = [name for name in view.needs if name not in self.subject.capabilities]
        if lacking:
            return f"needs {' and '.join(NEEDS[name] for name in lacking)}"
        if view.name and spec.kind == "images":
            return "reconstructions read from disk have no codes"
        reason = view.applies(spec) or metric.applies(spec)
        if not reason and metric.network is not None:
            reason = self.part.missing.get(metric.network, "")
        return reason

    @functools.cached_property
    def measurements(self) -> tuple[Measurement, ...]:
        """What can be measured."""
        return tuple(each for each in self.part.measurements if not self.unsupported(each))

    @functools.cached_property
    def views(self) -> tuple[View, ...]:
        """The views of `measurements`, each once."""
        return tuple({each.view.name: each.view for each in self.measurements}.values())

    def collectors(self, view: View) -> dict[str, Collector]:
        """Return the collectors of the set metrics of a view, each once, by the name their states have in shards."""
        from tokbench.metrics.base import SetMetric

        return {
            column(each.metric.collector.name, view.name): each.metric.collector
            for each in self.measurements
            if each.view.name == view.name and isinstance(each.metric, SetMetric)
        }


@dataclass(frozen=True)
class Run:
    """Everything that is to be computed.

    Attributes:
        settings: how.
        passes: which images.
        jobs: which tokenizers on them.
    """

    settings: Settings
    passes: tuple[Pass, ...]
    jobs: tuple[Job, ...]

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the numbers: the identities of all jobs by tokenizer, image set and protocol."""
        return {
            f"{job.subject.spec.name} on {job.part.images.name} by {job.part.protocol.name}": dict(
                job.identity
            )
            for job in self.jobs
        }

    @property
    def key(self) -> str:
        """SHA-256 over the sorted job keys."""
        return hashlib.sha256("\n".join(sorted(job.key for job in self.jobs)).encode()).hexdigest()

    def units(self) -> list[tuple[int, int]]:
        """List the units of work: (pass number, shard number), in order."""
        return [
            (number, shard) for number, part in enumerate(self.passes) for shard in range(part.plan.shards)
        ]


def make_pass(
    images: ImageSet,
    protocol: EvalProtocol,
    tasks: Sequence[Task],
    plan: Plan,
    catalog: Catalog,
    overrides: Mapping[str, Path],
) -> tuple[Pass, dict[str, dict[str, str]]]:
    """Resolve the networks that the tasks ask for.

    Returns:
        The pass, and ``{evaluator: {weights name: SHA-256}}`` of the networks at hand.
    """
    from tokbench.loading import fingerprint, require_packages

    wanted = sorted(
        {metric.network for task in tasks for metric in task.metrics if metric.network is not None}
    )
    found, missing, marks = [], {}, {}
    for name in wanted:
        evaluator = catalog.evaluator(name)
        try:
            require_packages(evaluator)
            marks[name] = fingerprint(evaluator.weights, overrides).weights
            found.append(evaluator)
        except WeightsMissingError as error:
            missing[name] = error.message
        except MissingPackageError as error:
            missing[name] = f"{error.message}: {error.hint}"
    return Pass(images, protocol, tuple(tasks), plan, tuple(found), missing), marks


def make_job(subject: Subject, part: Pass, marks: Mapping[str, Mapping[str, str]], settings: Settings) -> Job:
    """Put one tokenizer into a pass and write down what decides its numbers.

    Raises:
        WeightsMissingError: the tokenizer's weights are absent.
        DigestError: its weights are not the pinned ones.
    """
    try:
        who = subject.identity(settings.overrides)
    except DigestError as error:
        raise DigestError(f"tokenizer `{subject.spec.name}`: {error.message}", hint=error.hint) from error
    identity = {
        "schema": SCHEMA,
        "tokenizer": {"name": subject.spec.name, **who, "dtype": settings.dtype},
        "seed": settings.seed,
        "tasks": {task.name: task.version for task in part.tasks},
        "metrics": sorted(each.name for each in part.measurements),
        "evaluators": {name: dict(weights) for name, weights in marks.items()},
        "protocol": part.protocol.id,
        "images": {
            "name": part.images.name,
            "identity": part.images.identity,
            "selection": part.plan.selection,
        },
    }
    return Job(subject, part, identity)
