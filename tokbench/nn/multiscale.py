"""The multi-scale residual quantiser of VAR (Tian et al., arXiv 2404.02905): one id map a scale, coarse to fine.

Each scale quantises what the scales before it left over: the rest is averaged down to the scale's size, every position
takes its nearest entry, and the entries are enlarged to full size again (bicubic) and refined by a convolution φ,
``(1 - r) x + r conv(x)``. All scales share one codebook; several of them share a φ.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from torch import Tensor, nn

from tokbench.nn.quantize import VectorQuantizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_REFINEMENT = 1e-6


class MultiScaleQuantizer(nn.Module):
    """Ids of all scales.

    Args:
        vocab: entries of the codebook.
        dim: length of an entry.
        scales: rows and columns of each scale; the last is that of the features.
        ratio: r of φ; nothing is refined where it is 0.
        shared: how many φ there are for all scales together; 0 for one each.
        cosine: compare directions instead of distances; entries are decoded as they are stored.
        count: number of φ when each scale has its own; 0 for that of the scales.
    """

    def __init__(
        self,
        vocab: int,
        dim: int,
        scales: Sequence[tuple[int, int]],
        *,
        ratio: float = 0.5,
        shared: int = 4,
        cosine: bool = False,
        count: int = 0,
    ) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self._ratio = abs(ratio)
        self.search = _Directions(vocab, dim) if cosine else VectorQuantizer(vocab, dim)
        refinements = shared or count or len(self.scales)
        wanted = refinements if self._ratio > _NO_REFINEMENT else 0
        self.phi = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1) for _ in range(wanted))
        self._ticks = _ticks(refinements)

    @property
    def embedding(self) -> nn.Embedding:
        """The codebook."""
        return self.search.embedding

    def steps(self, features: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Quantise scale by scale.

        Args:
            features: ``[n, dim, h, w]`` of the last scale's size.

        Yields:
            What a scale was given ``[n, dim, rows, columns]``, its ids ``[n, rows, columns]``, and the sum of the
            scales so far ``[n, dim, h, w]``; float32.
        """
        rest = features.float()
        total = torch.zeros_like(rest)
        for index, scale in enumerate(self.scales):
            last = index == len(self.scales) - 1
            given = rest if last else F.interpolate(rest, scale, mode="area")
            ids = self.search.ids(given)
            part = self._enlarged(index, ids)
            total = total + part
            rest = rest - part
            yield given, ids, total

    def ids(self, features: Tensor) -> Tensor:
        """Quantise ``[n, dim, h, w]``: int64 ``[n, positions of all scales]``, coarse to fine, row by row."""
        return torch.cat([ids.flatten(1) for _, ids, _ in self.steps(features)], dim=1)

    def prepare(self, features: Tensor) -> Tensor:
        """Return what each id was found for, float32 ``[n, dim, positions of all scales]``."""
        return torch.cat([given.flatten(2) for given, _, _ in self.steps(features)], dim=2)

    def lookup(self, ids: Tensor) -> Tensor:
        """Sum up the scales that ``[n, positions]`` hold whole, all or the first few: float32 ``[n, dim, h, w]``."""
        sums = []
        start = 0
        for index, (rows, columns) in enumerate(self.scales):
            if start == ids.shape[1]:
                break
            scale = ids[:, start : start + rows * columns].reshape(-1, rows, columns)
            sums.append(self._enlarged(index, scale))
            start += rows * columns
        return torch.stack(sums).sum(dim=0)

    def lengths(self) -> tuple[int, ...]:
        """Return how many ids the first scale has, the first two, …, and all."""
        return tuple(itertools.accumulate(rows * columns for rows, columns in self.scales))

    def entries(self) -> Tensor:
        """Return the codebook, float32 ``[vocab, dim]``."""
        return self.embedding.weight.float()

    def _enlarged(self, index: int, ids: Tensor) -> Tensor:
        vectors = F.embedding(ids, self.entries()).movedim(-1, 1)
        if index < len(self.scales) - 1:
            vectors = F.interpolate(vectors, self.scales[-1], mode="bicubic")
        if not self.phi:
            return vectors
        place = index / max(1, len(self.scales) - 1)
        phi = self.phi[min(range(len(self._ticks)), key=lambda tick: abs(self._ticks[tick] - place))]
        refined: Tensor = phi(vectors.to(self.embedding.weight.dtype)).float()
        return vectors * (1 - self._ratio) + refined * self._ratio


class _Directions(VectorQuantizer):
    """The entry of the largest cosine."""

    def ids(self, vectors: Tensor) -> Tensor:
        directions = F.normalize(self.entries(), dim=1)
        flat = F.normalize(vectors.float(), dim=1).movedim(1, -1)
        return (flat @ directions.T).argmax(dim=-1)


def _ticks(count: int) -> tuple[float, ...]:
    """Where along the scales, from 0 to 1, each φ belongs; the scale's nearest one refines it.

    Some scales lie in the middle of two: NumPy's rounding decides there, as in the authors' code.
    """
    edge = 1 / (3 if count == 4 else 2) / count
    return tuple(np.linspace(edge, 1 - edge, count).tolist())
