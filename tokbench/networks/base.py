"""The small interface behind which every evaluator network stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch
    from torch import Tensor

    from tokbench.weights import WeightFile


@dataclass(frozen=True)
class Features:
    """What a network says about n images.

    Attributes:
        pooled: float32 ``[n, d]``, the vector that distribution distances use; None when the network has none.
        maps: float32 ``[n, c, h, w]`` per layer, prepared so that the network's perceptual distance of two images is
            the sum over layers of the spatial mean of the channel-summed squared difference.
    """

    pooled: Tensor | None = None
    maps: tuple[Tensor, ...] = ()


class Network(Protocol):
    """A loaded evaluator network on one device, in evaluation mode."""

    def __call__(self, images: Tensor) -> Features:
        """Look at images.

        Args:
            images: uint8 ``[n, 3, h, w]``, RGB, on the network's device; scaling and resizing happen inside.

        Returns:
            Features of each image; they do not depend on the other images of the batch.
        """
        ...


@dataclass(frozen=True)
class Evaluator:
    """A network that metrics may ask for, as the catalog knows it before anything heavy is imported.

    Attributes:
        name: what metrics refer to, e.g. ``lite0``.
        title: one line for `tokbench list`.
        license: SPDX expression of the weights.
        source: repository or paper of the definition.
        width: length of `Features.pooled`; 0 when there is none.
        weights: the files it needs.
        packages: importable module names it needs beside the core.
        extra: the tokbench extra that installs `packages`.
        load: builds what metrics are given from ``{weights name: path}`` on a device: a `Network`, or for those that do
            more than features an object of another interface (`tokbench.networks.recognisers.Recogniser`).
    """

    name: str
    title: str
    license: str
    source: str
    width: int
    weights: tuple[WeightFile, ...]
    packages: tuple[str, ...]
    extra: str
    load: Callable[[Mapping[str, Path], torch.device], Any]
