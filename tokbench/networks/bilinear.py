"""TensorFlow 1's bilinear resize, which FID's features begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def resize_like_tensorflow(images: Tensor, side: int) -> Tensor:
    """Resize to a square as ``tf.image.resize_bilinear`` of TensorFlow 1 does: corners at corners, no antialiasing.

    The arithmetic is that of torch-fidelity's ``interpolate_bilinear_2d_like_tensorflow1x``, operation by operation and
    so to the last bit; but columns are mixed once for all rows, not again for every pair of rows.

    Args:
        images: uint8 ``[n, 3, h, w]`` on any device.
        side: of the result, in pixels.

    Returns:
        float32 ``[n, 3, side, side]`` in 0..255, channels last in memory.
    """
    import torch

    n, channels, height, width = images.shape
    # What is picked lies along the first axis of an image, so that whole lines are copied.
    columns = images.permute(0, 3, 2, 1).reshape(n, width, height * channels).to(torch.float32)
    wide = _mixed(columns, side).view(n, side, height, channels)
    rows = _mixed(wide.transpose(1, 2).reshape(n, height, side * channels), side)
    return rows.view(n, side, side, channels).permute(0, 3, 1, 2)


def _mixed(lines: Tensor, count: int) -> Tensor:
    """Interpolate ``[n, lines, samples]`` to another number of lines."""
    import torch

    size = lines.shape[1]
    scale = torch.tensor(size / count, dtype=torch.float32, device=lines.device)
    places = torch.arange(count, dtype=torch.float32, device=lines.device) * scale
    low = places.long()
    before = lines.index_select(1, low)
    after = lines.index_select(1, (low + 1).clamp_max(size - 1))
    return after.sub_(before).mul_((places - low.float())[:, None]).add_(before)
