"""Linear probe: how much of an image's label a linear classifier reads from the tokens."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tokbench.metrics.base import Collector, Estimate, SetMetric
from tokbench.metrics.bootstrap import bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch
    from tokbench.tokenizer import TokenSpec

FOLDS = 5
_LABELS = ("label", "class")
_FIELDS = {"index", "label", "group", "vector"}


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Pooled codes with labels by plan position; a commutative monoid, exactly.

    Attributes:
        index: plan positions, int64 ``[n]``, ascending.
        label: labels as text, ``[n]``.
        group: what images that must not be told apart by chance share, such as their photograph, ``[n]``; "" where the
            truth names none, and then the image stands for itself.
        vector: pooled codes, float32 ``[n, d]``.
    """

    index: npt.NDArray[np.int64]
    label: npt.NDArray[np.str_]
    group: npt.NDArray[np.str_]
    vector: npt.NDArray[np.float32]

    @classmethod
    def empty(cls) -> Self:
        """Return the state of no image."""
        import numpy as np

        return cls(
            np.zeros(0, np.int64), np.zeros(0, np.str_), np.zeros(0, np.str_), np.zeros((0, 0), np.float32)
        )

    def __add__(self, other: Self) -> Self:
        import numpy as np

        if not len(other.index):
            return self
        if not len(self.index):
            return other
        index, first = np.unique(np.concatenate((self.index, other.index)), return_index=True)
        label = np.concatenate((self.label, other.label))[first]
        group = np.concatenate((self.group, other.group))[first]
        return type(self)(index, label, group, np.concatenate((self.vector, other.vector))[first])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by attribute name."""
        return {"index": self.index, "label": self.label, "group": self.group, "vector": self.vector}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild from `arrays`.

        Raises:
            ValueError: an array is missing, or they do not fit together.
        """
        if set(arrays) != _FIELDS or len({len(array) for array in arrays.values()}) != 1:
            raise ValueError("labelled rows need index, label, group and vector of one length")
        return cls(arrays["index"], arrays["label"], arrays["group"], arrays["vector"])


def pooled_codes(batch: Batch) -> Tensor:
    """Return the mean over positions of latents, or of the codebook entries that ids stand for, float32 ``[n, d]``.

    Channels of latents are axis 1 of ``[n, c, h, w]``, else the last axis; several codebooks are put side by side.

    Raises:
        ValueError: neither latents nor ids with a codebook.
    """
    import torch

    if batch.codes.latents is not None:
        latents = batch.codes.latents.float()
        if latents.ndim == 4:
            return latents.mean((2, 3))
        return latents.reshape(len(latents), -1, latents.shape[-1]).mean(1)
    entries, ids = batch.codebook(), batch.codes.ids
    if entries is None or ids is None:
        raise ValueError("no latents and no codebook")
    if entries.ndim == 2:
        entries, ids = entries[None], ids[:, None]
    books = ids.flatten(2).unbind(1)
    return torch.cat(
        [entry.float()[book.long()].mean(1) for entry, book in zip(entries, books, strict=True)], 1
    )


def label_of(truth: Any) -> str | None:
    """Return the ``label`` or ``class`` of an image as text, or None."""
    return next((str(truth[name]) for name in _LABELS if name in truth), None)


def _collect(batch: Batch) -> LabelledRows:
    import numpy as np

    labels = [label_of(truth) for truth in batch.truth]
    kept = [position for position, label in enumerate(labels) if label is not None]
    if not kept:
        return LabelledRows.empty()
    vectors = pooled_codes(batch)[kept].cpu().numpy()
    groups = np.array([str(batch.truth[position].get("group", "")) for position in kept])
    return LabelledRows(batch.index[kept], np.array([labels[position] for position in kept]), groups, vectors)


def probe(states: Sequence[LabelledRows]) -> Estimate:
    """Return the accuracy of a linear probe, each image predicted by a classifier that did not see it.

    Args:
        states: labelled rows of disjoint sets of images.

    Returns:
        The share of images labelled rightly by logistic regression on standardised vectors in 5 stratified folds, with
        the bootstrap interval over images; NaN with a reason when fewer than two labels have 5 images. Images of one
        group are in one fold, and a label then needs 5 groups.
    """
    import numpy as np

    rows = sum(states, LabelledRows.empty())
    grouped = bool((rows.group != "").any())
    groups = np.where(rows.group == "", np.char.add("#", rows.index.astype(str)), rows.group)
    pairs = np.unique(np.stack((rows.label, groups)), axis=1)
    names, counts = np.unique(pairs[0], return_counts=True)
    enough = np.isin(rows.label, names[counts >= FOLDS])
    if (counts >= FOLDS).sum() < 2:
        what = "groups of images" if grouped else "images"
        reason = f"needs two labels with {FOLDS} {what} each; {len(rows.index)} images have a label"
        return Estimate(math.nan, math.nan, math.nan, "none", reason, reliable=False)
    vectors = rows.vector[enough].astype(np.float64)
    return bootstrap(_right(vectors, rows.label[enough], groups[enough] if grouped else None))


def _right(
    vectors: npt.NDArray[np.float64], labels: npt.NDArray[np.str_], groups: npt.NDArray[np.str_] | None
) -> npt.NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped, unused-ignore]
    from sklearn.model_selection import (  # type: ignore[import-untyped, unused-ignore]
        StratifiedGroupKFold,
        StratifiedKFold,
        cross_val_predict,
    )
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped, unused-ignore]
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped, unused-ignore]

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = kind(FOLDS, shuffle=True, random_state=0)
    found = cross_val_predict(classifier, vectors, labels, groups=groups, cv=folds)
    result: npt.NDArray[np.float64] = (found == labels).astype(float)
    return result


def _applies(spec: TokenSpec) -> str:
    if importlib.util.find_spec("sklearn") is None:
        return "scikit-learn is not installed: pip install 'tokbench[probe]'"
    if spec.kind == "continuous" or (spec.kind == "discrete" and "codebook" in spec.capabilities):
        return ""
    return "needs a codebook or latents"


LINEAR_PROBE = SetMetric(
    name="linear_probe",
    title="probe",
    unit="",
    higher_is_better=True,
    collector=Collector(name="labelled-codes", kind=LabelledRows, of=_collect),
    finish=probe,
    definition=(
        "Accuracy of logistic regression (L2, C = 1, standardised) on the mean over positions of latents or codebook "
        "vectors, 5 stratified folds, labels with at least 5 images; only where the image set has labels. Images that "
        "share a `group` in the truth, such as crops of one photograph, are in one fold."
    ),
    applies=_applies,
)
