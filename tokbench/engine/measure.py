"""What a lane does: a few originals of a batch, and every reconstruction of them, through every metric.

A group belongs to one lane at a time. What depends on its originals alone is kept until its last reconstruction has
been measured, so that the originals pass each network once, whatever the number of tokenizers and views.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import torch

from tokbench.engine.sheet import Measured
from tokbench.errors import AdapterError, EvaluatorError, SetupError, TokbenchError
from tokbench.metrics.base import Batch, ImageMetric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.engine.feature_cache import FeatureCache
    from tokbench.engine.reconstruct import Reconstruction
    from tokbench.engine.run import Job
    from tokbench.engine.timeline import Clock
    from tokbench.metrics.base import State
    from tokbench.networks.base import Features
    from tokbench.views import View


@dataclass(frozen=True)
class Returned:
    """What a tokenizer gave back for a batch, or for part of one, in one view.

    Attributes:
        job: of which tokenizer.
        view: in which view.
        first: position in the batch at which its images start.
        back: the reconstructions; positions in it count from `first`.
        codebook: returns the tokenizer's codebook, or None.
    """

    job: Job
    view: View
    first: int
    back: Reconstruction
    codebook: Callable[[], Tensor | None]


@dataclass(frozen=True)
class Tools:
    """What lanes share.

    Attributes:
        evaluator: ``evaluator(name)`` returns a loaded evaluator, built on first need.
        caches: the stored features of originals, by evaluator.
        clock: what the work is timed with.
        stop: set when the run ends before its time; lanes then drop what they are doing.
    """

    evaluator: Callable[[str], Any]
    caches: Mapping[str, FeatureCache]
    clock: Clock
    stop: Event


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The run ends before its time."""


@dataclass
class Group:
    """A few originals of a batch.

    Attributes:
        start: position of the first one in the batch.
        index: their plan positions, int64 ``[n]``.
        images: uint8 ``[n, 3, h, w]``, on the device.
        truth: what the card knows of each, in pixels of `images`.
        contents: what each is called in the cache of features.
        tools: what lanes share.
    """

    start: int
    index: npt.NDArray[np.int64]
    images: Tensor
    truth: Sequence[Mapping[str, Any]]
    contents: Sequence[bytes]
    tools: Tools
    _features: dict[str, Features] = field(default_factory=dict)
    _once: dict[str, Any] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def measure(self, returned: Sequence[Returned]) -> list[tuple[Job, Measured | TokbenchError]]:
        """Measure what tokenizers gave back for these originals.

        Returns:
            The numbers of each job and view; an error where asking the tokenizer broke it.

        Raises:
            EvaluatorError: a network or a metric raised.
            Stopped: the run ends.
        """
        found: list[tuple[Job, Measured | TokbenchError]] = []
        with self._lock, torch.inference_mode():
            for each in returned:
                if self.tools.stop.is_set():
                    raise Stopped
                batch = self._batch(each)
                if batch is None:
                    continue
                try:
                    found.append((each.job, self._measure(each, batch)))
                except (AdapterError, SetupError) as error:
                    found.append((each.job, error))
        return found

    def _measure(self, each: Returned, batch: Batch) -> Measured:
        clock, values, states = self.tools.clock, {}, {}
        for wanted in each.job.measurements:
            if wanted.view.name != each.view.name or not isinstance(wanted.metric, ImageMetric):
                continue
            with clock.span(f"metric/{wanted.metric.name}", len(batch.index)):
                values[wanted.name] = _guard(wanted.name, partial(wanted.metric.measure, batch))
        for name, collector in each.job.collectors(each.view).items():
            with clock.span(f"state/{collector.name}", len(batch.index)):
                state: State = _guard(name, partial(collector.of, batch))
                states[name] = state
        return Measured(batch.index, values, states, None if each.view.name else batch.bits)

    def _batch(self, each: Returned) -> Batch | None:
        """Return the originals that have a reconstruction beside it, or None when there is none."""
        offset = each.first - self.start
        rows = [
            (row, position + offset)
            for row, position in enumerate(each.back.kept)
            if 0 <= position + offset < len(self.index)
        ]
        if not rows:
            return None
        mine = [row for row, _ in rows]
        kept = [position for _, position in rows]
        whole = len(kept) == len(self.index)
        back = each.back.select(mine)
        of_reconstructions: dict[str, Features] = {}

        def features(name: str) -> tuple[Features, Features]:
            if name not in of_reconstructions:
                with self.tools.clock.span(f"network/{name}", len(kept)):
                    of_reconstructions[name] = self.tools.evaluator(name)(back.images)
            reference = self._reference(name)
            return (
                reference if whole else reference.select(torch.tensor(kept)),
                of_reconstructions[name],
            )

        return Batch(
            index=self.index[kept],
            original=self.images if whole else self.images[kept],
            reconstruction=back.images,
            features=features,
            spec=each.job.subject.spec,
            codes=back.codes,
            clean_codes=back.clean_codes,
            profile=back.profile,
            bits=back.bits,
            truth=[self.truth[position] for position in kept],
            evaluator=self.tools.evaluator,
            # Only the whole group may share what was computed on the whole group.
            once=self._shared if whole else _unshared,
            view=each.view.name,
            codebook=each.codebook,
            encode_seconds=back.encode_seconds,
            decode_seconds=back.decode_seconds,
        )

    def _reference(self, name: str) -> Features:
        """Return what a network says of the originals: kept, cached on disk, or computed now."""
        if name not in self._features:
            cache = self.tools.caches.get(name)
            found = cache.get(self.contents) if cache is not None else None
            if found is None:
                with self.tools.clock.span(f"network/{name}/originals", len(self.index)):
                    found = self.tools.evaluator(name)(self.images)
                if cache is not None:
                    cache.put(self.contents, found)
            self._features[name] = found
        return self._features[name]

    def _shared(self, key: str, compute: Callable[[], Any]) -> Any:
        if key not in self._once:
            self._once[key] = compute()
        return self._once[key]


def _unshared(key: str, compute: Callable[[], Any]) -> Any:
    return compute()


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
