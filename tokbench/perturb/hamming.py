"""Neighbours in the implicit codebooks of LFQ and BSQ, whose entries are the corners of a cube."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class HammingBook:
    """All 2^bits sign vectors; two of them are as far apart as the number of bits in which their ids differ.

    Euclidean distance grows with the Hamming distance, whatever the length of the vectors (LFQ: ±1, BSQ: ±1/√bits) and
    the order of the bits. All entries at one distance tie: which of them has a given rank is drawn, each alike.

    Args:
        bits: bits of an id, 1 to 62.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.size = 2**bits
        self.tie_draws = bits
        self._before = [0]  # how many entries lie nearer than Hamming distance h
        for distance in range(bits + 1):
            self._before.append(self._before[-1] + math.comb(bits, distance))

    def neighbours(self, ids: Tensor, ranks: Tensor, ties: Tensor, delta: int) -> Tensor:
        """Flip as many bits as the rank asks for, chosen by the draws.

        Args:
            ids: int64 ``[n]``.
            ranks: int64 ``[n]`` in [0, delta); 0 is the entry itself.
            ties: float64 ``[n, bits]``, uniform; the bits of the smallest draws are flipped.
            delta: not used: no table is kept.

        Returns:
            int64 ``[n]``.
        """
        import torch

        edges = torch.tensor(self._before[1:], device=ids.device)
        distance = torch.searchsorted(edges, ranks.contiguous(), right=True)
        order = ties.to(ids.device).argsort(dim=1, stable=True)
        flipped = torch.arange(self.bits, device=ids.device) < distance[:, None]
        mask = torch.where(flipped, torch.ones_like(order) << order, 0).sum(dim=1)
        return ids ^ mask

    def mean_change(self, delta: int) -> float:
        """Return the mean squared distance to the `delta` nearest, the entry included, over the entries' variance."""
        total = 0
        for distance in range(self.bits + 1):
            taken = min(self._before[distance + 1], delta) - min(self._before[distance], delta)
            total += 4 * distance * taken  # signs ±1: a flipped bit is a squared distance of 4
        return total / delta / self.bits
