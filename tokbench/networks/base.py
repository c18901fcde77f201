"""The small interface behind which every evaluator network stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
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
        spatial: float32 ``[n, e]``, a second vector that still knows positions (sFID); None when there is none.
        logits: float32 ``[n, classes]``, scores before softmax; None when the network is no classifier.
    """

    pooled: Tensor | None = None
    maps: tuple[Tensor, ...] = ()
    spatial: Tensor | None = None
    logits: Tensor | None = None

    @classmethod
    def joined(cls, parts: Sequence[Features]) -> Features:
        """Put features of several groups of images together, in order; those of a single group are not copied."""
        import torch

        if len(parts) == 1:
            return parts[0]

        def whole(rows: list[Tensor | None]) -> Tensor | None:
            given = [row for row in rows if row is not None]
            return torch.cat(given) if given else None

        return cls(
            pooled=whole([part.pooled for part in parts]),
            maps=tuple(torch.cat(layer) for layer in zip(*(part.maps for part in parts), strict=True)),
            spatial=whole([part.spatial for part in parts]),
            logits=whole([part.logits for part in parts]),
        )

    def select(self, kept: Tensor) -> Features:
        """Return the features of some of the images, by their positions."""

        def pick(rows: Tensor | None) -> Tensor | None:
            return None if rows is None else rows[kept.to(rows.device)]

        maps = tuple(layer[kept.to(layer.device)] for layer in self.maps)
        return Features(pick(self.pooled), maps, pick(self.spatial), pick(self.logits))


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
