"""The three networks of MTCNN (Zhang et al., arXiv 1604.02878): small stacks of convolutions with two or three heads.

The first looks at whole pictures, so its heads are convolutions of 1 × 1; the others look at squares of 24 and 48
pixels. Tensors are named as in the weights of the package facenet-pytorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.errors import SetupError
from tokbench.weights import load_state_dict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Shape:
    """What a network looks like.

    Attributes:
        side: of the squares it judges, in pixels.
        convolutions: of each its filters, the side of its kernel and the side of the max pooling after it, 0 for none;
            pools have stride 2 and keep what hangs over the border.
        dense: units of the fully connected layer under the heads; 0 when the heads stand on the convolutions.
        heads: outputs of the heads: no face and face; four shifts of the box; ten coordinates of points.
    """

    side: int
    convolutions: tuple[tuple[int, int, int], ...]
    dense: int
    heads: tuple[int, ...]

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of each tensor."""
        width, side = 3, self.side
        for number, (filters, kernel, pool) in enumerate(self.convolutions, 1):
            yield f"conv{number}.weight", (filters, width, kernel, kernel)
            yield f"conv{number}.bias", (filters,)
            yield f"prelu{number}.weight", (filters,)
            side -= kernel - 1
            side = -(-(side - pool) // 2) + 1 if pool else side
            width = filters
        if self.dense:
            name = f"dense{len(self.convolutions) + 1}"
            yield f"{name}.weight", (self.dense, width * side * side)
            yield f"{name}.bias", (self.dense,)
            yield f"prelu{len(self.convolutions) + 1}.weight", (self.dense,)
            width = self.dense
        for name, outputs in zip(self.head_names, self.heads, strict=True):
            yield f"{name}.weight", (outputs, width) if self.dense else (outputs, width, 1, 1)
            yield f"{name}.bias", (outputs,)

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the heads, in order."""
        kind, number = ("dense", len(self.convolutions) + 2) if self.dense else ("conv", 4)
        return tuple(f"{kind}{number}_{head}" for head in range(1, len(self.heads) + 1))


PROPOSAL = Shape(12, ((10, 3, 2), (16, 3, 0), (32, 3, 0)), 0, (2, 4))
REFINEMENT = Shape(24, ((28, 3, 3), (48, 3, 3), (64, 2, 0)), 128, (2, 4))
OUTPUT = Shape(48, ((32, 3, 3), (64, 3, 3), (64, 3, 2), (128, 2, 0)), 256, (2, 4, 10))


class Stage:
    """One of the three networks.

    Args:
        shape: which.
        weights: its file.
        device: where to run.

    Raises:
        SetupError: the file does not hold that network.
    """

    def __init__(self, shape: Shape, weights: Path, device: torch.device) -> None:
        import torch

        found = load_state_dict(weights)
        wanted = dict(shape.tensors())
        shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
        if shapes != wanted:
            name = min(name for name, _ in shapes.items() ^ wanted.items())
            raise SetupError(
                f"weights {weights} are not those of this network: {name} is {shapes.get(name, 'absent')}, "
                f"wanted {wanted.get(name, 'none')}",
                hint="`tokbench fetch mtcnn`",
            )
        self.shape = shape
        self._weights = {name: tensor.to(device, torch.float32) for name, tensor in found.items()}

    def __call__(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Judge squares.

        Args:
            pixels: float32 ``[n, 3, side, side]``, 0..255; for the first network planes of any size from 12 pixels up.

        Returns:
            The probability of a face, ``[n]``, then what the other heads say, ``[n, 4]`` and ``[n, 10]``; of the first
            network ``[n, rows, columns]`` and ``[n, 4, rows, columns]``.
        """
        from torch.nn import functional

        x = (pixels - 127.5) / 128
        for number, (_, _, pool) in enumerate(self.shape.convolutions, 1):
            x = functional.conv2d(x, *self._layer(f"conv{number}"))
            x = functional.prelu(x, self._weights[f"prelu{number}.weight"])
            if pool:
                x = functional.max_pool2d(x, pool, 2, ceil_mode=True)
        if self.shape.dense:
            number = len(self.shape.convolutions) + 1
            # The weights come from a framework that counts columns first.
            x = x.permute(0, 3, 2, 1).flatten(1)
            x = functional.linear(x, *self._layer(f"dense{number}"))
            x = functional.prelu(x, self._weights[f"prelu{number}.weight"])
        apply = functional.linear if self.shape.dense else functional.conv2d
        scores, *others = (apply(x, *self._layer(name)) for name in self.shape.head_names)
        return scores.softmax(1)[:, 1], *others

    def _layer(self, name: str) -> tuple[Tensor, Tensor]:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
