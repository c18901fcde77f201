"""The Inception network of FID, as torch-fidelity carries it over from TensorFlow."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

from tokbench.errors import SetupError
from tokbench.networks.base import Evaluator, Features, Network
from tokbench.networks.bilinear import resize_like_tensorflow
from tokbench.networks.each import each_image
from tokbench.weights import WeightFile, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import Tensor, nn

WEIGHTS = WeightFile(
    name="inception",
    source=(
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
    ),
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    size=95_628_359,
    license="Apache-2.0",
)


SPATIAL_CHANNELS = 7
"""sFID (Nash et al., arXiv 2103.03841) takes the first 7 channels of the 17×17 maps ``mixed_6/conv``: 2023 numbers."""

_SIDE = 299
_TRUNK = (
    *(
        "Conv2d_1a_3x3",
        "Conv2d_2a_3x3",
        "Conv2d_2b_3x3",
        "MaxPool_1",
        "Conv2d_3b_1x1",
        "Conv2d_4a_3x3",
        "MaxPool_2",
    ),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool"),
)
"""torch-fidelity's names of the layers from pixels to pooled features, in order."""


class Inception:
    """torch-fidelity's ``inception-v3-compat``: TensorFlow's bilinear resize to 299, then the 2015-12-05 network.

    Blocks are torch-fidelity's own; its convolutions are replaced by fused ones, its resize by an equal one.

    Args:
        weights: the checkpoint.
        device: where to run.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        import torch
        from torch_fidelity.feature_extractor_inceptionv3 import (  # type: ignore[import-untyped, unused-ignore]
            BasicConv2d,
            FeatureExtractorInceptionV3,
        )

        from tokbench.networks.convolution import Convolution

        # The class unpickles whatever path it is given, and downloads when given none. It gets the tensors that
        # were read safely, in memory.
        checked = io.BytesIO()
        torch.save(load_state_dict(weights), checked)
        checked.seek(0)
        try:
            model = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=checked
            )
        except RuntimeError as error:
            raise SetupError(
                f"weights {weights} are not those of torch-fidelity's Inception",
                hint="`tokbench fetch inception`",
            ) from error
        for name, layer in list(model.named_modules()):
            if isinstance(layer, BasicConv2d):
                model.set_submodule(name, Convolution.of(layer.conv, layer.bn, "relu"))
        # Images pass in several threads at once, so each keeps what its own pass showed.
        self._seen = threading.local()
        model.Mixed_6d.branch1x1.register_forward_hook(self._keep)
        self._layers: list[nn.Module] = [getattr(model, name).to(device) for name in _TRUNK]

    def __call__(self, images: Tensor) -> Features:
        """Return pooled features ``[n, 2048]`` and sFID's ``[n, 2023]``; images of any size are resized inside."""
        return each_image(images, self._look)

    def _look(self, images: Tensor) -> Features:
        x = resize_like_tensorflow(images, _SIDE).sub_(128).div_(128)
        for layer in self._layers:
            x = layer(x)
        return Features(pooled=x.flatten(1), spatial=self._seen.maps[:, :SPATIAL_CHANNELS].flatten(1))

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._seen.maps = output


def _load(weights: Mapping[str, Path], device: torch.device) -> Network:
    return Inception(weights[WEIGHTS.name], device)


INCEPTION = Evaluator(
    name="inception",
    title="Inception v3 of FID (torch-fidelity's inception-v3-compat), pooled 2048-d",
    license="Apache-2.0",
    source="https://github.com/toshas/torch-fidelity",
    width=2048,
    weights=(WEIGHTS,),
    packages=("torch_fidelity",),
    extra="fid",
    load=_load,
)
