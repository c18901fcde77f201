"""A small finished run that the tests of comparing and gating read; none of them changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokbench import Results, evaluate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """JPEG at two qualities and the identity on 40 small images, every metric of `reconstruction`."""
    return evaluate(
        ["jpeg-q75", "jpeg-q50", "identity"],
        images,
        protocol="adm-64",
        out=tmp_path_factory.mktemp("finished") / "run",
        batch_size=40,
    )
