"""Quantisation by a stored codebook: the nearest entry's number, and the entry of a number."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from torch import Tensor, nn

_DISTANCES = 1 << 26
"""Distances computed at once: 256 MB of float32, whatever the size of codebook and batch."""


class VectorQuantizer(nn.Module):
    """A codebook under the published name ``embedding.weight``; the nearest entry by Euclidean distance.

    The search is in float32 whatever the type of the network, as in the authors' code.

    Args:
        vocab: entries.
        dim: length of an entry.
        normalise: scale both the vectors and the entries to length one, for the search and for what is decoded.
    """

    def __init__(self, vocab: int, dim: int, *, normalise: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        self.normalise = normalise

    def entries(self) -> Tensor:
        """Return the entries as they are searched and decoded, float32 ``[vocab, dim]``."""
        weight = self.embedding.weight.float()
        return F.normalize(weight, dim=1) if self.normalise else weight

    def prepare(self, vectors: Tensor) -> Tensor:
        """Return ``[n, dim, *positions]`` as they are compared with the entries, float32, of the same shape."""
        return F.normalize(vectors.float(), dim=1) if self.normalise else vectors.float()

    def ids(self, vectors: Tensor) -> Tensor:
        """Find the nearest entries of ``[n, dim, *positions]``: int64 ``[n, *positions]``; the first of equals."""
        entries, ready = self.entries(), self.prepare(vectors).movedim(1, -1)
        flat = ready.reshape(-1, entries.shape[1])
        lengths = entries.square().sum(dim=1)
        # The vectors' own squared length is the same for every entry.
        parts = [
            torch.addmm(lengths, part, entries.T, alpha=-2).argmin(dim=1)
            for part in torch.split(flat, max(1, _DISTANCES // len(entries)))
        ]
        return torch.cat(parts).reshape(ready.shape[:-1])

    def lookup(self, ids: Tensor) -> Tensor:
        """Return the entries of ``[n, *positions]``, float32 ``[n, dim, *positions]``."""
        return F.embedding(ids, self.entries()).movedim(-1, 1)
