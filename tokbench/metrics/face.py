"""F-Sim of TokBench (arXiv 2505.18142): does a face stay the same person's to a face network?

A face is looked at in the original and in the reconstruction at the five points that the image set states; nothing is
detected, so a face that was destroyed scores low instead of being left out. The similarity is the cosine of the two
embeddings; negative ones stay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Estimate, SetMetric
from tokbench.metrics.face_rows import FaceRows, collector

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Collector

Bins = tuple[tuple[float, float], ...]

BINS: dict[int, Bins] = {
    256: ((0.1, 0.2), (0.2, 0.3), (0.3, 1.0)),
    512: ((0.05, 0.1), (0.1, 0.2), (0.2, 1.0)),
    1024: ((0.02, 0.05), (0.05, 0.1), (0.1, 1.0)),
}
"""Small, medium and large by setting: ratios from the first number up to, but without, the second (855802d)."""

BINS_A77070C: dict[int, Bins] = {
    256: ((0.0, 0.1), (0.1, 0.2), (0.2, 1.0)),
    512: ((0.0, 0.05), (0.05, 0.2), (0.2, 1.0)),
    1024: ((0.0, 0.05), (0.05, 0.1), (0.1, 1.0)),
}
"""The bins of TokBench's first release, commit a77070c."""

SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class BinnedMean:
    """The unweighted mean over scale bins of the mean cosine in a bin; faces in no bin do not count.

    Attributes:
        bins: half-open ranges of the ratio.
    """

    bins: Bins

    def __call__(self, states: Sequence[FaceRows]) -> Estimate:
        """Return the estimate; NaN with a reason when a bin is empty, since leaving it out would flatter."""
        import numpy as np

        where = np.concatenate([np.zeros(0, np.int64), *(state.where[:, 0] for state in states)])
        ratio = np.concatenate([np.zeros(0), *(state.ratio for state in states)])
        cosine = np.concatenate([np.zeros(0), *(state.cosine for state in states)])
        # In plan order, so that the sums round alike whatever the shards were.
        order = np.argsort(where, kind="stable")
        where, ratio, cosine = where[order], ratio[order], cosine[order]
        skipped = sum(len(state.skipped) for state in states)
        sums, counts = np.zeros((GROUPS, len(self.bins))), np.zeros((GROUPS, len(self.bins)), np.int64)
        for number, (low, high) in enumerate(self.bins):
            inside = (ratio >= low) & (ratio < high)
            np.add.at(sums[:, number], where[inside] % GROUPS, cosine[inside])
            np.add.at(counts[:, number], where[inside] % GROUPS, 1)
            if not inside.any():
                size = (
                    f"face of ratio [{low:g}, {high:g})" if math.isfinite(high) else "face with five points"
                )
                return blank(f"no {size}", skipped)
        sum_, count = sums.sum(0), counts.sum(0)
        left_out = [
            _mean(sum_ - sums[group], count - counts[group])
            for group in range(GROUPS)
            if counts[group].any() and (count > counts[group]).all()
        ]
        return jackknife.estimate(
            _mean(sum_, count), left_out, smallest=-1, largest=1, reason=left_out_reason(skipped)
        )


def _mean(sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> float:
    return math.fsum(sums / counts) / len(counts)


def left_out_reason(skipped: int) -> str:
    """Say how many faces were left out, or nothing."""
    return f"{skipped} face{'s' if skipped > 1 else ''} without five points left out" if skipped else ""


def blank(reason: str, skipped: int) -> Estimate:
    """Return no number and why."""
    why = "; ".join(part for part in (reason, left_out_reason(skipped)) if part)
    return Estimate(math.nan, math.nan, math.nan, jackknife.METHOD, why, reliable=False)


EVERYWHERE: Bins = ((-math.inf, math.inf),)

_WHAT = (
    "Cosine of the {network} embeddings of a face in the original and in the reconstruction, at the five points the "
    "image set states, negative values kept (F-Sim, TokBench, arXiv 2505.18142)"
)


def binned(
    name: str, title: str, faces: Collector, network: str, bins: Bins, setting: str, note: str
) -> SetMetric:
    """Declare the mean over bins."""
    ranges = ", ".join(f"[{low:g}, {high:g})" for low, high in bins)
    ending = "mean of the bins' means, for" if len(bins) > 1 else "mean over"
    return SetMetric(
        name=name,
        title=title,
        unit="",
        higher_is_better=True,
        collector=faces,
        finish=BinnedMean(bins),
        definition=(
            f"{_WHAT.format(network=network)}; {ending} faces whose box has {ranges} of the image's long side"
            f"{setting}.{note}"
        ),
    )


def f_sim(
    evaluator: str, network: str, suffix: str, short: str, setting: int, note: str = ""
) -> tuple[SetMetric, ...]:
    """Declare F-Sim by one network at one setting: the mean of the bins, and each bin.

    Args:
        evaluator: the face network's name in the catalog.
        network: what it is called in definitions.
        suffix: what the names carry after ``f_sim``, e.g. ``_dlib``; "" for TokBench's own network.
        short: the title without size, at most six letters.
        setting: 256, 512 or 1024.
        note: ends every definition.

    Returns:
        ``f_sim<suffix>``, then ``f_sim<suffix>_small``, ``_medium`` and ``_large``; settings other than 256 are named.
    """
    faces, bins = collector(evaluator), BINS[setting]
    name = f"f_sim{suffix}" + (f"_{setting}" if setting != 256 else "")
    where = f" (TokBench's setting {setting})"
    return (
        binned(name, short, faces, network, bins, where, note),
        *(
            binned(f"{name}_{size}", f"{short}-{size[0].upper()}", faces, network, (each,), where, note)
            for size, each in zip(SIZES, bins, strict=True)
        ),
    )


def f_sim_all(evaluator: str, network: str, suffix: str, title: str, note: str = "") -> SetMetric:
    """Declare the plain mean over all faces, whatever their size."""
    return SetMetric(
        name=f"f_sim{suffix}_all",
        title=title,
        unit="",
        higher_is_better=True,
        collector=collector(evaluator),
        finish=BinnedMean(EVERYWHERE),
        definition=f"{_WHAT.format(network=network)}; mean over all faces that have five points.{note}",
    )
