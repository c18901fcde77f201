"""What an adapter that runs in an environment of its own asks for, read from its header and nothing more.

``[tool.tokbench.environment]`` in a header names the authors' repository at one commit; the packages and the Python are
those of the header's ``dependencies`` and ``requires-python`` (PEP 723). `docs/external.md` describes it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, fields
from typing import Any

from tokbench.errors import BrokenPluginError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"https://[A-Za-z0-9.-]+(/[A-Za-z0-9._-]+)+")
_OURSELVES = re.compile(r"tokbench\s*($|[\[<>=!~;@])")


@dataclass(frozen=True)
class Environment:
    """Where an adapter's code comes from and what it runs in.

    Attributes:
        requirements: packages to install, PEP 508; ``tokbench`` itself is left out, since a worker brings it along.
        python: versions of Python that will do, e.g. ``>=3.10,<3.13``; "" for any.
        repository: https address of the authors' git repository, or "" when packages are all it needs.
        commit: the 40 hex digits of one commit, "" without a repository.
        startup_seconds: how long building the tokenizer may take.
        call_seconds: how long one call of it may take.
    """

    requirements: tuple[str, ...] = ()
    python: str = ""
    repository: str = ""
    commit: str = ""
    startup_seconds: float = 900
    call_seconds: float = 900

    @property
    def key(self) -> str:
        """Sixteen hex digits that stand for the packages and the Python; adapters that agree on both share them."""
        asked = {"python": self.python, "requirements": sorted(self.requirements)}
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def read_environment(header: dict[str, Any], origin: str) -> Environment | None:
    """Read the environment of an adapter, or return None when it runs in tokbench's own.

    Args:
        header: the header as TOML gave it, with ``dependencies`` checked before.
        origin: name of the adapter file, for messages.

    Raises:
        BrokenPluginError: a key is unknown or unusable.
    """
    table = header.get("tool", {}).get("tokbench", {}).get("environment")
    if table is None:
        return None
    where = f"adapter `{origin}`: `environment`"
    if not isinstance(table, dict):
        raise BrokenPluginError(f"{where} must be a table, got {table!r}")
    known = {field.name for field in fields(Environment)} - {"requirements", "python"}
    if unknown := sorted(table.keys() - known):
        raise BrokenPluginError(
            f"{where} has the unknown key `{unknown[0]}`", hint=f"known keys: {', '.join(sorted(known))}"
        )
    repository, commit = table.get("repository", ""), table.get("commit", "")
    if ("repository" in table or "commit" in table) and not (
        _matches(_REPOSITORY, repository) and _matches(_COMMIT, commit)
    ):
        raise BrokenPluginError(
            f"{where} names `{repository}` at `{commit}`; wanted an https address and 40 hex digits of a commit",
            hint="a branch or tag can move, a commit cannot",
        )
    python = header.get("requires-python", "")
    if not isinstance(python, str):
        raise BrokenPluginError(f"adapter `{origin}`: `requires-python` must be a string, got {python!r}")
    for key in ("startup_seconds", "call_seconds"):
        value = table.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise BrokenPluginError(f"{where}: `{key}` is {value!r}, expected a positive number")
    requirements = tuple(each for each in header.get("dependencies", []) if not _OURSELVES.match(each))
    return Environment(requirements, python, **table)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
