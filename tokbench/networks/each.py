"""What every network does the same way: one image at a time on the CPU, and unit-length channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.networks.base import Features

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def each_image(images: Tensor, look: Callable[[Tensor], Features]) -> Features:
    """Run a network so that what it says about an image depends on that image alone.

    On the CPU the images pass one by one: convolution libraries choose their blocking by batch size,
    which changes the last bits, and on one thread a batch of one is as fast as any other. Accelerators get
    the whole batch, and there the last bits may depend on its size.

    Args:
        images: uint8 ``[n, 3, h, w]``.
        look: the network on any number of images.

    Returns:
        Features of the n images.
    """
    import torch

    with torch.inference_mode():
        if images.device.type != "cpu" or len(images) == 1:
            return look(images)
        seen = [look(image) for image in torch.split(images, 1)]
        pooled = [one.pooled for one in seen if one.pooled is not None]
        return Features(
            pooled=torch.cat(pooled) if pooled else None,
            maps=tuple(torch.cat(layer) for layer in zip(*(one.maps for one in seen), strict=True)),
        )


def unit_channels(maps: Tensor) -> Tensor:
    """Scale the channel vector at each position of ``[n, c, h, w]`` to length one, as LPIPS does."""
    import torch

    length: Tensor = torch.linalg.vector_norm(maps, dim=1, keepdim=True)
    return maps / (length + 1e-10)
