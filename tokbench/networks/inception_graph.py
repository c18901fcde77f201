"""The graph of FID's Inception (TensorFlow, 2015-12-05), under the names that torch-fidelity's checkpoint uses.

It differs from the published Inception v3 in three ways: averages leave the padding out, the last block takes a maximum
where the others average, and there is no auxiliary classifier. Averaging comes after the 1×1 convolution that follows
it in the original: both are linear, and there are fewer channels to average.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import fusion

from tokbench.networks.convolution import Activation, Convolution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_EPSILON = 1e-3
"""Of TensorFlow's batch normalisation."""


def build_trunk(state: Mapping[str, Tensor]) -> nn.Sequential:
    """Build the layers from pixels, float32 ``[n, 3, 299, 299]`` in [-1, 1], to pooled features ``[n, 2048, 1, 1]``.

    Args:
        state: the checkpoint.

    Raises:
        KeyError: a tensor is missing.
    """
    layers = _Layers(state)
    trunk: dict[str, nn.Module] = {
        "Conv2d_1a_3x3": layers.convolution("Conv2d_1a_3x3", stride=2, padded=False),
        "Conv2d_2a_3x3": layers.convolution("Conv2d_2a_3x3", padded=False),
        "Conv2d_2b_3x3": layers.convolution("Conv2d_2b_3x3"),
        "MaxPool_1": nn.MaxPool2d(3, 2),
        "Conv2d_3b_1x1": layers.convolution("Conv2d_3b_1x1"),
        "Conv2d_4a_3x3": layers.convolution("Conv2d_4a_3x3", padded=False),
        "MaxPool_2": nn.MaxPool2d(3, 2),
        **{name: layers.of_35(name) for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d")},
        "Mixed_6a": layers.to_17("Mixed_6a"),
        **{name: layers.of_17(name) for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e")},
        "Mixed_7a": layers.to_8("Mixed_7a"),
        "Mixed_7b": layers.of_8("Mixed_7b", "average"),
        "Mixed_7c": layers.of_8("Mixed_7c", "maximum"),
        "AvgPool": nn.AdaptiveAvgPool2d(1),
    }
    whole = nn.Sequential()
    for name, layer in trunk.items():
        whole.add_module(name, layer)
    return whole


class Branches(nn.Module):
    """Branches that look at the same maps; what they give stands side by side in the channels."""

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, channels of all, h, w]``."""
        return torch.cat([branch(x) for branch in self.children()], 1)


class _Averaged(nn.Module):
    """``relu(average of 3×3(convolution(x)))``, where the average leaves the padding out."""

    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        y = functional.avg_pool2d(self.convolution(x), 3, 1, 1, count_include_pad=False)
        return y.relu_()


class _Layers:
    """Makes layers of a checkpoint's tensors; blocks are called by the side of their maps."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._state = state

    def convolution(
        self, name: str, *, stride: int = 1, padded: bool = True, activation: Activation = "relu"
    ) -> Convolution:
        """Make a convolution with its normalisation; padded, it keeps the sides of its maps at stride 1."""
        weight, norm = self._state[f"{name}.conv.weight"], f"{name}.bn"
        mean, variance, scale, shift = (
            self._state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        folded, bias = fusion.fuse_conv_bn_weights(weight, None, mean, variance, _EPSILON, scale, shift)
        rows, columns = weight.shape[2:]
        padding = (rows // 2, columns // 2) if padded else (0, 0)
        return Convolution(folded, bias, stride=(stride, stride), padding=padding, activation=activation)

    def chain(self, name: str, length: int, *, halved: bool = False) -> nn.Sequential:
        """Make the convolutions ``name_1`` to ``name_length``; `halved`, the last has stride 2 and no padding."""
        names = [f"{name}_{number}" for number in range(1, length + 1)]
        last = self.convolution(names[-1], stride=2, padded=False) if halved else self.convolution(names[-1])
        return nn.Sequential(*(self.convolution(each) for each in names[:-1]), last)

    def averaged(self, block: str) -> _Averaged:
        """Make the branch that averages."""
        return _Averaged(self.convolution(f"{block}.branch_pool", activation="none"))

    def of_35(self, block: str) -> Branches:
        """Make a block on maps of 35×35."""
        return Branches(
            branch1x1=self.convolution(f"{block}.branch1x1"),
            branch5x5=self.chain(f"{block}.branch5x5", 2),
            branch3x3dbl=self.chain(f"{block}.branch3x3dbl", 3),
            branch_pool=self.averaged(block),
        )

    def to_17(self, block: str) -> Branches:
        """Make the block that halves 35×35."""
        return Branches(
            branch3x3=self.convolution(f"{block}.branch3x3", stride=2, padded=False),
            branch3x3dbl=self.chain(f"{block}.branch3x3dbl", 3, halved=True),
            branch_pool=nn.MaxPool2d(3, 2),
        )

    def of_17(self, block: str) -> Branches:
        """Make a block on maps of 17×17."""
        return Branches(
            branch1x1=self.convolution(f"{block}.branch1x1"),
            branch7x7=self.chain(f"{block}.branch7x7", 3),
            branch7x7dbl=self.chain(f"{block}.branch7x7dbl", 5),
            branch_pool=self.averaged(block),
        )

    def to_8(self, block: str) -> Branches:
        """Make the block that halves 17×17."""
        return Branches(
            branch3x3=self.chain(f"{block}.branch3x3", 2, halved=True),
            branch7x7x3=self.chain(f"{block}.branch7x7x3", 4, halved=True),
            branch_pool=nn.MaxPool2d(3, 2),
        )

    def of_8(self, block: str, pool: Literal["average", "maximum"]) -> Branches:
        """Make a block on maps of 8×8."""

        def forked(name: str) -> Branches:
            return Branches(a=self.convolution(f"{name}a"), b=self.convolution(f"{name}b"))

        three, double = f"{block}.branch3x3", f"{block}.branch3x3dbl"
        return Branches(
            branch1x1=self.convolution(f"{block}.branch1x1"),
            branch3x3=nn.Sequential(self.convolution(f"{three}_1"), forked(f"{three}_2")),
            branch3x3dbl=nn.Sequential(self.chain(double, 2), forked(f"{double}_3")),
            branch_pool=self.averaged(block)
            if pool == "average"
            else nn.Sequential(nn.MaxPool2d(3, 1, 1), self.convolution(f"{block}.branch_pool")),
        )
