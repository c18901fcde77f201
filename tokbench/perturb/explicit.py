"""Neighbours within a codebook that is stored entry by entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

_CELLS: Final = 1 << 23  # distances held at once: 64 MB of float64
_KEPT: Final = 1 << 28  # neighbours kept: 1 GB of int32; beyond it rows are found anew for each batch
_SAMPLE: Final = 1024  # entries that stand for all of a codebook when distances are averaged


class ExplicitBook:
    """A codebook of vectors; neighbours are ordered by squared distance, then by index.

    The entry itself always has rank 0, before any duplicate of it. Distances are computed in float64 as sums of squared
    differences, pair by pair, so that no neighbour depends on what else was asked for in the same call.

    Args:
        entries: float ``[size, dim]``.
        normalise: scale every entry to length 1 first, as tokenizers with a cosine search do.
    """

    tie_draws = 0

    def __init__(self, entries: Tensor, *, normalise: bool = False) -> None:
        import torch

        self.entries = entries.detach().to(torch.float64)
        if normalise:
            self.entries = torch.nn.functional.normalize(self.entries, dim=-1)
        self.size = len(self.entries)
        self._rows = torch.empty(0, 0, dtype=torch.int32)
        self._known = torch.zeros(self.size, dtype=torch.bool)
        self._spread: Tensor | None = None

    def neighbours(self, ids: Tensor, ranks: Tensor, ties: Tensor, delta: int) -> Tensor:
        """Look up the neighbours of given ranks; rows are found once for each entry that occurs and then kept.

        Args:
            ids: int64 ``[n]``.
            ranks: int64 ``[n]`` in [0, delta); 0 is the entry itself.
            ties: not used: ties are broken by index.
            delta: how many neighbours may be asked for.

        Returns:
            int64 ``[n]``.
        """
        import torch

        used, place = torch.unique(ids, return_inverse=True)
        if self.size * delta > _KEPT:
            return nearest_entries(self.entries[used], self.entries, delta, used)[place, ranks]
        if self._rows.shape[1] < delta:
            self._rows = torch.zeros(self.size, delta, dtype=torch.int32, device=self.entries.device)
            self._known = torch.zeros(self.size, dtype=torch.bool, device=self.entries.device)
        new = used[~self._known[used]]
        if len(new):
            found = nearest_entries(self.entries[new], self.entries, self._rows.shape[1], new)
            self._rows[new] = found.to(torch.int32)
            self._known[new] = True
        return self._rows[ids, ranks].to(torch.int64)

    def mean_change(self, delta: int) -> float:
        """Return the mean squared distance to the `delta` nearest, the entry included, over the entries' variance.

        Every entry counts alike; of more than 1024 only that many, evenly spaced, are taken as the centre.
        """
        import torch

        if self._spread is None:
            step = max(1, -(-self.size // _SAMPLE))
            centres = self.entries[::step]
            total = torch.zeros(self.size, dtype=torch.float64, device=self.entries.device)
            for part in torch.split(centres, max(1, _CELLS // self.size)):
                total += _squared(part, self.entries).sort(dim=1).values.sum(dim=0)
            variance = (self.entries - self.entries.mean(dim=0)).square().sum(dim=1).mean()
            if variance == 0:
                raise ValueError("the entries of the codebook are all the same")
            self._spread = total.cumsum(dim=0) / len(centres) / variance
        return float(self._spread[delta - 1]) / delta


def nearest_entries(anchors: Tensor, entries: Tensor, count: int, own: Tensor) -> Tensor:
    """Order codebook entries by distance from given vectors.

    Args:
        anchors: float ``[n, dim]``.
        entries: float ``[size, dim]``.
        count: how many neighbours, at most `size`.
        own: int64 ``[n]``, the entry that has rank 0 whatever its distance.

    Returns:
        int64 ``[n, count]``, ascending by squared distance, ties by index.
    """
    import torch

    parts = []
    step = max(1, _CELLS // len(entries))
    for start in range(0, len(anchors), step):
        distances = _squared(anchors[start : start + step].double(), entries.double())
        distances.scatter_(1, own[start : start + step, None], -1.0)
        parts.append(_smallest(distances, count))
    return torch.cat(parts) if parts else torch.empty(0, count, dtype=torch.int64, device=anchors.device)


def _squared(a: Tensor, b: Tensor) -> Tensor:
    import torch

    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square_()


def _smallest(distances: Tensor, count: int) -> Tensor:
    """Return the columns of the `count` smallest values of each row in order, the lower column first among equals.

    `topk` promises nothing about equals, so it only gives the threshold.
    """
    import torch

    threshold = distances.topk(count, dim=1, largest=False).values[:, -1:]
    rows, columns = torch.nonzero(distances <= threshold, as_tuple=True)
    by_value = distances[rows, columns].argsort(stable=True)
    order = by_value[rows[by_value].argsort(stable=True)]
    rows, columns = rows[order], columns[order]
    held = torch.bincount(rows, minlength=len(distances))
    place = torch.arange(len(rows), device=rows.device) - (held.cumsum(0) - held)[rows]
    return columns[place < count].reshape(len(distances), count)
