"""Face verification on reconstructions: are two pictures of one person still told from pictures of two?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.metrics import jackknife
from tokbench.metrics.base import GROUPS, Estimate, SetMetric
from tokbench.metrics.face import blank, left_out_reason
from tokbench.metrics.face_rows import FaceRows, collector, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

LARGEST = 1_500
"""Faces beyond which no further identity is taken in: the cost grows with their square."""


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The pairs of one fold, by falling similarity."""

    score: Floats
    same: Flags
    first_group: npt.NDArray[np.int64]
    second_group: npt.NDArray[np.int64]

    def without(self, group: int) -> _Pairs:
        keep = (self.first_group != group) & (self.second_group != group)
        return _Pairs(self.score[keep], self.same[keep], self.first_group[keep], self.second_group[keep])

    @property
    def complete(self) -> bool:
        """Whether there are pairs of one person and pairs of two."""
        return bool(self.same.any() and not self.same.all())

    def threshold(self) -> float:
        """Return the similarity from which on "same" is said, where balanced accuracy is greatest."""
        import numpy as np

        ends = np.flatnonzero(np.append(self.score[1:] != self.score[:-1], True))  # last pair of each value
        hits = np.cumsum(self.same)[ends] / self.same.sum()
        alarms = np.cumsum(~self.same)[ends] / (~self.same).sum()
        best = int(ends[np.argmax(hits - alarms)])
        below = self.score[min(best + 1, len(self.score) - 1)]
        return float(self.score[best] + below) / 2

    def accuracy(self, threshold: float) -> float:
        """Return the mean of the rates at which same pairs and different pairs are told right."""
        said = self.score >= threshold
        return float(said[self.same].mean() + (~said[~self.same]).mean()) / 2


def verification(states: Sequence[FaceRows]) -> Estimate:
    """Return the balanced accuracy of telling one person from two, the threshold learnt on other people.

    Every face in a reconstruction is paired with every face in the original of another picture; the score is the cosine
    of their embeddings. Identities are dealt to two folds; a pair belongs to the fold of its reconstruction. The best
    threshold on one fold is applied to the other, and the two accuracies are averaged. Above 1,500 faces, identities
    are taken in the order of their hashes until that number is reached.

    Args:
        states: face rows of disjoint sets of images.

    Returns:
        A number in [0, 1], 0.5 being chance; NaN unless two identities have two pictures each.
    """
    import numpy as np

    skipped = sum(len(state.skipped) for state in states)
    rows = _chosen(states)
    people, person = np.unique(rows.identity, return_inverse=True)
    pictures = np.array(
        [len(np.unique(rows.where[person == number, 0])) for number in range(len(people))], np.int64
    )
    several = pictures >= 2
    if several.sum() < 2:
        found = f"{int(several.sum())} of {len(people)} identities have two pictures"
        return blank(f"{found}, at least 2 must", skipped)
    # Those with pairs of their own are dealt first, so that each fold has such pairs.
    fold_of = np.empty(len(people), np.int64)
    fold_of[np.argsort(~several, kind="stable")] = np.arange(len(people)) % 2
    folds = [_pairs(rows, person, fold_of[person] == fold) for fold in (0, 1)]
    left_out = []
    for group in np.unique(rows.where[:, 0] % GROUPS):
        rest = [fold.without(int(group)) for fold in folds]
        if all(fold.complete for fold in rest):
            left_out.append(_two_fold(rest))
    return jackknife.estimate(
        _two_fold(folds), left_out, smallest=0, largest=1, reason=left_out_reason(skipped)
    )


def _two_fold(folds: Sequence[_Pairs]) -> float:
    return math.fsum(folds[i].accuracy(folds[1 - i].threshold()) for i in (0, 1)) / 2


def _chosen(states: Sequence[FaceRows]) -> FaceRows:
    """Return the faces of known people, whole identities at a time up to the limit."""
    import numpy as np

    everybody = np.concatenate([np.zeros(0, np.uint64), *(state.identity for state in states)])
    people, faces = np.unique(everybody[everybody != 0], return_counts=True)
    taken = people[np.cumsum(faces) <= LARGEST]
    rows = FaceRows.empty()
    for state in states:
        keep = np.isin(state.identity, taken)
        rows += FaceRows(
            state.where[keep],
            state.ratio[keep],
            state.identity[keep],
            state.original[keep],
            state.reconstruction[keep],
            state.skipped,
        )
    return rows


def _pairs(rows: FaceRows, person: npt.NDArray[np.int64], probes: Flags) -> _Pairs:
    """Pair the reconstructions of some faces with all originals of other pictures."""
    import numpy as np

    picture = rows.where[:, 0]
    score = unit(rows.reconstruction[probes]) @ unit(rows.original).T
    first, second = np.nonzero(picture[probes][:, None] != picture[None])
    score = score[first, second]
    same = person[probes][first] == person[second]
    order = np.argsort(-score, kind="stable")
    group = picture % GROUPS
    return _Pairs(score[order], same[order], group[probes][first][order], group[second][order])


def face_verification(evaluator: str, network: str, suffix: str, title: str) -> SetMetric:
    """Declare verification by one network, ``face_verification<suffix>``."""
    return SetMetric(
        name=f"face_verification{suffix}",
        title=title,
        unit="",
        higher_is_better=True,
        collector=collector(evaluator),
        finish=verification,
        definition=(
            f"Balanced accuracy of telling pairs of one person from pairs of two by the cosine of {network} "
            "embeddings, a face in a reconstruction against a face in the original of another picture; two folds "
            "by identity, threshold from the other fold; chance is 0.5."
        ),
    )
