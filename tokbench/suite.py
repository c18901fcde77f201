"""A suite: a named choice of tokenizers, image sets and tasks, as a TOML file in `leaderboards/suites/`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from tokbench.errors import BrokenPluginError, UnknownNameError
from tokbench.shipped import shipped

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
    table = tomllib.loads(files[name].read_text("utf-8"))
    try:
        return Suite(tuple(table["tokenizers"]), tuple(table["datasets"]), tuple(table["tasks"]))
    except (KeyError, TypeError) as error:
        raise BrokenPluginError(f"suite `{name}` lacks {error}") from error
