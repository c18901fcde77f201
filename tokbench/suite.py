"""A suite: a named choice of tokenizers, image sets and tasks, as a TOML file in `leaderboards/suites/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.documents import parse_toml
from tokbench.errors import BrokenPluginError, UnknownNameError
from tokbench.shipped import shipped

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = "embedded"


@dataclass(frozen=True)
class Suite:
    """What `tokbench run` evaluates where the command line does not say.

    Attributes:
        tokenizers: tokenizer names.
        datasets: image-set names.
        tasks: task names.
    """

    tokenizers: tuple[str, ...]
    datasets: tuple[str, ...]
    tasks: tuple[str, ...]


def load_suite(name: str) -> Suite:
    """Load a suite by name.

    Raises:
        UnknownNameError: no such suite.
        BrokenPluginError: its file is not valid.
    """
    files = {path.stem: path for path in (shipped("leaderboards") / "suites").glob("*.toml")}
    if name not in files:
        raise UnknownNameError("suite", name, files, hint=f"suites are {', '.join(sorted(files))}")
    return read_suite(files[name])


def read_suite(path: Path) -> Suite:
    """Read the file of a suite.

    Raises:
        BrokenPluginError: it cannot be read, is no TOML, or lacks a list of names.
    """
    try:
        table = parse_toml(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BrokenPluginError(f"suite `{path.stem}` cannot be read: {error}") from error
    for key in ("tokenizers", "datasets", "tasks"):
        names = table.get(key)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BrokenPluginError(f"suite `{path.stem}`: `{key}` must be a list of names")
    return Suite(tuple(table["tokenizers"]), tuple(table["datasets"]), tuple(table["tasks"]))
