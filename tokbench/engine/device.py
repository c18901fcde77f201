"""Where tensors live."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import torch

from tokbench.errors import SetupError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor


def resolve_device(name: str) -> torch.device:
    """Turn ``auto`` into the best device here, and check any other name.

    Raises:
        SetupError: no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SetupError(
            f"device `{name}` cannot be used: {reason}", hint="--device cpu works everywhere"
        ) from error
    return device


def full_precision() -> None:
    """Let no float32 product on a GPU be rounded to TF32, as cuDNN does by default: features would be off by 1e-3."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def keep_freed_memory() -> None:
    """Have glibc keep what is freed: networks ask for the same large blocks again at every image.

    By default each is a fresh mapping whose pages the kernel clears first, 5 to 9 % of a network's time. Nothing
    happens elsewhere than on glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for parameter, value in ((_M_MMAP_THRESHOLD, 2**30), (_M_TRIM_THRESHOLD, 2**31 - 1)):
        mallopt(parameter, value)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def on_device(pixels: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """Return images ``[n, h, w, 3]`` as uint8 ``[n, 3, h, w]`` on a device.

    Bytes travel, not floats, and to a GPU from pinned memory, so that the copy runs beside what the GPU is busy with.
    """
    images = torch.from_numpy(pixels)
    if device.type == "cuda":
        images = images.pin_memory()
    return images.to(device, non_blocking=True).permute(0, 3, 1, 2).contiguous()
