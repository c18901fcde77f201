"""The floating type a network computes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def floating_dtype(network: nn.Module) -> torch.dtype:
    """Return the dtype of the network's first floating parameter: what its inputs have to be cast to.

    Raises:
        ValueError: it has no floating parameter.
    """
    for parameter in network.parameters():
        if parameter.is_floating_point():
            return parameter.dtype
    raise ValueError(f"{type(network).__name__} has no floating parameter")
