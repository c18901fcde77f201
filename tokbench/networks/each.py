"""What every network does the same way: one image at a time on the CPU, and unit-length channels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tokbench.networks.base import Features

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def each_image(images: Tensor, look: Callable[[Tensor], Features]) -> Features:
    """Run a network so that what it says about an image depends on that image alone.

    Convolution libraries choose their blocking by batch size and by thread count, which changes the last bits. So
    on the CPU the images pass one by one, each computed by a single thread; several images pass side by side when
    torch may use several threads, which is no slower than sharing the work inside each operator. Accelerators get
    the whole batch, and there the last bits may depend on its size.

    Args:
        images: uint8 ``[n, 3, h, w]``.
        look: the network on any number of images; called from several threads.

    Returns:
        Features of the n images.
    """
    import torch

    if images.device.type != "cpu":
        with torch.inference_mode():
            return look(images)

    def alone(image: Tensor) -> Features:
        with torch.inference_mode():
            return look(image)

    threads = torch.get_num_threads()
    singles = torch.split(images, 1)
    if threads == 1:
        seen = [alone(image) for image in singles]
    else:
        # The thread count is each thread's own; torch only keeps the last one set for threads to come.
        with ThreadPoolExecutor(
            min(threads, len(singles)), initializer=torch.set_num_threads, initargs=(1,)
        ) as lanes:
            seen = list(lanes.map(alone, singles))
        torch.set_num_threads(threads)
    return Features.joined(seen)


def unit_channels(maps: Tensor) -> Tensor:
    """Scale the channel vector at each position of ``[n, c, h, w]`` to length one, as LPIPS does.

    The result is fresh memory, which the caller may go on to change.
    """
    import torch

    length: Tensor = torch.linalg.vector_norm(maps, dim=1, keepdim=True)
    return maps / length.add_(1e-10)
