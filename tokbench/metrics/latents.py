"""Continuous latents: spread of channels, how many dimensions are used, how heavy their tails are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Collector, Estimate, SetMetric
from tokbench.metrics.language import nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch
    from tokbench.tokenizer import TokenSpec

    Vectors = npt.NDArray[np.float64]

KEPT = 1024
"""Values kept of each image, in whole vectors at evenly spaced positions: about what its pooled features take."""


@dataclass(frozen=True, eq=False)
class LatentVectors:
    """Latent vectors by plan position; a commutative monoid, exactly, which added-up moments would not be.

    Attributes:
        index: plan position of each vector's image, int64 ``[m]``, ascending.
        vectors: float32 ``[m, channels]``.
    """

    index: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]

    @classmethod
    def empty(cls) -> Self:
        """Return the state of no image."""
        import numpy as np

        return cls(np.zeros(0, np.int64), np.zeros((0, 0), np.float32))

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Keep vectors of a batch: channels are axis 1 of ``[n, c, h, w]``, else the last axis.

        Raises:
            ValueError: the codes are not latents.
        """
        import numpy as np

        if batch.codes.latents is None:
            raise ValueError(f"{batch.spec.name} has no continuous latents")
        latents = batch.codes.latents.float().cpu()
        if latents.ndim == 4:
            latents = latents.permute(0, 2, 3, 1)
        channels = latents.shape[-1]
        vectors = latents.reshape(len(latents), -1, channels).numpy()
        count = min(vectors.shape[1], max(1, KEPT // channels))
        places = np.linspace(0, vectors.shape[1] - 1, count).round().astype(int)
        order = np.argsort(batch.index)
        index = np.repeat(batch.index[order], count).astype(np.int64)
        return cls(index, np.ascontiguousarray(vectors[order][:, places].reshape(-1, channels)))

    def __add__(self, other: Self) -> Self:
        return self.joined((self, other))

    @classmethod
    def joined(cls, states: Sequence[Self]) -> Self:
        """Return the sum of any number of states, in one step.

        Raises:
            ValueError: they differ in channels, or an image is in two of them.
        """
        import numpy as np

        full = [state for state in states if len(state.index)]
        if not full:
            return cls.empty()
        if len({state.vectors.shape[1] for state in full}) > 1:
            raise ValueError(f"latents of {sorted({state.vectors.shape[1] for state in full})} channels")
        images = np.concatenate([np.unique(state.index) for state in full])
        if len(np.unique(images)) < len(images):
            raise ValueError("latents of one image in two states")
        index = np.concatenate([state.index for state in full])
        order = np.argsort(index, kind="stable")
        return cls(index[order], np.concatenate([state.vectors for state in full])[order])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return ``index`` (int64) and ``vectors`` (float32)."""
        return {"index": self.index, "vectors": self.vectors}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild from `arrays`.

        Raises:
            ValueError: an array is missing, or they do not fit together.
        """
        import numpy as np

        if set(arrays) != {"index", "vectors"}:
            raise ValueError(f"latents need index and vectors, got {sorted(arrays)}")
        index, vectors = np.asarray(arrays["index"], np.int64), np.asarray(arrays["vectors"], np.float32)
        if vectors.ndim != 2 or len(index) != len(vectors) or (np.diff(index) < 0).any():
            raise ValueError("latents do not fit together")
        return cls(index, vectors)


def channel_means(vectors: Vectors) -> Vectors:
    """Return the mean of each channel: ``[m, c]`` to ``[c]``."""
    means: Vectors = vectors.mean(0)
    return means


def channel_deviations(vectors: Vectors) -> Vectors:
    """Return the standard deviation of each channel, over m: ``[m, c]`` to ``[c]``."""
    deviations: Vectors = vectors.std(0)
    return deviations


def effective_dimension(vectors: Vectors) -> float:
    """Return the participation ratio ``(Σ λ)² / Σ λ²`` of the covariance's eigenvalues, in [1, c]; NaN without spread.

    It is the trace squared over the squared Frobenius norm, so no eigenvalue has to be computed.
    """
    import numpy as np

    centred = vectors - vectors.mean(0)
    covariance = centred.T @ centred / len(vectors)
    norm = float(np.square(covariance).sum())
    return float(np.trace(covariance)) ** 2 / norm if norm else math.nan


def kurtosis(vectors: Vectors) -> float:
    """Return the excess kurtosis, averaged over channels that vary: 0 for a normal distribution; NaN without spread."""
    import numpy as np

    centred = vectors - vectors.mean(0)
    variance = np.square(centred).mean(0)
    varies = variance > 0
    if not varies.any():
        return math.nan
    fourth = np.square(np.square(centred[:, varies])).mean(0)
    return float((fourth / np.square(variance[varies]) - 3).mean())


def mean_offset(vectors: Vectors) -> float:
    """Return the absolute mean of a channel, averaged over channels."""
    return float(abs(channel_means(vectors)).mean())


def mean_deviation(vectors: Vectors) -> float:
    """Return the standard deviation of a channel, averaged over channels."""
    return float(channel_deviations(vectors).mean())


@dataclass(frozen=True)
class _Statistic:
    compute: Callable[[Vectors], float]

    def __call__(self, states: Sequence[LatentVectors]) -> Estimate:
        import numpy as np

        total = LatentVectors.joined(states)
        if not len(total.index):
            return nothing("no image was measured")
        vectors, groups = total.vectors.astype(np.float64), total.index % GROUPS
        value = self.compute(vectors)
        if math.isnan(value):
            return nothing("the latents do not vary")
        present = np.unique(groups)
        left_out = [self.compute(vectors[groups != group]) for group in present] if len(present) > 1 else []
        shape = f"{len(vectors):,} vectors of {vectors.shape[1]} channels"
        return jackknife.estimate(value, left_out, reason=shape)


def needs_latents(spec: TokenSpec) -> str:
    """Return "" for tokenizers with continuous latents, else the reason."""
    return "" if spec.kind == "continuous" else "needs continuous latents"


LATENT_VECTORS = Collector(name="latent-vectors", kind=LatentVectors, of=LatentVectors.of)


def _metric(name: str, title: str, compute: Callable[[Vectors], float], definition: str) -> SetMetric:
    return SetMetric(
        name=name,
        title=title,
        unit="",
        higher_is_better=None,
        collector=LATENT_VECTORS,
        finish=_Statistic(compute),
        definition=f"{definition}; over up to {KEPT} latent values of each image.",
        applies=needs_latents,
    )


LATENT_MEAN = _metric(
    "latent_mean", "|mean|", mean_offset, "Absolute mean of a channel, averaged over channels"
)
LATENT_STD = _metric(
    "latent_std", "std", mean_deviation, "Standard deviation of a channel, averaged over channels"
)
EFFECTIVE_DIMENSION = _metric(
    "effective_dimension",
    "eff. dim",
    effective_dimension,
    "Participation ratio of the eigenvalues of the channels' covariance",
)
KURTOSIS = _metric(
    "latent_kurtosis", "kurt.", kurtosis, "Excess kurtosis of a channel, averaged over channels"
)
