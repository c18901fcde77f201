"""Fixtures for metrics, and the way to `metric_samples`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(
    0, str(Path(__file__).parent)
)  # pytest's importlib mode leaves helpers beside tests unimportable

from metric_samples import noisy, pictures


@pytest.fixture
def pair():
    """Three images and noisy versions of them."""
    original = pictures()
    return original, noisy(original, 12)
