"""The Inception network of FID, as torch-fidelity carries it over from TensorFlow.

Its graph is written down in `inception_graph`, since importing torch-fidelity brings torchvision and half of torch's
compiler with it, two seconds before the first image. Its own class is what the tests compare with.
"""

from __future__ import annotations

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


class Inception:
    """torch-fidelity's ``inception-v3-compat``: TensorFlow's bilinear resize to 299, then the 2015-12-05 network.

    Args:
        weights: the checkpoint.
        device: where to run.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        from tokbench.networks.inception_graph import build_trunk

        try:
            self._trunk = build_trunk(load_state_dict(weights)).to(device)
        except (KeyError, RuntimeError) as error:
            raise SetupError(
                f"weights {weights} are not those of torch-fidelity's Inception: {error}",
                hint="`tokbench fetch inception`",
            ) from error
        # Images pass in several threads at once, so each keeps what its own pass showed.
        self._seen = threading.local()
        self._trunk.get_submodule("Mixed_6d.branch1x1").register_forward_hook(self._keep)

    def __call__(self, images: Tensor) -> Features:
        """Return pooled features ``[n, 2048]`` and sFID's ``[n, 2023]``; images of any size are resized inside."""
        return each_image(images, self._look)

    def _look(self, images: Tensor) -> Features:
        pooled = self._trunk(resize_like_tensorflow(images, _SIDE).sub_(128).div_(128)).flatten(1)
        return Features(pooled=pooled, spatial=self._seen.maps[:, :SPATIAL_CHANNELS].flatten(1))

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
    packages=(),
    extra="",
    load=_load,
)
