"""Binary quantisers: a vector becomes its signs, and an id the number that those bits spell.

Lookup-free quantisation (Yu et al., arXiv 2310.05737), plain or in groups of channels (WeTok, arXiv 2508.05599), and
binary spherical quantisation (Zhao et al., arXiv 2406.07548).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from torch import Tensor, nn

First = Literal["lowest", "highest"]
"""Which bit of an id the first channel is; publishers differ."""


class BinaryQuantizer(nn.Module):
    """Signs of channels as ids; nothing is stored.

    Args:
        bits: channels of one id, at most 63.
        groups: ids of one position, each for a run of `bits` channels; when several, ids have an axis for them.
        first: whether the first channel of a run is the lowest or the highest bit.
        normalise: scale vectors to length 1 first. It changes no id, only what `prepare` returns.
        scale: magnitude of what ids stand for.
    """

    def __init__(
        self,
        bits: int,
        *,
        groups: int = 1,
        first: First = "lowest",
        normalise: bool = False,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.bits = bits
        self.groups = groups
        self.first = first
        self.normalise = normalise
        self.scale = scale

    def prepare(self, vectors: Tensor) -> Tensor:
        """Return ``[n, groups * bits, *positions]`` as they are quantised, float32."""
        return F.normalize(vectors.float(), dim=1) if self.normalise else vectors.float()

    def ids(self, vectors: Tensor) -> Tensor:
        """Quantise ``[n, groups * bits, *positions]``: int64 ``[n, *positions]``, or ``[n, groups, *positions]``."""
        runs = (vectors > 0).reshape(len(vectors), self.groups, self.bits, *vectors.shape[2:]).movedim(2, -1)
        ids = (runs.long() << self._shifts(vectors.device)).sum(dim=-1)
        return ids if self.groups > 1 else ids[:, 0]

    def lookup(self, ids: Tensor) -> Tensor:
        """Return what ids stand for, float32 ``[n, groups * bits, *positions]``: the inverse of `ids`."""
        runs = ids if self.groups > 1 else ids[:, None]
        bits = (runs.long()[..., None] >> self._shifts(ids.device)) & 1
        return signs(bits, self.scale).movedim(-1, 2).flatten(1, 2)

    def _shifts(self, device: torch.device) -> Tensor:
        shifts = torch.arange(self.bits, device=device)
        return shifts if self.first == "lowest" else shifts.flip(0)


def signs(bits: Tensor, scale: float = 1.0) -> Tensor:
    """Return `scale` where a bit is set and ``-scale`` elsewhere, float32."""
    return (bits.float() * 2 - 1) * scale
