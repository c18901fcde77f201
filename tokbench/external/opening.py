"""From a catalog entry to a running external tokenizer: what is here, what is fetched, what enters result keys."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokbench.errors import SetupError, UsageError
from tokbench.external.checkout import checkout_path, checkout_state, fetch_checkout
from tokbench.external.environments import build_environment, find_python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from tokbench.catalog import TokenizerEntry
    from tokbench.environment import Environment
    from tokbench.tokenizer import Tokenizer


@dataclass(frozen=True)
class Located:
    """What of an external tokenizer is on this machine.

    Attributes:
        python: interpreter of its environment, or None.
        source: its checkout, or None; also None when it has no repository.
    """

    python: Path | None
    source: Path | None


def locate(entry: TokenizerEntry) -> Located:
    """Look for environment and checkout; nothing is fetched.

    Raises:
        UsageError: ``--source`` was given for a tokenizer without a repository, or names no folder.
    """
    environment = environment_of(entry)
    if entry.source is not None:
        if not environment.repository:
            raise UsageError(
                f"--source {entry.name}={entry.source}: it is a package, its code is in no repository"
            )
        if not entry.source.is_dir():
            raise UsageError(
                f"--source {entry.name}={entry.source}: no such folder",
                hint=f"give a checkout of {environment.repository}",
            )
        return Located(find_python(environment), entry.source.resolve())
    fetched = checkout_path(environment) if environment.repository else None
    return Located(find_python(environment), fetched if fetched and fetched.is_dir() else None)


def require(entry: TokenizerEntry) -> tuple[Path, Path | None]:
    """Return interpreter and checkout.

    Raises:
        SetupError: one of them is not here; says how to get it.
    """
    environment, located = environment_of(entry), locate(entry)
    if environment.repository and located.source is None:
        raise SetupError(
            f"tokenizer `{entry.name}` runs from {environment.repository} at {environment.commit[:12]}, "
            "which is not on this machine",
            hint=f"`tokbench fetch {_said(entry)}` gets it, or pass --source {entry.name}=DIR",
        )
    if located.python is None:
        raise SetupError(
            f"tokenizer `{entry.name}` needs an environment of its own, which is not built",
            hint=f"`tokbench fetch {_said(entry)}` builds it",
        )
    return located.python, located.source


def identity(entry: TokenizerEntry) -> dict[str, str]:
    """Return what of code and environment enters result keys.

    Raises:
        SetupError: the checkout is not here, or cannot be read.
    """
    environment = environment_of(entry)
    _, source = require(entry)
    state = checkout_state(source) if entry.source is not None and source else environment.commit
    return {"commit": state, "environment": environment.key}


def fetch_code(entry: TokenizerEntry, say: Callable[[str], None]) -> tuple[Path, Path | None]:
    """Fetch the checkout and build the environment of a tokenizer, whatever of them is not here.

    Args:
        entry: the tokenizer.
        say: is told first what will be fetched, then what the programs say.

    Returns:
        Interpreter and checkout.

    Raises:
        SetupError: something cannot be fetched or installed.
        StorageError: it cannot be written.
    """
    environment, located = environment_of(entry), locate(entry)
    python, source = located.python, located.source
    if environment.repository and source is None:
        say(f"{entry.name}: repository {environment.repository} at commit {environment.commit}")
    if python is None:
        say(f"{entry.name}: environment with Python {environment.python or 'of any version'} and")
        for each in environment.requirements:
            say(f"    {each}")
    if environment.repository and source is None:
        source = fetch_checkout(environment, say)
    return python or build_environment(environment, say), source


def open_external(
    entry: TokenizerEntry, weights: Mapping[str, Path], *, device: torch.device, dtype: torch.dtype
) -> Tokenizer:
    """Start the worker of a tokenizer and build it there.

    Raises:
        SetupError: checkout or environment is not here; a package is absent from it.
        AdapterError: importing or building raised, or the worker died, hung or sent garbage.
    """
    from tokbench.external.proxy import Place, start

    assert entry.variant is not None
    environment = environment_of(entry)
    python, source = require(entry)
    place = Place(
        entry.path,
        python,
        source,
        weights,
        device,
        dtype,
        _seconds("TOKBENCH_STARTUP_SECONDS", environment.startup_seconds),
        _seconds("TOKBENCH_CALL_SECONDS", environment.call_seconds),
    )
    return start(entry.variant.spec, place)


def environment_of(entry: TokenizerEntry) -> Environment:
    """Return the environment of an entry that has one."""
    assert entry.variant is not None
    assert entry.variant.environment is not None
    return entry.variant.environment


def _said(entry: TokenizerEntry) -> str:
    """Return what names a tokenizer on the command line: its name, or a file of the user's own."""
    return f"{entry.origin}:{entry.name}" if Path(entry.origin).absolute() == entry.path else entry.name


def _seconds(variable: str, default: float) -> float:
    text = os.environ.get(variable)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not seconds > 0:
        raise UsageError(f"{variable} is `{text}`, expected a positive number of seconds")
    return seconds
