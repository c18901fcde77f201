"""Distances between the feature maps of two images: the embedded feature distance, and LPIPS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.metrics.base import ImageMetric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tokbench.metrics.base import Batch
    from tokbench.networks.base import Features


def distance(a: Features, b: Features) -> npt.NDArray[np.float64]:
    """Return the perceptual distance of n pairs of images.

    Args:
        a: features of n images; only the maps are used.
        b: features of n other images, from the same network and of the same sizes.

    Returns:
        float64 ``[n]``: the sum over layers of the spatial mean of the channel-summed squared difference; infinite
        where a network gave NaN.
    """
    import torch

    total = torch.zeros(len(a.maps[0]), dtype=torch.float64, device=a.maps[0].device)
    for left, right in zip(a.maps, b.maps, strict=True):
        places = left.shape[-2] * left.shape[-1]
        # An image at a time on a processor: differences of a whole batch would come from fresh pages of memory. Row by
        # row, as what a longer sum gives in its last bits may depend on the threads that share it.
        images = 1 if left.device.type == "cpu" else len(left)
        pairs = zip(torch.split(left, images), torch.split(right, images), strict=True)
        squares = torch.cat([(one - other).square_().sum(1) for one, other in pairs])
        total += squares.sum(2, dtype=torch.float64).sum(1) / places
    result: npt.NDArray[np.float64] = total.nan_to_num(math.inf, posinf=math.inf).cpu().numpy()
    return result


@dataclass(frozen=True)
class _Distance:
    # A value rather than a partial function: metrics compare equal after they crossed to a worker.
    network: str

    def __call__(self, batch: Batch) -> npt.NDArray[np.float64]:
        return distance(*batch.features(self.network))


def _metric(name: str, title: str, network: str, definition: str) -> ImageMetric:
    return ImageMetric(
        name=name,
        title=title,
        unit="",
        higher_is_better=False,
        measure=_Distance(network),
        definition=definition,
        network=network,
    )


FEAT_LITE0 = _metric(
    "feat_lite0",
    "feat-L0",
    "lite0",
    "Squared distance of unit-length feature vectors of EfficientNet-Lite0, averaged over positions and over "
    "five stages: the construction of LPIPS (arXiv 1801.03924) with unit weights; not LPIPS.",
)
LPIPS_ALEX = _metric(
    "lpips_alex", "LPIPS-a", "lpips-alex", "LPIPS 0.1, AlexNet trunk, fed [-1, 1] (arXiv 1801.03924)."
)
LPIPS_VGG = _metric(
    "lpips_vgg", "LPIPS-v", "lpips-vgg", "LPIPS 0.1, VGG-16 trunk, fed [-1, 1] (arXiv 1801.03924)."
)
