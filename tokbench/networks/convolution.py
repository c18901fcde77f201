"""A convolution with what follows it, frozen batch normalisation and activation, as one operator on the CPU."""

from __future__ import annotations

import functools
import platform
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import fusion

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["none", "relu", "relu6"]

_IN_ONEDNN: dict[str, tuple[str, list[float]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
}
_PACKED_SIZES = 4


class Convolution(nn.Module):
    """A 2-d convolution, plus a bias, plus another map, through an activation; for inference only.

    On x86 processors this is oneDNN's fused operator with its weights laid out beforehand, because torch's own
    convolution is slow where evaluators need it: alone on one thread with a small batch, torch sends 1×1 convolutions
    to a fallback of twice the time, lays the weights out anew at each call, and writes normalisation and activation
    to fresh memory. The operator belongs to torch's compiler backend and is no public interface, so everywhere else
    (other devices and processors, other dtypes, oneDNN switched off, a torch without it) the same arithmetic runs
    through ``torch.nn.functional.conv2d``. The two agree to float32 rounding.

    The best layout depends on the size of the input, and a wrong one costs more than none. So weights are packed for
    each of the first four sizes that pass; images of further sizes use the plain weights, with the same result, bit for
    bit. Several threads may call at once.

    Args:
        weight: ``[out, in / groups, rows, columns]``.
        bias: ``[out]`` or None.
        stride: of rows and columns.
        padding: zeros at both ends of rows and of columns.
        groups: as in torch.
        activation: ``none``, ``relu`` or ``relu6``.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        stride: tuple[int, ...] = (1, 1),
        padding: tuple[int, ...] = (0, 0),
        groups: int = 1,
        activation: Activation = "none",
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", None if bias is None else bias.detach())
        self.weight: Tensor
        self.bias: Tensor | None
        self.stride, self.padding, self.groups = list(stride), list(padding), groups
        self.activation = activation
        self._packed: dict[torch.Size, Tensor] = {}

    @classmethod
    def of(
        cls, layer: nn.Conv2d, norm: nn.BatchNorm2d | None = None, activation: Activation = "none"
    ) -> Convolution:
        """Take over a torch layer without dilation, the normalisation after it multiplied into its weights."""
        if layer.dilation != (1, 1) or isinstance(layer.padding, str) or layer.padding_mode != "zeros":
            raise ValueError(f"not a plain convolution: {layer}")
        weight, bias = layer.weight, layer.bias
        if norm is not None:
            if norm.running_mean is None or norm.running_var is None:
                raise ValueError(f"normalisation by batch is not frozen: {norm}")
            weight, bias = fusion.fuse_conv_bn_weights(
                weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
        return cls(
            weight,
            bias,
            stride=layer.stride,
            padding=layer.padding,
            groups=layer.groups,
            activation=activation,
        )

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """Return ``activation(convolution(x) + added)``.

        Args:
            x: ``[n, in, h, w]``, fastest in `torch.channels_last`, which the result then has too.
            added: a map of the result's shape, as a residual connection adds it.
        """
        if not _fuses(x):
            y = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, 1, self.groups)
            return self._activated(y if added is None else y.add_(added))
        fused = torch.ops.mkldnn._convolution_pointwise
        how = (self.bias, self.padding, self.stride, [1, 1], self.groups)
        weight = self._weight_for(x.shape)
        result: Tensor
        if added is None:
            result = fused(x, weight, *how, *_IN_ONEDNN[self.activation], "")
        elif self.activation == "relu":
            result = fused(x, added, weight, *how, "add", None, "relu", [], None)
        else:  # no other activation is fused behind a sum
            result = self._activated(fused(x, added, weight, *how, "add", None, None, [], None))
        return result

    def _activated(self, y: Tensor) -> Tensor:
        if self.activation == "relu":
            return y.relu_()
        return y.clamp_(0, 6) if self.activation == "relu6" else y

    def _weight_for(self, shape: torch.Size) -> Tensor:
        found = self._packed.get(shape)
        if found is not None:
            return found
        if len(self._packed) >= _PACKED_SIZES:
            return self.weight
        pack = torch.ops.mkldnn._reorder_convolution_weight
        packed: Tensor = pack(self.weight, self.padding, self.stride, [1, 1], self.groups, list(shape))
        self._packed[shape] = packed
        return packed


def _fuses(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and bool(torch.backends.mkldnn.enabled)
        and _has_onednn()
    )


@functools.cache
def _has_onednn() -> bool:
    return platform.machine() in {"x86_64", "AMD64"} and all(
        hasattr(torch.ops.mkldnn, name) for name in ("_convolution_pointwise", "_reorder_convolution_weight")
    )
