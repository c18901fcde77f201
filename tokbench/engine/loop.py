"""The one loop: images are read once, and every tokenizer that still needs them is measured on them.

The main thread reads, and calls the tokenizers one after the other; lanes measure what they gave back, a few images at
a time, while the main thread goes on with the next batch. Where a metric takes the time of a tokenizer, nothing else
runs beside it.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tokbench.engine.batch_size import BatchSize
from tokbench.engine.device import full_precision, keep_freed_memory, on_device, resolve_device
from tokbench.engine.feature_cache import FeatureCache, content, default_folder, identify
from tokbench.engine.lanes import Lanes
from tokbench.engine.measure import Group, Returned, Tools
from tokbench.engine.originals import Original, Unit, batches, read_units
from tokbench.engine.sheet import Measured, Sheet
from tokbench.engine.timeline import NO_TIMELINE
from tokbench.errors import AdapterError, SetupError, TokbenchError, WorkerError
from tokbench.images.truth import place_truth
from tokbench.loading import build_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from tokbench.engine.reconstruct import Reconstructor
    from tokbench.engine.run import Job, Pass, Run
    from tokbench.engine.timeline import Clock
    from tokbench.results.store import Store


LOSSES = 3
"""Shards that a tokenizer may lose with its worker process before it is given up."""

_GROUP = 2
"""Images that a lane takes at a time on a CPU: few, so that all lanes finish together and few maps are in memory."""

_HELD = 256 * 2**20
"""Bytes of reconstructions after which a batch is measured although more tokenizers are to come."""


@dataclass
class _Open:
    """A unit whose shards are not written yet."""

    part: Pass
    sheets: dict[str, Sheet]
    originals: list[Original] = field(default_factory=list)
    broken: dict[str, TokbenchError] = field(default_factory=dict)
    waiting: int = 0
    read: bool = False


@dataclass
class _Pending:
    """Measurements of one batch that lanes are busy with."""

    unit: _Open
    futures: list[Future[list[tuple[Job, Measured | TokbenchError]]]]
    finished: int
    caches: list[FeatureCache]


@dataclass
class Loop:
    """Runs units of work in this process; tokenizers and networks are built once, on first need.

    Attributes:
        run: what to compute.
        store: where to.
        device: replaces the device of the run's settings when workers share several.
        failed: ``{job id: error}`` of tokenizers that broke. They are left out of later units, except that one whose
            worker process was lost goes on with the next shard, `LOSSES` times.
        on_images: called with the number of image reconstructions finished.
        clock: what the work is timed with.
    """

    run: Run
    store: Store
    on_images: Callable[[int], None] = lambda count: None
    device: str = ""
    failed: dict[str, TokbenchError] = field(default_factory=dict)
    clock: Clock = NO_TIMELINE

    def __post_init__(self) -> None:
        """Resolve the device once."""
        self._device = resolve_device(self.device or self.run.settings.device)
        full_precision()
        if self._device.type == "cpu":
            keep_freed_memory()
        self._dtype = getattr(torch, self.run.settings.dtype)
        self._size = BatchSize(self.run.settings.batch_size, self._device)
        self._networks: dict[str, Any] = {}
        self._building = Lock()
        self._reconstructors: dict[str, Reconstructor] = {}
        self._lives: dict[str, int] = {job.id: LOSSES for job in self.run.jobs}
        self._pending: deque[_Pending] = deque()
        self._identities: dict[str, dict[str, Any]] = {}
        self._cache_folder = default_folder()
        self._stop = Event()

    def unit(self, pass_number: int, shard: int) -> None:
        """Compute one shard for every job of a pass that does not have it yet; see `units`."""
        self.units([(pass_number, shard)])

    def units(self, units: Iterable[Unit]) -> None:
        """Compute shards for every job of their passes that does not have them yet.

        Args:
            units: taken one by one, a little ahead of the work. When this returns, the shards of all are written.

        Raises:
            DataError: the images are not the ones the card names.
            EvaluatorError: a network or metric raised.
            StorageError: results cannot be written.
        """
        timed = any(not each.metric.repeatable for part in self.run.passes for each in part.measurements)
        depth = 0 if timed else self._size.current
        self._stop.clear()
        with Lanes(self._device) as lanes:
            try:
                for (number, shard), originals in read_units(
                    self.run, filter(self._wanted, units), depth, self.clock
                ):
                    self._unit(lanes, self._open(number, shard), originals, timed=timed)
                self._settle(0)
            except BaseException:
                self._stop.set()
                self._pending.clear()
                raise

    def _wanted(self, unit: Unit) -> bool:
        return bool(self._jobs(*unit))

    def _jobs(self, pass_number: int, shard: int) -> list[Job]:
        """Return the jobs that still need a shard and can have it."""
        part = self.run.passes[pass_number]
        alive = [job for job in self.run.jobs if job.part is part and self._lives[job.id]]
        return [job for job in alive if not self.store.done(job.id, job.key, shard)]

    def _open(self, pass_number: int, shard: int) -> _Open:
        sheets = {job.id: Sheet(job, shard) for job in self._jobs(pass_number, shard)}
        return _Open(self.run.passes[pass_number], sheets)

    def _unit(self, lanes: Lanes, unit: _Open, originals: Iterator[Original], *, timed: bool) -> None:
        def noted() -> Iterator[Original]:
            for original in originals:
                unit.originals.append(replace(original, prepared=None))
                yield original

        for batch in batches(noted(), lambda: self._size.current):
            # A batch is read and reconstructed while lanes measure the one before; but only read, and lanes are idle
            # while the tokenizers work, where somebody looks at the clock.
            self._settle(0 if timed else 1)
            self._batch(lanes, unit, batch)
        unit.read = True
        if not unit.waiting:
            self._write(unit)

    def _batch(self, lanes: Lanes, unit: _Open, batch: Sequence[Original]) -> None:
        """Have a batch reconstructed by every job, and hand what comes back to the lanes."""
        groups, caches = self._groups(unit, batch)
        futures: list[Future[list[tuple[Job, Measured | TokbenchError]]]] = []
        held: list[Returned] = []

        def hand_over() -> None:
            # What was handed over before is dropped when it is measured: in memory are no more than twice `_HELD`, and
            # the views of one tokenizer, which are complete before any is handed over since memory may run out in one.
            wait(futures)
            futures.extend(lanes.submit(group.measure, tuple(held)) for group in groups)
            held.clear()

        done = 0
        for job in [sheet.job for name, sheet in unit.sheets.items() if name not in unit.broken]:
            try:
                for returned in self._reconstruct(unit, job, batch):
                    held.append(returned)
                    if sum(each.back.images.nbytes for each in held) > _HELD:
                        hand_over()
                done += len(batch)
            except (AdapterError, SetupError) as error:
                unit.broken[job.id] = error
                if not isinstance(error, WorkerError):
                    self._lives[job.id] = 0
        hand_over()
        unit.waiting += 1
        self._pending.append(_Pending(unit, futures, done, caches))

    def _reconstruct(self, unit: _Open, job: Job, batch: Sequence[Original]) -> Iterator[Returned]:
        """Yield what a tokenizer makes of a batch in every view; with fewer images at a time where memory is short."""
        reconstructor = self._reconstructor(job)
        sheet = unit.sheets[job.id]
        start, size = 0, len(batch)
        while start < len(batch):
            some = batch[start : start + size]
            items = [unit.part.plan.items[original.index] for original in some]
            prepared = [original.prepared for original in some if original.prepared is not None]
            found = []
            try:
                with self.clock.span(f"tokenizer/{job.subject.spec.name}", len(some)):
                    for view, back in reconstructor(items, prepared, job.views, self.run.settings.seed):
                        found.append(Returned(job, view, start, back, reconstructor.codebook))
            except torch.OutOfMemoryError as error:
                size = self._size.smaller(len(some), job.subject.spec.name, error)
                continue
            for each in found:
                for position, reason in each.back.failed.items():
                    sheet.reasons[some[position].index] = reason
            yield from found
            start += len(some)
        if size == len(batch):
            self._size.fitted(size)

    def _groups(self, unit: _Open, batch: Sequence[Original]) -> tuple[list[Group], list[FeatureCache]]:
        """Cut a batch into what lanes take at a time."""
        prepared = [original.prepared for original in batch if original.prepared is not None]
        items = [unit.part.plan.items[original.index] for original in batch]
        stacked = np.stack([each.reference for each in prepared])
        images = on_device(stacked, self._device)
        index = np.array([original.index for original in batch], dtype=np.int64)
        truth = [place_truth(item.truth, each) for item, each in zip(items, prepared, strict=True)]
        caches, contents = self._caches(unit.part, stacked)
        tools = Tools(lambda name: self._network(unit.part, name), caches, self.clock, self._stop)
        step = _GROUP if self._device.type == "cpu" else len(batch)
        parts = [slice(start, start + step) for start in range(0, len(batch), step)]
        groups = [
            Group(part.start, index[part], images[part], truth[part], contents[part], tools) for part in parts
        ]
        return groups, list(caches.values())

    def _caches(
        self, part: Pass, images: np.ndarray[Any, Any]
    ) -> tuple[dict[str, FeatureCache], list[bytes]]:
        """Open the stored features of a batch of originals."""
        if self._cache_folder is None or not part.evaluators:
            return {}, [b""] * len(images)
        contents = [content(image) for image in images]
        caches = {}
        for evaluator in part.evaluators:
            if evaluator.name not in self._identities:
                marks = next(job for job in self.run.jobs if job.part is part).identity["evaluators"]
                self._identities[evaluator.name] = identify(evaluator, marks[evaluator.name], self._device)
            cache = FeatureCache(self._cache_folder, self._identities[evaluator.name], self._device)
            with self.clock.span("cache", len(images)):
                cache.load(contents)
            caches[evaluator.name] = cache
        return caches, contents

    def _settle(self, keep: int) -> None:
        """Take in what lanes have measured until no more than `keep` batches are under way."""
        while len(self._pending) > keep:
            pending = self._pending.popleft()
            unit = pending.unit
            for future in pending.futures:
                with self.clock.span("wait/lanes"):
                    measured = future.result()
                for job, outcome in measured:
                    if isinstance(outcome, TokbenchError):
                        unit.broken.setdefault(job.id, outcome)
                    else:
                        unit.sheets[job.id].add(outcome)
            for cache in pending.caches:
                with self.clock.span("cache"):
                    cache.save()
                if cache.trouble:
                    self._cache_folder = None
            unit.waiting -= 1
            if unit.read and not unit.waiting:
                self._write(unit)
            self.on_images(pending.finished)

    def _write(self, unit: _Open) -> None:
        for name, sheet in unit.sheets.items():
            if name in unit.broken:
                self._break(sheet, unit.broken[name])
            else:
                with self.clock.span("write", len(unit.originals)):
                    sheet.write(self.store, unit.originals)

    def _break(self, sheet: Sheet, error: TokbenchError) -> None:
        """Note that a tokenizer broke: for good, or for this shard when it was only its worker that was lost."""
        job = sheet.job
        if isinstance(error, WorkerError):
            self._lives[job.id] -= 1
            error = WorkerError(
                f"{error.message}; shard {sheet.shard + 1} of {job.part.plan.shards} is missing",
                hint="run the same command again to compute it",
            )
        else:
            self._lives[job.id] = 0
        self.failed[job.id] = error

    def _network(self, part: Pass, name: str) -> Any:
        with self._building:
            if name not in self._networks:
                evaluator = next(each for each in part.evaluators if each.name == name)
                with self.clock.span(f"load/{name}"):
                    self._networks[name] = build_network(
                        evaluator, device=self._device, overrides=self.run.settings.overrides
                    )
            return self._networks[name]

    def _reconstructor(self, job: Job) -> Reconstructor:
        name = job.subject.spec.name
        if name not in self._reconstructors:
            with self.clock.span(f"load/{name}"):
                self._reconstructors[name] = job.subject.open(
                    self._device, self._dtype, self.run.settings.overrides
                )
        return self._reconstructors[name]
