"""dlib's face network in torch: the layers of a `NetworkFile`, affine ones multiplied into the convolutions below."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor

    from tokbench.networks.convolution import Activation, Convolution
    from tokbench.networks.dlib_file import Layer, NetworkFile

_LETTER = {
    "con": "c",
    "affine": "a",
    "relu": "r",
    "max_pool": "m",
    "avg_pool": "p",
    "add_prev": "+",
    "fc": "f",
}
_SHAPE = re.compile(r"carm(?P<blocks>(?:carcap?\+r)+)pf")
"""A stem, residual blocks (a pool stands where a block halves the plane), the mean over the plane, the output."""


@dataclass(frozen=True, eq=False)
class _Block:
    first: Convolution
    second: Convolution
    pool: tuple[
        int, ...
    ]  # the window of the average that halves the skip connection; empty where nothing halves

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn import functional

        y = self.second(self.first(x))
        if self.pool:
            x = functional.avg_pool2d(x, self.pool[:2], self.pool[2:4], self.pool[4:6])
        return _padded_sum(x, y).relu_()


class DlibFaceNet:
    """The network from pixels to embedding.

    Args:
        file: what the weights file says.
        device: where to run.

    Raises:
        SetupError: the layers are not those of a residual network of this family.
    """

    def __init__(self, file: NetworkFile, device: torch.device) -> None:
        import torch

        letters = "".join(_LETTER[layer.kind] for layer in file.layers)
        if _SHAPE.fullmatch(letters) is None:
            raise SetupError(
                f"the weights hold a network of another shape ({letters[:40]}…) than dlib's face network",
                hint="give dlib_face_recognition_resnet_model_v1.dat",
            )
        layers = iter(file.layers)
        self.side = file.side
        self._mean = torch.tensor(file.mean, device=device).view(1, 3, 1, 1)
        self._stem = _folded(layers, device, "relu")
        next(layers)
        self._pool = next(layers).window
        self._blocks = []
        for halving in re.findall(r"carca(p?)\+r", letters[4:-2]):
            first = _folded(layers, device, "relu")
            next(layers)
            second = _folded(layers, device, "none")
            window = next(layers).window if halving else ()
            self._blocks.append(_Block(first, second, window))
            next(layers)
            next(layers)
        next(layers)
        self._output = _tensor(next(layers).weight, device)
        try:
            self(torch.zeros(1, 3, self.side, self.side, device=device))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise SetupError(
                f"the layers of the weights do not fit together: {reason}", hint="fetch the file again"
            ) from error

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return self._output.shape[1]

    def __call__(self, chips: Tensor) -> Tensor:
        """Embed faces.

        Args:
            chips: ``[n, 3, side, side]``, RGB in 0..255.

        Returns:
            float32 ``[n, width]``, not normalised.
        """
        import torch
        from torch.nn import functional

        x = ((chips.to(torch.float32) - self._mean) / 256).contiguous(memory_format=torch.channels_last)
        x = self._stem(x)
        x = functional.max_pool2d(x, self._pool[:2], self._pool[2:4], self._pool[4:6])
        for block in self._blocks:
            x = block(x)
        return x.mean((2, 3)) @ self._output


def _padded_sum(x: Tensor, y: Tensor) -> Tensor:
    """Add two maps; where one has fewer channels, rows or columns, it counts as zero there, as in dlib."""
    from torch.nn import functional

    if x.shape == y.shape:
        return x + y
    sides = [max(pair) for pair in zip(x.shape[1:], y.shape[1:], strict=True)]

    def grown(z: Tensor) -> Tensor:
        channels, rows, columns = (wanted - got for wanted, got in zip(sides, z.shape[1:], strict=True))
        return functional.pad(z, (0, columns, 0, rows, 0, channels))

    return grown(x) + grown(y)


def _folded(layers: Iterator[Layer], device: torch.device, activation: Activation) -> Convolution:
    """Take a convolution and the affine layer above it as one convolution."""
    from tokbench.networks.convolution import Convolution

    convolution, affine = next(layers), next(layers)
    scale, shift = _tensor(affine.weight, device), _tensor(affine.bias, device)
    weight, bias = _tensor(convolution.weight, device), _tensor(convolution.bias, device)
    if len(scale) != len(bias):
        raise SetupError(
            f"the weights hold an affine layer of {len(scale)} channels above {len(bias)} filters",
            hint="fetch the file again",
        )
    _, _, row_stride, column_stride, row_padding, column_padding = convolution.window
    return Convolution(
        weight * scale.view(-1, 1, 1, 1),
        bias * scale + shift,
        stride=(row_stride, column_stride),
        padding=(row_padding, column_padding),
        activation=activation,
    )


def _tensor(values: object, device: torch.device) -> Tensor:
    import torch

    return torch.tensor(values, device=device)
