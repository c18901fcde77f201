"""Finds the tensors that a tokenizer holds, so that they can be counted. A worker of any Python runs this too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_DEPTH = 4


def stored_tensors(root: object) -> Iterator[Tensor]:
    """Yield every tensor that an object holds, each storage once: modules' parameters and buffers, attributes.

    Attributes are followed through containers and plain objects, a few steps deep, which is where adapters keep them.
    """
    import torch

    seen: set[int] = set()
    storages: set[int] = set()

    def walk(value: Any, depth: int) -> Iterator[Tensor]:
        if id(value) in seen or depth > _DEPTH:
            return
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            # Torch before 2.0 knows the older of the two alone, and newer torch warns of it.
            pointer = getattr(value, "untyped_storage", value.storage)().data_ptr()
            if pointer not in storages:
                storages.add(pointer)
                yield value
        elif isinstance(value, torch.nn.Module):
            for tensor in (*value.parameters(), *value.buffers()):
                yield from walk(tensor, depth)
            # A module may be the tokenizer itself, and keep tensors beside its parameters.
            for each in vars(value).values():
                if not isinstance(each, dict):
                    yield from walk(each, depth + 1)
        elif isinstance(value, (Mapping, list, tuple, set)):
            for each in value.values() if isinstance(value, Mapping) else value:
                yield from walk(each, depth + 1)
        elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
            yield from walk(vars(value), depth)

    yield from walk(root, 0)
