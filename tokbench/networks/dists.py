"""DISTS (Ding et al., arXiv 2004.07728): structure and texture in the maps of VGG-16 with blurred pooling.

The trunk is the checkpoint that torchvision publishes; the learned channel weights are the file inside torchmetrics.
Neither package is imported, so neither can download anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.errors import SetupError
from tokbench.networks.base import Evaluator, Features
from tokbench.networks.each import each_image
from tokbench.networks.lpips import LPIPS_VGG
from tokbench.weights import WeightFile, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import Tensor

TRUNK = next(file for file in LPIPS_VGG.weights if file.name == "vgg16")
HEAD = WeightFile(
    name="dists-head",
    source="package:torchmetrics/functional/image/dists_models/weights.pt",
    sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
    size=12_288,
    license="MIT",
)

_STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""Numbers of the convolutions of each stage in torchvision's ``features``."""

_CHANNELS = (3, 64, 128, 256, 512, 512)
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_SMALL = 1e-6
_ROWS = 16


class Dists:
    """The image itself and the last map of each stage.

    Args:
        weights: paths by weights name.
        device: where to run.
    """

    def __init__(self, weights: Mapping[str, Path], device: torch.device) -> None:
        import torch

        from tokbench.networks.convolution import Convolution

        trunk, head = load_state_dict(weights[TRUNK.name]), load_state_dict(weights[HEAD.name])
        try:
            self._stages = [
                [
                    Convolution(
                        trunk[f"features.{i}.weight"],
                        trunk[f"features.{i}.bias"],
                        padding=(1, 1),
                        activation="relu",
                    ).to(device)
                    for i in stage
                ]
                for stage in _STAGES
            ]
            parts = [head[name].double().flatten() for name in ("alpha", "beta")]
        except KeyError as error:
            raise SetupError(
                f"the weights of DISTS have no {error}", hint="`tokbench fetch vgg16`"
            ) from error
        if len(parts[0]) != sum(_CHANNELS):
            raise SetupError(
                f"weights {weights[HEAD.name]} are not those of DISTS", hint="reinstall torchmetrics"
            )
        total = parts[0].sum() + parts[1].sum()
        self._means, self._structures = (
            torch.split((part / total).to(device), list(_CHANNELS)) for part in parts
        )
        row = torch.tensor([0.25, 0.5, 0.25])
        blur = torch.outer(row, row)
        self._pools = [
            Convolution(
                blur.expand(channels, 1, 3, 3),
                torch.full((channels,), 1e-12),
                stride=(2, 2),
                padding=(1, 1),
                groups=channels,
            ).to(device)
            for channels in _CHANNELS[1:-1]
        ]
        self._mean = torch.tensor(_MEAN, device=device)[:, None, None]
        self._deviation = torch.tensor(_DEVIATION, device=device)[:, None, None]

    def __call__(self, images: Tensor) -> Features:
        """Return six maps as they are, not prepared for a squared distance; `distance` compares them."""
        return each_image(images, self._look)

    def distance(self, a: Features, b: Features) -> Tensor:
        """Return the DISTS of n pairs of images, float64 ``[n]``; 0 for equal images.

        Args:
            a: features of n images.
            b: features of n other images of the same size.
        """
        import torch

        similarity = torch.zeros(len(a.maps[0]), dtype=torch.float64, device=a.maps[0].device)
        for left, right, mean, structure in zip(a.maps, b.maps, self._means, self._structures, strict=True):
            mean_x, mean_y, covariance, variances = _moments(left, right)
            texture = (2 * mean_x * mean_y + _SMALL) / (mean_x.square() + mean_y.square() + _SMALL)
            similarity += (texture * mean).sum(1)
            similarity += ((2 * covariance + _SMALL) / (variances + _SMALL) * structure).sum(1)
        return 1 - similarity

    def _look(self, images: Tensor) -> Features:
        import torch

        pixels = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        x = (pixels - self._mean) / self._deviation
        maps = [pixels]
        for number, stage in enumerate(self._stages):
            if number:
                x = self._pools[number - 1](x.square()).sqrt_()
            for convolution in stage:
                x = convolution(x)
            maps.append(x)
        return Features(maps=tuple(maps))


def _moments(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the means, the covariance and the sum of the variances of each channel of two maps, float64 ``[n, c]``.

    Deviations from the mean are taken and multiplied in float32 and added along rows, rows in float64.
    """
    import torch

    x, y = x.movedim(1, -1), y.movedim(1, -1)
    height, width = x.shape[1:3]
    mean_x, mean_y = (each.sum(2).sum(1, dtype=torch.float64) / (height * width) for each in (x, y))
    covariance, variances = torch.zeros_like(mean_x), torch.zeros_like(mean_x)
    centre_x, centre_y = (mean[:, None, None].to(x.dtype) for mean in (mean_x, mean_y))
    # A processor takes a few rows of an image at a time, which stay in its cache.
    images, rows = (1, _ROWS) if x.device.type == "cpu" else (len(x), height)
    for first in range(0, len(x), images):
        here = slice(first, first + images)
        for top in range(0, height, rows):
            p = x[here, top : top + rows] - centre_x[here]
            q = y[here, top : top + rows] - centre_y[here]
            covariance[here] += (p * q).sum(2).sum(1, dtype=torch.float64)
            variances[here] += p.square_().add_(q.square_()).sum(2).sum(1, dtype=torch.float64)
    return mean_x, mean_y, covariance / (height * width), variances / (height * width)


def _load(weights: Mapping[str, Path], device: torch.device) -> Dists:
    return Dists(weights, device)


DISTS = Evaluator(
    name="dists",
    title="DISTS: VGG-16 with blurred pooling and learned channel weights",
    license=f"{TRUNK.license} AND {HEAD.license}",
    source="https://github.com/dingkeyan93/DISTS",
    width=0,
    weights=(TRUNK, HEAD),
    packages=("torchmetrics",),
    extra="fid",
    load=_load,
)
