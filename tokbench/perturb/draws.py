"""Random numbers that belong to an image: batch size, order, workers and device change nothing.

Every stream is named by the run's seed, the image id, the cell of the grid and a purpose; the SHA-256 of the name is
the key of a Philox counter generator (Salmon et al., 2011). Only its raw integers are used, which NumPy promises to
keep, never its distributions, which may change between releases.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt


def uniform(seed: int, image_id: str, cell: str, purpose: str, count: int) -> npt.NDArray[np.float64]:
    """Draw numbers for one image.

    Args:
        seed: the run's seed.
        image_id: the image's id in its set.
        cell: name of the view.
        purpose: what the numbers are for; streams of different purposes are independent.
        count: how many.

    Returns:
        float64 ``[count]`` in [0, 1), multiples of 2⁻⁵³.
    """
    import numpy as np

    name = "\0".join((str(seed), image_id, cell, purpose))
    key = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype="<u8")
    raw = np.random.Philox(key=key.astype(np.uint64)).random_raw(count)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform_rows(
    seed: int, image_ids: Sequence[str], cell: str, purpose: str, count: int
) -> npt.NDArray[np.float64]:
    """Return `uniform` of several images, float64 ``[images, count]``."""
    import numpy as np

    return np.stack([uniform(seed, image_id, cell, purpose, count) for image_id in image_ids])


def normal_rows(
    seed: int, image_ids: Sequence[str], cell: str, purpose: str, count: int
) -> npt.NDArray[np.float64]:
    """Return standard normal numbers of several images, float64 ``[images, count]``."""
    from scipy import special  # type: ignore[import-untyped, unused-ignore]

    # Half a step up: zero would become minus infinity.
    numbers: npt.NDArray[np.float64] = special.ndtri(
        uniform_rows(seed, image_ids, cell, purpose, count) + 2.0**-54
    )
    return numbers


def select(draws: npt.NDArray[np.float64], alpha: float, *, exact: bool = False) -> npt.NDArray[np.bool_]:
    """Choose which tokens of an image are perturbed.

    Args:
        draws: uniform numbers ``[..., tokens]``.
        alpha: rate in [0, 1].
        exact: choose exactly ``floor(alpha * tokens + 0.5)`` tokens of each row, those of the smallest draws (the
            paper's α·H·W); otherwise each token on its own with probability `alpha` (the authors' code).

    Returns:
        Of the shape of `draws`.
    """
    import numpy as np

    if not exact:
        return draws < alpha
    count = int(np.floor(alpha * draws.shape[-1] + 0.5))
    return draws.argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable") < count
