"""Texture: which features occur together, wherever they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from tokbench.metrics.base import Batch
    from tokbench.networks.base import Features


def gram(layer: Tensor) -> Tensor:
    """Return the Gram matrix of one feature map: float ``[c, h, w]`` to ``[c, c]``, averaged over positions."""
    rows = layer.flatten(1)
    return rows @ rows.T / rows.shape[1]


def gram_distance(a: Features, b: Features) -> npt.NDArray[np.float64]:
    """Return the texture distance of n pairs of images (after Gatys et al. 2015, arXiv 1505.07376).

    Args:
        a: features of n images; only the maps are used.
        b: features of n other images, from the same network; their sizes may differ.

    Returns:
        float64 ``[n]`` in [0, 1]: the mean over layers of ``|A - B|² / (|A|² + |B|²)`` of the Gram matrices, so
        that no layer outweighs another by its width.
    """
    import torch

    distances = []
    for number in range(len(a.maps[0])):
        layers = []
        for left, right in zip(a.maps, b.maps, strict=True):
            # In float64 only from here on: the sums over positions are long, the matrices are small.
            before, after = gram(left[number]).double(), gram(right[number]).double()
            layers.append((before - after).square().sum() / (before.square().sum() + after.square().sum()))
        distances.append(torch.stack(layers).mean())
    result: npt.NDArray[np.float64] = torch.stack(distances).cpu().numpy()
    return result


def _measure(batch: Batch) -> npt.NDArray[np.float64]:
    return gram_distance(*batch.features("lite0"))


TEXTURE_LITE0 = ImageMetric(
    name="texture_lite0",
    title="tex-L0",
    unit="",
    higher_is_better=False,
    measure=_measure,
    definition=(
        "Squared difference of the Gram matrices of EfficientNet-Lite0's unit-length features relative to their "
        "squared norms, averaged over five stages and images (after arXiv 1505.07376)."
    ),
    network="lite0",
)
