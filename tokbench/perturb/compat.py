"""The perturbation of the pFID authors' training code, kept as it is there, for reproducing it index by index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CompatResult:
    """What the authors' function computes.

    Attributes:
        z_q: the perturbed quantised map, ``[n, c, h, w]``; images beyond the share `beta` are as given.
        indices: chosen entry of every position of every image, perturbed or not, int64 ``[n · h · w]``.
        ranks: rank of that entry among the neighbours, int64 ``[n · h · w]``.
    """

    z_q: Tensor
    indices: Tensor
    ranks: Tensor


def add_perturbation_compat(
    z: Tensor,
    z_q: Tensor,
    codebook: Tensor,
    uniform: Tensor,
    drawn_ranks: Tensor,
    *,
    alpha: float,
    beta: float,
    delta: int,
    codebook_norm: bool,
) -> CompatResult:
    """Perturb as `add_perturbation` of the ImageFolder and RobusTok repositories does, given its random draws.

    What sets it apart from the paper, and from `tokbench.perturb.views` by default: neighbours are those of the
    encoder's output `z`; a position is perturbed when its draw is at most `alpha`, so the number of perturbed positions
    is random; only the first ``int(n * beta)`` images of a batch are perturbed; with `codebook_norm` the perturbed map
    consists of unit vectors.

    Args:
        z: encoder output ``[n, c, h, w]``.
        z_q: quantised map ``[n, c, h, w]``.
        codebook: entries ``[size, c]``.
        uniform: ``[n · h · w]`` in [0, 1), in the order image, row, column.
        drawn_ranks: int64 ``[n · h · w]`` in [0, delta).
        alpha: rate of perturbed positions.
        beta: share of the images.
        delta: number of neighbours, the nearest included.
        codebook_norm: scale `z` and the entries to length 1.

    Source: tokenizer/tokenizer_image/latent_perturbation.py of lxa9867/ImageFolder (76ddfb9) and qiuk2/RobusTok.
    """
    import torch

    features = z.permute(0, 2, 3, 1).contiguous()
    entries = codebook
    if codebook_norm:
        features = torch.nn.functional.normalize(features, dim=-1)
        entries = torch.nn.functional.normalize(entries, dim=-1)
    rows = features.reshape(-1, features.shape[-1])
    squares = rows.square().sum(dim=1, keepdim=True) + entries.square().sum(dim=1)
    nearest = (squares - 2 * rows @ entries.T).topk(delta, dim=1, largest=False).indices
    ranks = torch.where(uniform <= alpha, drawn_ranks, 0)
    indices = nearest.gather(1, ranks[:, None])[:, 0]
    found = entries[indices].reshape(features.shape)
    # The detour through the feature is the straight-through estimator's; it costs a rounding.
    perturbed = (features + (found - features)).permute(0, 3, 1, 2)
    first = torch.arange(len(z), device=z.device) < int(len(z) * beta)
    return CompatResult(torch.where(first[:, None, None, None], perturbed, z_q), indices, ranks)
