"""Where the files that travel with tokbench lie: `adapters/`, `datasets/` and `leaderboards/`.

They are data, not packages, and stand at the top of the repository. A wheel carries them inside the package; a
checkout (`pip install -e .`) is used as it is.
"""

from __future__ import annotations

from pathlib import Path

from tokbench.errors import SetupError

_PACKAGE = Path(__file__).parent


def shipped(folder: str) -> Path:
    """Return the folder of that name.

    Args:
        folder: ``adapters``, ``datasets`` or ``leaderboards``.

    Raises:
        SetupError: the installation lacks it.
    """
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        if (root / folder).is_dir():
            return root / folder
    raise SetupError(
        f"this installation of tokbench has no folder `{folder}`",
        hint="reinstall it: `pip install --force-reinstall tokbench`, or `pip install .` from a clone",
    )
