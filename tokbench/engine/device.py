"""Where tensors live."""

from __future__ import annotations

import torch

from tokbench.errors import SetupError


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
