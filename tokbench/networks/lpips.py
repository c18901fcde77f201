"""The two networks of LPIPS 0.1 (Zhang et al., arXiv 1801.03924).

The trunks are plain stacks of convolutions, built here from the checkpoints that torchvision publishes; the heads are
the files inside the `lpips` package. Neither package is imported, so neither can download or unpickle anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tokbench.errors import SetupError
from tokbench.networks.base import Evaluator, Features, Network
from tokbench.networks.each import each_image, unit_channels
from tokbench.networks.squash import squash
from tokbench.weights import WeightFile, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import Tensor, nn

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


@dataclass(frozen=True)
class Trunk:
    """A network that LPIPS looks through.

    Attributes:
        slices: for each tapped layer the steps since the last one: ``(in, out, kernel, stride, padding)`` is a
            convolution with ReLU, ``(kernel, stride)`` a max pooling.
        trunk: the checkpoint of the trunk.
        head: the file of the head weights.
    """

    slices: tuple[tuple[tuple[int, ...], ...], ...]
    trunk: WeightFile
    head: WeightFile


_ALEX = Trunk(
    slices=(
        ((3, 64, 11, 4, 2),),
        ((3, 2), (64, 192, 5, 1, 2)),
        ((3, 2), (192, 384, 3, 1, 1)),
        ((384, 256, 3, 1, 1),),
        ((256, 256, 3, 1, 1),),
    ),
    trunk=WeightFile(
        name="alexnet",
        source="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        size=244_408_911,
        license="BSD-3-Clause",
    ),
    head=WeightFile(
        name="lpips-alex-head",
        source="package:lpips/weights/v0.1/alex.pth",
        sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        size=6_009,
        license="BSD-2-Clause",
    ),
)

_VGG = Trunk(
    slices=(
        ((3, 64, 3, 1, 1), (64, 64, 3, 1, 1)),
        ((2, 2), (64, 128, 3, 1, 1), (128, 128, 3, 1, 1)),
        ((2, 2), (128, 256, 3, 1, 1), (256, 256, 3, 1, 1), (256, 256, 3, 1, 1)),
        ((2, 2), (256, 512, 3, 1, 1), (512, 512, 3, 1, 1), (512, 512, 3, 1, 1)),
        ((2, 2), (512, 512, 3, 1, 1), (512, 512, 3, 1, 1), (512, 512, 3, 1, 1)),
    ),
    trunk=WeightFile(
        name="vgg16",
        source="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        size=553_433_881,
        license="BSD-3-Clause",
    ),
    head=WeightFile(
        name="lpips-vgg-head",
        source="package:lpips/weights/v0.1/vgg.pth",
        sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        size=7_289,
        license="BSD-2-Clause",
    ),
)


class Lpips:
    """A trunk with its heads.

    Args:
        trunk: which one.
        weights: paths by weights name.
        device: where to run.
        darkest: what level 0 is scaled to; the network was trained with -1.
        side: squash images to a square of this side first; None takes them as they are.
    """

    def __init__(
        self,
        trunk: Trunk,
        weights: Mapping[str, Path],
        device: torch.device,
        darkest: float = -1.0,
        side: int | None = None,
    ) -> None:
        import torch

        self._darkest = darkest
        self._side = side
        self._shift = torch.tensor(_SHIFT, device=device)[:, None, None]
        self._scale = torch.tensor(_SCALE, device=device)[:, None, None]
        self._slices = _build(trunk.slices, weights[trunk.trunk.name]).to(device)
        self._roots = [root.to(device) for root in _roots(len(trunk.slices), weights[trunk.head.name])]

    def __call__(self, images: Tensor) -> Features:
        """Return five maps; there are no pooled features."""
        return each_image(images, self._look)

    def _look(self, images: Tensor) -> Features:
        import torch

        if self._side is not None:
            images = squash(images, self._side, "bilinear")
        x = images.to(torch.float32) / (255 / (1 - self._darkest)) + self._darkest
        x = ((x - self._shift) / self._scale).contiguous(memory_format=torch.channels_last)
        maps = []
        for part, root in zip(self._slices, self._roots, strict=True):
            x = part(x)
            maps.append(unit_channels(x).mul_(root))
        return Features(maps=tuple(maps))


def _build(slices: tuple[tuple[tuple[int, ...], ...], ...], weights: Path) -> nn.ModuleList:
    from torch import nn

    from tokbench.networks.convolution import Convolution

    stored = load_state_dict(weights)
    position = 0  # torchvision numbers every convolution, ReLU and pooling of `features`
    built = nn.ModuleList()
    try:
        for steps in slices:
            part = nn.Sequential()
            for step in steps:
                if len(step) == 2:
                    part.append(nn.MaxPool2d(*step))
                    position += 1
                    continue
                channels, outputs, kernel, stride, padding = step
                convolution = nn.Conv2d(channels, outputs, kernel, stride, padding)
                name = f"features.{position}"
                convolution.load_state_dict(
                    {"weight": stored[f"{name}.weight"], "bias": stored[f"{name}.bias"]}
                )
                part.append(Convolution.of(convolution, activation="relu"))
                position += 2
            built.append(part)
    except (KeyError, RuntimeError) as error:
        raise SetupError(
            f"weights {weights} are not those of torchvision's trunk: {error}", hint="fetch the file again"
        ) from error
    return built.eval()


def _roots(layers: int, weights: Path) -> list[Tensor]:
    """Return the square roots of the head weights, ``[c, 1, 1]`` per layer: a weighted square is a square."""
    stored = load_state_dict(weights)
    try:
        heads = [stored[f"lin{layer}.model.1.weight"].reshape(-1, 1, 1) for layer in range(layers)]
    except KeyError as error:
        raise SetupError(
            f"weights {weights} are not LPIPS heads: no {error}", hint="reinstall lpips"
        ) from error
    if any((head < 0).any() for head in heads):
        raise SetupError(f"weights {weights} are not LPIPS heads: negative weights", hint="reinstall lpips")
    return [head.sqrt() for head in heads]


def _load(
    weights: Mapping[str, Path],
    device: torch.device,
    trunk: Trunk,
    darkest: float = -1.0,
    side: int | None = None,
) -> Network:
    return Lpips(trunk, weights, device, darkest, side)


def _evaluator(
    name: str, title: str, trunk: Trunk, *, darkest: float = -1.0, side: int | None = None
) -> Evaluator:
    return Evaluator(
        name=name,
        title=title,
        license=f"{trunk.trunk.license} AND {trunk.head.license}",
        source="https://github.com/richzhang/PerceptualSimilarity",
        width=0,
        weights=(trunk.trunk, trunk.head),
        packages=("lpips",),
        extra="fid",
        load=partial(_load, trunk=trunk, darkest=darkest, side=side),
    )


LPIPS_ALEX = _evaluator("lpips-alex", "LPIPS 0.1 with AlexNet", _ALEX)
LPIPS_VGG = _evaluator("lpips-vgg", "LPIPS 0.1 with VGG-16", _VGG)
LPIPS_ALEX_VTBENCH = _evaluator(
    "lpips-alex-vtbench",
    "AlexNet LPIPS as VTBench runs it: 256×256, fed [0, 1]",
    _ALEX,
    darkest=0.0,
    side=256,
)
