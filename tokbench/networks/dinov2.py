"""DINOv2 ViT-L/14 (arXiv 2304.07193), the features of FDD (Stein et al., arXiv 2306.04675, their `dgm-eval`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.errors import SetupError
from tokbench.networks.base import Evaluator, Features, Network
from tokbench.networks.each import each_image
from tokbench.networks.squash import squash
from tokbench.weights import WeightFile, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import Tensor

WEIGHTS = WeightFile(
    name="dinov2",
    source="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
    size=1_217_586_395,
    license="Apache-2.0",
)

_SIDE = 224
_PATCH = 14
_OFFSET = 0.1  # DINOv2's own code adds this to the grid before it divides, and the scale it then uses is not the ratio
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class DinoV2:
    """The class token of the last layer, after its norm.

    Images are squashed to 224×224 by Pillow's bicubic, as `dgm-eval` does unless told otherwise. timm builds the
    network; the position grid is interpolated as DINOv2's own code does it, which is not how timm would.

    Args:
        weights: DINOv2's checkpoint.
        device: where to run.
        model: timm's name of the network.
        options: passed to timm.
    """

    def __init__(
        self,
        weights: Path,
        device: torch.device,
        model: str = "vit_large_patch14_dinov2",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        import timm
        import torch

        network = timm.create_model(model, pretrained=False, img_size=_SIDE, num_classes=0, **(options or {}))
        stored = load_state_dict(weights)
        stored.pop("mask_token", None)
        try:
            stored["pos_embed"] = positions(stored["pos_embed"], _SIDE // _PATCH)
            network.load_state_dict(stored)
        except (KeyError, RuntimeError) as error:
            raise SetupError(
                f"weights {weights} are not those of DINOv2: {str(error).splitlines()[0]}",
                hint="fetch the file again",
            ) from error
        self._model = network.eval().requires_grad_(False).to(device)
        self._mean = torch.tensor(_MEAN, device=device)[:, None, None]
        self._deviation = torch.tensor(_DEVIATION, device=device)[:, None, None]

    def __call__(self, images: Tensor) -> Features:
        """Return class tokens, ``[n, 1024]``."""
        return each_image(images, self._look)

    def _look(self, images: Tensor) -> Features:
        x = squash(images, _SIDE, "bicubic").float() / 255
        return Features(pooled=self._model((x - self._mean) / self._deviation))


def positions(stored: Tensor, side: int) -> Tensor:
    """Interpolate position embeddings to another grid as DINOv2's ``interpolate_pos_encoding`` does.

    Args:
        stored: ``[1, 1 + grid², d]``, the class token's first.
        side: of the new grid.

    Returns:
        ``[1, 1 + side², d]``: bicubic without antialiasing, sampled at the scale ``(side + 0.1) / grid``.
    """
    import torch
    from torch.nn import functional

    grid = round((stored.shape[1] - 1) ** 0.5)
    if grid == side:
        return stored
    patches = stored[:, 1:].float().reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    scale = (side + _OFFSET) / grid
    patches = functional.interpolate(patches, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat((stored[:, :1].float(), patches.permute(0, 2, 3, 1).flatten(1, 2)), 1)


def _load(weights: Mapping[str, Path], device: torch.device) -> Network:
    return DinoV2(weights[WEIGHTS.name], device)


DINOV2 = Evaluator(
    name="dinov2",
    title="DINOv2 ViT-L/14 at 224 pixels (FDD), class token 1024-d",
    license="Apache-2.0",
    source="https://github.com/facebookresearch/dinov2",
    width=1024,
    weights=(WEIGHTS,),
    packages=("timm",),
    extra="clip",
    load=_load,
)
