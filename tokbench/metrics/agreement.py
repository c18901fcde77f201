"""Whether a classifier still says of the reconstruction what it says of the original; no labels are needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch

    Values = npt.NDArray[np.float64]


def agreement(original: Tensor, reconstruction: Tensor, best: int) -> Values:
    """Return 1 where the top class of the original is among the `best` classes of the reconstruction, else 0.

    Args:
        original: logits ``[n, classes]``.
        reconstruction: likewise.
        best: how many classes count.

    Returns:
        float64 ``[n]``; infinite where a network gave no finite logits, among which the first would "agree".
    """
    chosen = reconstruction.topk(best, dim=1).indices
    hits = (chosen == original.argmax(1, keepdim=True)).any(1).double()
    finite = original.isfinite().all(1) & reconstruction.isfinite().all(1)
    result: Values = hits.where(finite, math.inf).cpu().numpy()
    return result


def divergence(original: Tensor, reconstruction: Tensor) -> Values:
    """Return the Kullback-Leibler divergence of the reconstruction's class probabilities from the original's, in nats.

    Args:
        original: logits ``[n, classes]``.
        reconstruction: likewise.

    Returns:
        float64 ``[n]``: ``Σ p (log p - log q)`` with p of the original; never negative; infinite where a network gave
        no finite logits.
    """
    log_p, log_q = original.double().log_softmax(1), reconstruction.double().log_softmax(1)
    # Rounding may leave -1e-17 where both are the same.
    divergences = (log_p.exp() * (log_p - log_q)).sum(1).clamp(min=0)
    result: Values = divergences.nan_to_num(math.inf, posinf=math.inf).cpu().numpy()
    return result


def lite0_logits(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return EfficientNet-Lite0's logits of originals and reconstructions."""
    original, reconstruction = (features.logits for features in batch.features("lite0"))
    if original is None or reconstruction is None:
        raise ValueError("network lite0 has no logits")
    return original, reconstruction


@dataclass(frozen=True)
class _Agreement:
    best: int

    def __call__(self, batch: Batch) -> Values:
        return agreement(*lite0_logits(batch), self.best)


def _divergence(batch: Batch) -> Values:
    return divergence(*lite0_logits(batch))


def _zero_shot(batch: Batch) -> Values:
    network = batch.evaluator("clip-b32")
    original, reconstruction = (features.pooled for features in batch.features("clip-b32"))
    of_original = batch.once("clip-b32:class-logits", lambda: network.class_logits(original))
    return agreement(of_original, network.class_logits(reconstruction), 1)


def _metric(name: str, title: str, best: int) -> ImageMetric:
    which = "the top class" if best == 1 else f"among the top {best} classes"
    return ImageMetric(
        name=name,
        title=title,
        unit="",
        higher_is_better=True,
        measure=_Agreement(best),
        definition=(
            f"Share of images whose original's top ImageNet class by EfficientNet-Lite0 is {which} of the "
            "reconstruction."
        ),
        network="lite0",
    )


CLASS_AGREEMENT = _metric("class_agreement", "cls-1", 1)
CLASS_AGREEMENT_5 = _metric("class_agreement_top5", "cls-5", 5)

CLASS_KL = ImageMetric(
    name="class_kl",
    title="cls-KL",
    unit="nat",
    higher_is_better=False,
    measure=_divergence,
    definition=(
        "Kullback-Leibler divergence of EfficientNet-Lite0's class probabilities, original against reconstruction, "
        "mean over images."
    ),
    network="lite0",
)

ZERO_SHOT_AGREEMENT = ImageMetric(
    name="zero_shot_agreement",
    title="0shot",
    unit="",
    higher_is_better=True,
    measure=_zero_shot,
    definition=(
        "Share of images to which CLIP ViT-B/32 gives the same zero-shot ImageNet label (prompt: a photo of a …) "
        "before and after."
    ),
    network="clip-b32",
)
