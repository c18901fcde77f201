"""Images as square patches, and the nearest codebook entry of each, exact on every device.

Ids must not depend on the batch, the thread count or the device, and a float GEMM promises none of that.
Here pixels and codebook entries are integers, small enough that float32 holds every product and every
partial sum exactly: the order of summation cannot change a bit, and the nearest entry is the same
everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

_ROWS: Final = 4096  # rows of one GEMM: 16 MB of scores with 1024 entries, near the cache
_EXACT: Final = 2**23  # below this float32 holds every multiple of one half


def to_patches(images: Tensor, side: int) -> Tensor:
    """Cut ``[n, c, h, w]``, sides multiples of `side`, into ``[n, h / side, w / side, c * side * side]``."""
    n, channels, height, width = images.shape
    grid = images.reshape(n, channels, height // side, side, width // side, side)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(n, height // side, width // side, channels * side * side)


def from_patches(patches: Tensor, side: int) -> Tensor:
    """Undo `to_patches`: ``[n, rows, columns, c * side * side]`` becomes ``[n, c, h, w]``."""
    n, rows, columns, dim = patches.shape
    channels = dim // side**2
    grid = patches.reshape(n, rows, columns, channels, side, side).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(n, channels, rows * side, columns * side)


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Find the entry of least squared distance for each vector; the first of equals.

    Args:
        vectors: ``[*positions, dim]`` of integers in any dtype, at most ``reach(codebook)`` in magnitude.
        codebook: ``[vocab, dim]`` of integers in any dtype.

    Returns:
        int64 ids ``[*positions]``.
    """
    import torch

    entries = codebook.to(torch.float32)
    # argmin |x - c|² = argmax x·c - |c|²/2, which needs one bit less than the distance itself.
    offset = -entries.square().sum(dim=1) / 2
    rows = vectors.reshape(-1, vectors.shape[-1])
    ids = []
    for part in torch.split(rows, _ROWS):
        ids.append(torch.addmm(offset, part.to(torch.float32), entries.T).argmax(dim=1))
    return torch.cat(ids).reshape(vectors.shape[:-1])


def reach(codebook: Tensor) -> float:
    """Return the largest magnitude of vector values for which `nearest` is exact with this codebook."""
    import torch

    entries = codebook.to(torch.float64)
    room = _EXACT - entries.square().sum(dim=-1) / 2
    return float((room / entries.abs().sum(dim=-1).clamp(min=1)).min())
