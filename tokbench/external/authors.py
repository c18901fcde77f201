"""What adapters of authors' repositories need in the worker: stand-ins for modules, checkpoints, noise of one's own.

Needs nothing beyond torch, and works from Python 3.9 on.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from tokbench.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import torch
    from torch import Tensor


class _StandIn(ModuleType):
    """A module from which any name can be imported and none can be used."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(self: object, *args: object, **settings: object) -> NoReturn:
            raise RuntimeError(f"{module}.{name} belongs to training and is not there")

        module = self.__name__
        return type(name, (), {"__init__": refuse})


def stand_in(*modules: str, **members: object) -> None:
    """Put stand-ins where a repository imports modules that tokenizing does not need.

    Args:
        modules: dotted names, parents before children; a module that was imported before is left as it is.
        members: what the stand-ins hold besides, e.g. a class that the repository derives its own from.
    """
    for name in modules:
        if name in sys.modules:
            continue
        module = _StandIn(name)
        module.__path__ = []
        vars(module).update(members)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], child, module)


def load_checkpoint(
    path: Path, keys: Sequence[str] = ("ema", "model", "state_dict"), classes: Sequence[type] = ()
) -> dict[str, Tensor]:
    """Load a training checkpoint: tensors, numbers, and the command line as a Namespace; no code of it is run.

    Args:
        path: what `torch.save` or safetensors wrote.
        keys: the tensors are under the first of these that is there, else at the top.
        classes: further classes that may be in the file, such as the authors' own of settings.

    Returns:
        The tensors by name.

    Raises:
        SetupError: it holds anything else, or no tensors.
    """
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *classes]):
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise SetupError(
            f"weights {path} refused: not a plain checkpoint of tensors",
            hint="tokbench never unpickles code; save only the state dict where you trust the file",
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise SetupError(f"weights {path} cannot be read: {error}", hint="fetch the file again") from error
    for key in keys:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    tensors = (
        {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
        if isinstance(loaded, dict)
        else {}
    )
    if not tensors:
        raise SetupError(f"weights {path} refused: no tensors under any of {', '.join(keys)}, nor at its top")
    return tensors


def load_needed(
    network: torch.nn.Module, state: dict[str, Tensor], path: Path, unused: Sequence[str] = ()
) -> None:
    """Load tensors into a network, all that it has; what serves training only may be left over.

    Args:
        network: the authors' model.
        state: tensors by name.
        path: where they come from, for the message.
        unused: tensors whose names start like this may be in the file without being in the network.

    Raises:
        SetupError: a tensor is missing, left over, or of another shape.
    """
    try:
        result = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise SetupError(
            f"weights {path} do not fit: {error}", hint="is it the file of this variant?"
        ) from error
    extra = [name for name in result.unexpected_keys if not name.startswith(tuple(unused))]
    if result.missing_keys or extra:
        raise SetupError(
            f"weights {path} do not fit: {len(result.missing_keys)} tensors missing {result.missing_keys[:3]}, "
            f"{len(extra)} left over {extra[:3]}",
            hint="is it the file of this variant?",
        )


@contextmanager
def own_noise(device: torch.device) -> Iterator[None]:
    """Let code draw from torch's global generators, starting from the picture's seed, and put them back after.

    tokbench seeds torch for each picture of a tokenizer that says ``deterministic = false``; starting again from that
    seed makes what is drawn independent of what was drawn before.
    """
    import torch

    seed = torch.initial_seed()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
