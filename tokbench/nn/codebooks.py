"""Codebooks of published tokenizers: how an id is found for a vector, and the vector that an id stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

_SCORES = 1 << 26
"""Scores computed at once: 256 MB of float32, whatever the size of codebook and batch."""

Rule = Literal["distance", "cosine", "dot"]
"""The best entry has the least squared distance, the largest cosine, or the largest scalar product."""


class Codebook(nn.Module):
    """Entries ``[vocab, dim]`` under the published name ``embedding.weight``; positions may have any dimensions.

    Args:
        vocab: number of entries.
        dim: length of an entry.
        rule: which entry is best. ``distance`` is VQGAN's, ``cosine`` that of LlamaGen and TiTok, whose decoders also
            get the entries at length 1, and ``dot`` that of IBQ (arXiv 2412.02692).
    """

    def __init__(self, vocab: int, dim: int, rule: Rule = "distance") -> None:
        super().__init__()
        self.rule = rule
        self.embedding = nn.Embedding(vocab, dim)

    def entries(self) -> Tensor:
        """Return what the decoder is given for each id, ``[vocab, dim]``."""
        weight = self.embedding.weight
        return F.normalize(weight, dim=-1) if self.rule == "cosine" else weight

    def compared(self, features: Tensor) -> Tensor:
        """Return ``[n, dim, *positions]`` as the entries are compared with it: at length 1 for cosines."""
        return F.normalize(features, dim=1) if self.rule == "cosine" else features

    def search(self, features: Tensor) -> Tensor:
        """Find the ids int64 ``[n, *positions]`` of ``[n, dim, *positions]``, in float32; the first of equals."""
        entries = self.entries().float()
        # argmin |x - e|² = argmax x·e - |e|²/2
        offset = (
            -entries.square().sum(dim=1) / 2 if self.rule == "distance" else entries.new_zeros(len(entries))
        )
        return best_of(
            lambda rows: torch.addmm(offset, rows.float(), entries.T), self.compared(features), len(entries)
        )

    def look_up(self, ids: Tensor) -> Tensor:
        """Return the vectors ``[n, dim, *positions]`` of ids ``[n, *positions]``."""
        return F.embedding(ids, self.entries()).movedim(-1, 1)


def best_of(scores: Callable[[Tensor], Tensor], features: Tensor, vocab: int) -> Tensor:
    """Take the id of the highest score for each vector, a bounded number of scores at a time.

    Args:
        scores: maps ``[rows, dim]`` to ``[rows, vocab]``.
        features: ``[n, dim, *positions]``.
        vocab: number of scores of a vector.

    Returns:
        int64 ``[n, *positions]``.
    """
    vectors = features.movedim(1, -1)
    parts = vectors.reshape(-1, vectors.shape[-1]).split(max(1, _SCORES // vocab))
    return torch.cat([scores(part).argmax(dim=1) for part in parts]).reshape(vectors.shape[:-1])
