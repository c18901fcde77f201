"""A small finished run that the tests of comparing and gating read; none of them changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokbench import Results, compare, evaluate

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench.results.comparison import Comparison


@pytest.fixture(scope="session")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """JPEG at two qualities and the identity on 20 small images, every metric of `reconstruction`."""
    return evaluate(
        ["jpeg-q75", "jpeg-q50", "identity"],
        images,
        protocol="adm-64",
        limit=20,
        out=tmp_path_factory.mktemp("finished") / "run",
        batch_size=40,
    )


@pytest.fixture(scope="session")
def pair(finished: Results) -> Comparison:
    """JPEG at quality 75, the reference, with quality 50."""
    return compare("jpeg-q75", "jpeg-q50", run=finished)
