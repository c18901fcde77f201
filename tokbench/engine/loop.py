"""The one loop: a shard is read once, and every tokenizer that still needs it is measured on it.

Originals are decoded, preprocessed and looked at by each network once per batch, whatever the number of tokenizers.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tokbench.errors import AdapterError, EvaluatorError, ImageError, SetupError, TokbenchError, WorkerError
from tokbench.images.decode import decode
from tokbench.images.preprocess import Prepared, prepare
from tokbench.images.truth import place_truth
from tokbench.loading import build_network
from tokbench.metrics.base import Batch, ImageMetric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    from torch import Tensor

    from tokbench.engine.reconstruct import Reconstruction, Reconstructor
    from tokbench.engine.run import Job, Pass, Run
    from tokbench.metrics.base import State
    from tokbench.networks.base import Features
    from tokbench.results.store import Store
    from tokbench.views import View


LOSSES = 3
"""Shards that a tokenizer may lose with its worker process before it is given up."""


@dataclass(frozen=True)
class Original:
    """One image of a shard: its pixels after the protocol, or why it has none."""

    index: int
    prepared: Prepared | None
    digest: bytes = b""
    reason: str = ""


@dataclass
class _Sheet:
    """What one shard of one job gathers while its batches pass."""

    values: dict[str, npt.NDArray[np.float64]]
    reasons: list[str]
    bits: npt.NDArray[np.float64]
    states: dict[str, State]


class _Once:
    """Computes what depends on a batch of originals alone, once for all tokenizers and views."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def __call__(self, key: str, compute: Callable[[], Any]) -> Any:
        if key not in self._found:
            self._found[key] = compute()
        return self._found[key]


@dataclass(frozen=True)
class _Side:
    """The originals' side of a batch, shared by every tokenizer."""

    batch: Sequence[Original]
    images: Tensor
    truth: list[dict[str, Any]]
    features: Callable[[str], Features]
    evaluator: Callable[[str], Any]
    once: Callable[[str, Callable[[], Any]], Any]


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
    """

    run: Run
    store: Store
    on_images: Callable[[int], None] = lambda count: None
    device: str = ""
    failed: dict[str, TokbenchError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Resolve the device once."""
        self._device = resolve_device(self.device or self.run.settings.device)
        self._dtype = getattr(torch, self.run.settings.dtype)
        self._networks: dict[str, Any] = {}
        self._reconstructors: dict[str, Reconstructor] = {}
        self._lives: dict[str, int] = {job.id: LOSSES for job in self.run.jobs}

    def unit(self, pass_number: int, shard: int) -> None:
        """Compute one shard for every job of a pass that does not have it yet.

        Raises:
            DataError: the images are not the ones the card names.
            EvaluatorError: a network or metric raised.
            StorageError: results cannot be written.
        """
        part = self.run.passes[pass_number]
        jobs = [job for job in self.run.jobs if job.part is part and self._lives[job.id]]
        open_jobs = [job for job in jobs if not self.store.done(job.id, job.key, shard)]
        if not open_jobs:
            return
        originals = read_originals(part, shard)
        sheets = {job.id: _new_sheet(job, originals) for job in open_jobs}
        broken: dict[str, TokbenchError] = {}
        for batch in _batches(originals, self.run.settings.batch_size):
            broken |= self._batch(part, batch, [job for job in open_jobs if job.id not in broken], sheets)
        for job in open_jobs:
            if job.id in broken:
                self._break(job, broken[job.id], shard)
            else:
                _write(self.store, job, shard, originals, sheets[job.id])

    def _break(self, job: Job, error: TokbenchError, shard: int) -> None:
        """Note that a tokenizer broke: for good, or for this shard when it was only its worker that was lost."""
        if isinstance(error, WorkerError):
            self._lives[job.id] -= 1
            error = WorkerError(
                f"{error.message}; shard {shard + 1} of {job.part.plan.shards} is missing",
                hint="run the same command again to compute it",
            )
        else:
            self._lives[job.id] = 0
        self.failed[job.id] = error

    def _batch(
        self, part: Pass, batch: Sequence[Original], jobs: Sequence[Job], sheets: dict[str, _Sheet]
    ) -> dict[str, TokbenchError]:
        """Measure every job on a batch; return what was raised by tokenizers, by job id."""
        prepared = [original.prepared for original in batch if original.prepared is not None]
        items = [part.plan.items[original.index] for original in batch]
        stacked = np.stack([each.reference for each in prepared])
        originals = torch.from_numpy(stacked).to(self._device).permute(0, 3, 1, 2).contiguous()
        seen: dict[str, Features] = {}

        def of_originals(name: str) -> Features:
            if name not in seen:
                seen[name] = self._look(part, name, originals)
            return seen[name]

        side = _Side(
            batch=batch,
            images=originals,
            truth=[place_truth(item.truth, each) for item, each in zip(items, prepared, strict=True)],
            features=of_originals,
            evaluator=lambda name: self._network(part, name),
            once=_Once(),
        )
        broken: dict[str, TokbenchError] = {}
        for job in jobs:
            try:
                for view, back in self._reconstructor(job)(
                    items, prepared, job.views, self.run.settings.seed
                ):
                    self._measure(job, view, side, back, sheets[job.id])
            except (AdapterError, SetupError) as error:
                broken[job.id] = error
                continue
            self.on_images(len(batch))
        return broken

    def _measure(self, job: Job, view: View, side: _Side, back: Reconstruction, sheet: _Sheet) -> None:
        """Run every metric of a job on a batch in one view and put the numbers on its sheet."""
        first = sheet_start(job, side.batch[0].index)
        rows = np.array([original.index - first for original in side.batch])
        for position, reason in back.failed.items():
            sheet.reasons[rows[position]] = reason
        if not back.kept:
            return
        kept = np.array(back.kept)
        whole = len(kept) == len(side.batch)
        of_reconstructions: dict[str, Features] = {}

        def features(name: str) -> tuple[Features, Features]:
            if name not in of_reconstructions:
                of_reconstructions[name] = self._look(job.part, name, back.images)
            reference = side.features(name)
            return (
                reference if whole else reference.select(torch.from_numpy(kept)),
                of_reconstructions[name],
            )

        seen = Batch(
            index=np.array([side.batch[position].index for position in back.kept], dtype=np.int64),
            original=side.images if whole else side.images[torch.from_numpy(kept).to(side.images.device)],
            reconstruction=back.images,
            features=features,
            spec=job.subject.spec,
            codes=back.codes,
            clean_codes=back.clean_codes,
            profile=back.profile,
            bits=back.bits,
            truth=[side.truth[position] for position in back.kept],
            evaluator=side.evaluator,
            # Only a whole batch may share what was computed on the whole batch.
            once=side.once if whole else lambda key, compute: compute(),
            view=view.name,
            codebook=self._reconstructor(job).codebook,
            encode_seconds=back.encode_seconds,
            decode_seconds=back.decode_seconds,
        )
        if not view.name:
            sheet.bits[rows[kept]] = back.bits
        with torch.inference_mode():
            for each in job.measurements:
                if each.view.name != view.name:
                    continue
                if isinstance(each.metric, ImageMetric):
                    sheet.values[each.name][rows[kept]] = _guard(
                        each.name, partial(each.metric.measure, seen)
                    )
            for name, collector in job.collectors(view).items():
                sheet.states[name] = sheet.states[name] + _guard(name, partial(collector.of, seen))

    def _look(self, part: Pass, name: str, images: Tensor) -> Features:
        with torch.inference_mode():
            found: Features = self._network(part, name)(images)
            return found

    def _network(self, part: Pass, name: str) -> Any:
        if name not in self._networks:
            evaluator = next(each for each in part.evaluators if each.name == name)
            self._networks[name] = build_network(
                evaluator, device=self._device, overrides=self.run.settings.overrides
            )
        return self._networks[name]

    def _reconstructor(self, job: Job) -> Reconstructor:
        name = job.subject.spec.name
        if name not in self._reconstructors:
            self._reconstructors[name] = job.subject.open(
                self._device, self._dtype, self.run.settings.overrides
            )
        return self._reconstructors[name]


def resolve_device(name: str) -> torch.device:
    """Turn ``auto`` into the best device here, and check any other name.

    Raises:
        SetupError: no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SetupError(
            f"device `{name}` cannot be used: {reason}", hint="--device cpu works everywhere"
        ) from error
    return device


def read_originals(part: Pass, shard: int) -> list[Original]:
    """Read, decode and preprocess the images of a shard; unreadable ones keep their reason.

    Raises:
        DigestError: an image is not the one its card names.
    """
    indices = part.plan.indices(shard)
    read = part.images.read([part.plan.items[index] for index in indices])
    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(_original, part, index, item.file, data)
            for index, (item, data) in zip(indices, read, strict=True)
        ]
        return [future.result() for future in waiting]


def _original(part: Pass, index: int, name: str, data: bytes | ImageError) -> Original:
    try:
        if isinstance(data, ImageError):
            raise data
        decoded = decode(data, name)
        return Original(index, prepare(decoded.pixels, part.protocol), decoded.digest)
    except ImageError as error:
        return Original(index, None, reason=error.message)


def _batches(originals: Sequence[Original], size: int) -> Iterator[list[Original]]:
    """Group readable images of equal shapes, in order, into batches of at most `size`."""
    groups: dict[tuple[int, ...], list[Original]] = {}
    for original in originals:
        if original.prepared is not None:
            shape = (*original.prepared.reference.shape, *original.prepared.canvas.shape)
            groups.setdefault(shape, []).append(original)
    for group in groups.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


def sheet_start(job: Job, index: int) -> int:
    """Return the plan position at which the shard of an image starts."""
    size = job.part.plan.shard_size
    return index // size * size


def _new_sheet(job: Job, originals: Sequence[Original]) -> _Sheet:
    count = len(originals)
    names = [each.name for each in job.measurements if isinstance(each.metric, ImageMetric)]
    collectors = {name: each for view in job.views for name, each in job.collectors(view).items()}
    return _Sheet(
        values={name: np.full(count, np.nan) for name in names},
        reasons=[original.reason for original in originals],
        bits=np.full(count, np.nan),
        states={name: collector.kind.empty() for name, collector in collectors.items()},
    )


def _write(store: Store, job: Job, shard: int, originals: Sequence[Original], sheet: _Sheet) -> None:
    import pyarrow as pa

    items = [job.part.plan.items[original.index] for original in originals]
    shapes = [original.prepared.reference.shape if original.prepared else (0, 0, 3) for original in originals]
    columns: dict[str, Any] = {
        "index": pa.array([original.index for original in originals], pa.int64()),
        "image": pa.array([item.id for item in items], pa.string()),
        "pixels_sha256": pa.array([original.digest.hex() for original in originals], pa.string()),
        "height": pa.array([shape[0] for shape in shapes], pa.int32()),
        "width": pa.array([shape[1] for shape in shapes], pa.int32()),
        "status": pa.array(["failed" if reason else "ok" for reason in sheet.reasons], pa.string()),
        "reason": pa.array(sheet.reasons, pa.string()),
        "bits": pa.array(sheet.bits, pa.float64()),
    }
    columns |= {f"metric:{name}": pa.array(values, pa.float64()) for name, values in sheet.values.items()}
    states = {name: state.arrays() for name, state in sheet.states.items()}
    store.write_shard(job.id, job.key, shard, pa.table(columns), states)


def _guard(name: str, compute: Callable[[], Any]) -> Any:
    try:
        return compute()
    except TokbenchError:
        raise
    except Exception as error:
        # Metrics may come from a third party's task; whatever one raises, the message must say which one it was.
        raise EvaluatorError(
            f"metric `{name}` raised {type(error).__name__}: {error}",
            hint="leave its task out to go on; finished shards are kept",
        ) from error
