"""Pictures for networks: smooth enough to look like something, made from a seed."""

import pytest
import torch
from torch.nn import functional


@pytest.fixture
def images():
    """Three images and noisy versions of them, uint8 ``[3, 3, 96, 80]``."""
    random = torch.Generator().manual_seed(7)
    rough = torch.rand(3, 3, 12, 10, generator=random)
    smooth = functional.interpolate(rough, size=(96, 80), mode="bicubic").mul(255).clamp(0, 255)
    noisy = (smooth + 20 * torch.randn(smooth.shape, generator=random)).clamp(0, 255)
    return smooth.byte(), noisy.byte()


@pytest.fixture(autouse=True)
def _one_thread():
    """Small networks run faster on one thread, and the machine may be shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
