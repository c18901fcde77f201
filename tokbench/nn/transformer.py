"""The pre-norm transformer block of CLIP (Radford et al., arXiv 2103.00020), under its published names."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """A learned factor for each channel (Touvron et al., arXiv 2103.17239)."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``[..., width]``."""
        return x * self.gamma


class ResidualAttentionBlock(nn.Module):
    """Self-attention, then two linear layers with GELU between, each after a layer norm and around a shortcut.

    Args:
        width: channels.
        heads: attention heads.
        mlp_ratio: inner channels of the second half as a multiple of `width`.
        layer_scale: start of a `LayerScale` after each half; None for none.
    """

    def __init__(
        self, width: int, heads: int, mlp_ratio: float = 4.0, layer_scale: float | None = None
    ) -> None:
        super().__init__()
        inner = int(width * mlp_ratio)
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ls_1 = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(c_fc=nn.Linear(width, inner), gelu=nn.GELU(), c_proj=nn.Linear(inner, width))
        )
        self.ls_2 = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, length, width]`` to the same shape."""
        normed = self.ln_1(x)
        mixed: Tensor = x + self.ls_1(self.attn(normed, normed, normed, need_weights=False)[0])
        whole: Tensor = mixed + self.ls_2(self.mlp(self.ln_2(mixed)))
        return whole
