"""Infinity's bitwise multi-scale quantiser (Han et al., arXiv 2412.04431).

The latents are approximated coarse to fine, as in VAR (arXiv 2404.02905): at each scale what is still missing is
averaged down to that scale, replaced by its signs, a corner of the cube on the unit sphere, and the corner, brought
back to full size, is taken off. What the decoder is given is the sum of all scales.
"""

from __future__ import annotations

from itertools import accumulate

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from torch import Tensor, nn

from tokbench.errors import SetupError
from tokbench.nn.binary import signs

_SCALES = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)
_WHOLE = (16, 32, 64)


class MultiScaleBinary(nn.Module):
    """Bits of every scale in one sequence, coarse to fine, each scale row by row.

    Args:
        bits: channels of the latents.
        side: of the latents, which are square: 16, 32 or 64, the sides of the publishers' schedules.

    Raises:
        SetupError: another side.
    """

    def __init__(self, bits: int, side: int) -> None:
        super().__init__()
        if side not in _WHOLE:
            raise SetupError(
                f"no scales are published for latents of {side} × {side} positions",
                hint=f"square images with latents of a side of {', '.join(map(str, _WHOLE))}",
            )
        self.scale = bits**-0.5
        self.sides = tuple(each for each in _SCALES if each <= side)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Positions of the first scale, of the first two, …, of all."""
        return tuple(accumulate(side**2 for side in self.sides))

    def prepare(self, vectors: Tensor) -> Tensor:
        """Return what is quantised at each position, scaled to length 1: float32 ``[n, bits, positions]``."""
        return F.normalize(self._walk(vectors), dim=1)

    def ids(self, vectors: Tensor) -> Tensor:
        """Quantise ``[n, bits, side, side]``: int64 ``[n, bits, positions]`` of 0 and 1."""
        return (self._walk(vectors) > 0).long()

    def lookup(self, ids: Tensor) -> Tensor:
        """Return the sum of the scales that ids hold, all or the first few: float32 ``[n, bits, side, side]``.

        Args:
            ids: ``[n, bits, positions]``, as many positions as `lengths` names.

        Raises:
            SetupError: another number of positions.
        """
        if ids.shape[-1] not in self.lengths:
            raise SetupError(
                f"{ids.shape[-1]} positions are no whole number of scales",
                hint=f"wanted one of {', '.join(map(str, self.lengths))}",
            )
        sides = self.sides[: 1 + self.lengths.index(ids.shape[-1])]
        parts = torch.split(ids, [side**2 for side in sides], dim=-1)
        corners = [self._corner(part, side) for part, side in zip(parts, sides, strict=True)]
        return torch.stack(corners).sum(dim=0)

    def _walk(self, vectors: Tensor) -> Tensor:
        """Return what is missing at each scale, ``[n, bits, positions]``."""
        missing = vectors.float()
        seen = []
        for side in self.sides:
            # To the full size this changes nothing.
            coarse = F.interpolate(missing, size=(side, side), mode="area").flatten(2)
            seen.append(coarse)
            missing = missing - self._corner(coarse > 0, side)
        return torch.cat(seen, dim=-1)

    def _corner(self, bits: Tensor, side: int) -> Tensor:
        """Turn one scale ``[n, bits, side²]`` into its part of the sum, ``[n, bits, full side, full side]``."""
        corner = signs(bits, self.scale).reshape(*bits.shape[:2], side, side)
        return F.interpolate(corner, size=(self.sides[-1],) * 2, mode="bilinear", align_corners=False)
