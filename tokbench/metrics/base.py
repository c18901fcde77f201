"""What a metric is: a plain value that tasks list and the engine feeds.

Two kinds exist. An `ImageMetric` gives one number per image; its summary is a mean with a bootstrap interval. A
`SetMetric` gives one number per image set from a mergeable state that shards accumulate; its summary carries a
delete-one-group jackknife interval.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.cost import Profile
    from tokbench.networks.base import Features
    from tokbench.tokenizer import Codes, TokenSpec

GROUPS = 20
"""Jackknife groups. The image at plan position i belongs to group ``i % GROUPS``, on every machine."""


def always(spec: TokenSpec) -> str:
    """Say that a metric applies to every tokenizer (a named function, because workers receive metrics pickled)."""
    return ""


def no_codebook() -> None:
    """Stand for the codebook of a tokenizer that shows none."""


@dataclass(frozen=True)
class Batch:
    """n images of one size with their reconstructions, as metrics see them.

    Attributes:
        index: plan positions of the images, int64 ``[n]``; they name the jackknife groups.
        original: uint8 ``[n, 3, h, w]``, RGB, after the protocol.
        reconstruction: uint8 ``[n, 3, h, w]``, clamped and rounded by the harness.
        features: ``features(network) -> (of originals, of reconstructions)``; computed once per batch and shared.
        spec: the tokenizer's spec.
        codes: the codes as `decode` saw them.
        bits: float64 ``[n]``, size of each image's serialised codes in bits.
        truth: per image, what its card knows, with boxes and points in pixels of `original`.
        evaluator: ``evaluator(name) -> the loaded evaluator``, for those that do more than features (recognisers).
        once: ``once(key, compute) -> compute()``, computed once per batch of originals and shared by all tokenizers and
            views; for what depends on originals alone. `key` starts with the evaluator's name.
        view: name of the view, "" for the clean round trip.
        encode_seconds: float64 ``[n]``, wall time of `encode`, shared evenly over the batch.
        decode_seconds: float64 ``[n]``, likewise for `decode`.
        codebook: ``codebook() -> entries`` of the tokenizer, ``[vocab, dim]`` or ``[codebooks, vocab, dim]``, or None
            when it shows none.
        clean_codes: the codes before the view changed them; None stands for "as `codes`".
        profile: measures what one of these images costs the tokenizer, once for each size; None for reconstructions
            from disk.
        found: what `memo` has computed so far.
    """

    index: npt.NDArray[np.int64]
    original: Tensor
    reconstruction: Tensor
    features: Callable[[str], tuple[Features, Features]]
    spec: TokenSpec
    codes: Codes
    bits: npt.NDArray[np.float64]
    truth: Sequence[Mapping[str, Any]]
    evaluator: Callable[[str], Any]
    once: Callable[[str, Callable[[], Any]], Any]
    view: str
    encode_seconds: npt.NDArray[np.float64]
    decode_seconds: npt.NDArray[np.float64]
    codebook: Callable[[], Tensor | None] = no_codebook
    clean_codes: Codes | None = None
    profile: Callable[[], Profile] | None = None
    found: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def memo(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return ``compute()``, computed once for this batch in this view and shared by its metrics."""
        if key not in self.found:
            self.found[key] = compute()
        return self.found[key]


@dataclass(frozen=True)
class Estimate:
    """A summary number with its interval.

    Attributes:
        value: the number; NaN with a `reason` when it could not be measured.
        low: lower end of the 95 % interval, NaN when unknown.
        high: upper end.
        method: how the interval was made: ``bootstrap-bca``, ``bootstrap-percentile``, ``jackknife-20``, ``exact``;
            ``none`` for a single image.
        reason: why the value is missing, or why it must not be ranked.
        reliable: False when the number is given but must not be ranked (an FID on too few images).
        replicates: the statistic without each jackknife group, where the interval is a jackknife's: means over several
            views get their interval from these.
    """

    value: float
    low: float
    high: float
    method: str
    reason: str = ""
    reliable: bool = True
    replicates: tuple[float, ...] = ()


@dataclass(frozen=True)
class ImageMetric:
    """One number per image.

    Attributes:
        name: column name, e.g. ``psnr``.
        title: what a table heads the column with.
        unit: ``dB``, ``bit/px``, ``image/s``; empty for pure numbers.
        higher_is_better: direction; None when neither end is better in itself (a bit rate).
        measure: ``measure(batch) -> float64 [n]``; NaN only where the definition does not apply to an image (too small,
            no box); infinity where the number could not be computed, which blanks the metric unless it has a `mean` of
            its own, as PSNR has.
        definition: what is computed and whose definition it is, one or two sentences.
        network: the evaluator it asks `Batch.features` for, or None.
        mean: how per-image values become one number, over the last axis, since the bootstrap passes one resample a
            row (default: arithmetic mean).
        applies: returns "" or the reason why the metric makes no sense for a tokenizer.
        repeatable: False for wall-clock figures, which differ from run to run.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    measure: Callable[[Batch], npt.NDArray[np.float64]]
    definition: str
    network: str | None = None
    mean: Callable[[npt.NDArray[np.float64]], Any] | None = None
    applies: Callable[[TokenSpec], str] = always
    repeatable: bool = True


class State(Protocol):
    """A mergeable value: an immutable commutative monoid that can be stored as plain arrays.

    ``a + b == b + a``, ``(a + b) + c == a + (b + c)``, ``empty() + a == a``, exactly, so that shards, machines and
    resumed runs give the same number.
    """

    @classmethod
    def empty(cls) -> Self:
        """Return the identity of ``+``."""
        ...

    def __add__(self, other: Self) -> Self: ...

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state as named arrays, for storage."""
        ...

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild the state; raises ValueError when the arrays do not fit together."""
        ...


@dataclass(frozen=True)
class Collector:
    """Where the states of set metrics come from; metrics that name the same collector share its states.

    Attributes:
        name: file-safe name, e.g. ``features-lite0``.
        kind: the state class.
        of: ``of(batch) -> state``.
        network: the evaluator it asks `Batch.features` for, or None.
    """

    name: str
    kind: type[State]
    of: Callable[[Batch], State]
    network: str | None = None


@dataclass(frozen=True)
class SetMetric:
    """One number per image set.

    Attributes:
        collector: what gathers the states.
        finish: ``finish(states) -> Estimate``; `states` are the shards' states in plan order, loaded one at a time
            and iterable more than once, so that memory stays flat.

    The other attributes are those of `ImageMetric`.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    collector: Collector
    finish: Callable[[Sequence[Any]], Estimate]
    definition: str
    applies: Callable[[TokenSpec], str] = always
    repeatable: bool = True

    @property
    def network(self) -> str | None:
        """The evaluator the collector asks for, or None."""
        return self.collector.network


Metric = ImageMetric | SetMetric
