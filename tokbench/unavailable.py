"""Systems of the field that nobody can run as an image tokenizer, and why (`adapters/unavailable.toml`)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tokbench.errors import BrokenPluginError
from tokbench.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Unavailable:
    """A system that has a name and no way to run it.

    Attributes:
        title: its name in print.
        reason: why nobody can run it, or why it is no image tokenizer.
        paper: where it was published, where that helps.
        instead: the nearest tokenizer that can be run, or "".
    """

    title: str
    reason: str
    paper: str = ""
    instead: str = ""


@lru_cache(maxsize=1)
def unavailable() -> Mapping[str, Unavailable]:
    """Return the systems by the name one would try.

    Raises:
        BrokenPluginError: the list is damaged.
    """
    path = shipped("adapters") / "unavailable.toml"
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: Unavailable(**row) for name, row in rows.items()}
    except (OSError, ValueError, TypeError) as error:
        raise BrokenPluginError(f"adapters/{path.name} cannot be read: {error}") from error
