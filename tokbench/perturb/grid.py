"""Neighbours in the implicit codebook of FSQ, whose entries are the points of a grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_CELLS: Final = 1 << 23  # counts held at once: 64 MB of int64
_SAMPLE: Final = 1024  # entries that stand for all when distances are averaged


class GridBook:
    """The grid of FSQ (Mentzer et al., 2023, 2309.15505), distance 1 between neighbouring levels in every dimension.

    That is the grid that is rounded to, before FSQ scales each dimension to [-1, 1]. Neighbours are ordered by squared
    distance, ties by id; nothing outside the grid counts. They are not enumerated but counted: how many points of the
    first k dimensions lie at each squared distance says where a rank is to be found.

    Args:
        levels: levels of each dimension; the first changes fastest with the id.
    """

    tie_draws = 0

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = tuple(levels)
        self.size = math.prod(self.levels)
        self._shells = 1 + sum((level - 1) ** 2 for level in self.levels)
        self._within: Tensor | None = None

    def neighbours(self, ids: Tensor, ranks: Tensor, ties: Tensor, delta: int) -> Tensor:
        """Find the neighbours of given ranks.

        Args:
            ids: int64 ``[n]``.
            ranks: int64 ``[n]`` in [0, delta); 0 is the entry itself.
            ties: not used: ties are broken by id.
            delta: how many neighbours may be asked for.

        Returns:
            int64 ``[n]``.
        """
        import torch

        # Entry 0 is a corner, and no entry has fewer others around it: shells that suffice there suffice anywhere.
        corner = self._counts(self._digits(torch.zeros(1, dtype=torch.int64)), self._shells)[-1][0].cumsum(0)
        shells = int((corner < delta).sum()) + 1
        step = max(1, _CELLS // (shells * (len(self.levels) + 1)))
        parts = [
            self._find(some, rank, shells)
            for some, rank in zip(torch.split(ids, step), torch.split(ranks, step), strict=True)
        ]
        return torch.cat(parts)

    def mean_change(self, delta: int) -> float:
        """Return the mean squared distance to the `delta` nearest, the entry included, over the entries' variance.

        Every entry counts alike; of more than 1024 only that many, evenly spaced, are taken as the centre.
        """
        import torch

        if self._within is None:
            centres = torch.arange(0, self.size, max(1, -(-self.size // _SAMPLE)))
            parts = torch.split(centres, max(1, _CELLS // (self._shells * (len(self.levels) + 1))))
            found = [self._counts(self._digits(part), self._shells)[-1].cumsum(dim=1) for part in parts]
            self._within = torch.cat(found)
        within = self._within.clamp(max=delta)
        taken = within.diff(dim=1, prepend=torch.zeros_like(within[:, :1]))
        total = int((taken * torch.arange(self._shells)).sum())
        variance = sum((level**2 - 1) / 12 for level in self.levels)
        return total / len(within) / delta / variance

    def _digits(self, ids: Tensor) -> list[Tensor]:
        """Split ids into grid coordinates, one int64 ``[n]`` per dimension."""
        digits, rest = [], ids
        for level in self.levels:
            digits.append(rest % level)
            rest = rest // level
        return digits

    def _counts(self, digits: Sequence[Tensor], shells: int) -> list[Tensor]:
        """Count grid points by squared distance: one int64 ``[n, shells]`` for each number of leading dimensions."""
        import torch

        start = torch.zeros(len(digits[0]), shells, dtype=torch.int64, device=digits[0].device)
        start[:, 0] = 1
        counts = [start]
        for digit, level in zip(digits, self.levels, strict=True):
            total = torch.zeros_like(start)
            for value in range(level):
                total += _shifted(counts[-1], (value - digit) ** 2)
            counts.append(total)
        return counts

    def _find(self, ids: Tensor, ranks: Tensor, shells: int) -> Tensor:
        import torch

        digits = self._digits(ids)
        counts = self._counts(digits, shells)
        within = counts[-1].cumsum(dim=1).contiguous()
        # The squared distance that the dimensions still have to spend between them.
        left = torch.searchsorted(within, ranks[:, None].contiguous(), right=True)
        nearer = torch.where(left > 0, within.gather(1, (left - 1).clamp(min=0)), 0)
        place = (ranks[:, None] - nearer).clone()
        found = torch.zeros_like(ids)
        weight = self.size
        # The last dimension weighs most in the id, so its values are tried first and in order.
        for axis in reversed(range(len(self.levels))):
            weight //= self.levels[axis]
            chosen = torch.full_like(place, -1)
            spent = torch.zeros_like(place)
            for value in range(self.levels[axis]):
                square = ((value - digits[axis]) ** 2)[:, None]
                fits = (square <= left) & (chosen < 0)
                ways = torch.where(fits, counts[axis].gather(1, (left - square).clamp(min=0)), 0)
                here = fits & (place < ways)
                chosen = torch.where(here, value, chosen)
                spent = torch.where(here, square, spent)
                place = torch.where(fits & ~here, place - ways, place)
            left = left - spent
            found += chosen[:, 0] * weight
        return found


def _shifted(counts: Tensor, by: Tensor) -> Tensor:
    """Move each row of ``[n, shells]`` to the right by its own number of places, filling with zeros."""
    import torch

    source = torch.arange(counts.shape[1], device=counts.device) - by[:, None]
    return torch.where(source >= 0, counts.gather(1, source.clamp(min=0)), 0)
