"""Environments that workers run in: found, or built once and shared by all adapters that ask for the same."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from tokbench.errors import SetupError, StorageError
from tokbench.external.commands import run_command
from tokbench.weights import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokbench.environment import Environment

_READY = "tokbench.json"
"""Written last: an environment without it was not finished and is never used."""

_MINORS = range(9, 20)


def environment_path(environment: Environment) -> Path:
    """Return where `build_environment` puts an environment; it need not exist."""
    return cache_dir().absolute() / "environments" / environment.key


def find_python(environment: Environment) -> Path | None:
    """Return the interpreter that has what an adapter asks for, or None.

    That is the environment built for it, or else the interpreter of this very process when it satisfies every
    requirement already.
    """
    folder = environment_path(environment)
    if (folder / _READY).is_file():
        return folder / "bin" / "python"
    return Path(sys.executable) if satisfied_here(environment) else None


def satisfied_here(environment: Environment) -> bool:
    """Say whether this interpreter has every package that is asked for.

    Requirements with extras or addresses are taken as not satisfied, since what they bring is not known.

    Raises:
        SetupError: a requirement or the range of versions is not valid.
    """
    return _fits(environment.python, platform.python_version()) and all(
        _installed(_requirement(text)) for text in environment.requirements
    )


def _installed(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    if requirement.extras or requirement.url:
        return False
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def build_environment(environment: Environment, say: Callable[[str], None]) -> Path:
    """Build an environment, or return the interpreter of one that is there already.

    Args:
        environment: names packages and Python.
        say: is told what the installer says.

    Returns:
        Its interpreter.

    Raises:
        SetupError: there is no such Python, or a package cannot be installed.
        StorageError: it cannot be written.
    """
    for text in environment.requirements:
        _requirement(text)
    folder = environment_path(environment)
    python = folder / "bin" / "python"
    try:
        with _locked(folder.with_name(f"{folder.name}.lock")):
            if (folder / _READY).is_file():
                return python
            if folder.exists():
                shutil.rmtree(folder)
            if shutil.which("uv"):
                _with_uv(environment, folder, say)
            else:
                _with_venv(environment, folder, say)
            record = {
                "python": environment.python,
                "requirements": sorted(environment.requirements),
                "installed": _packages(python),
            }
            partial = folder / f"{_READY}.partial"
            partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
            partial.replace(folder / _READY)
    except OSError as error:
        raise StorageError(
            f"environment {folder} cannot be written: {error.strerror or error}",
            hint="free some space, or point TOKBENCH_CACHE at a writable folder",
        ) from error
    return python


def _with_uv(environment: Environment, folder: Path, say: Callable[[str], None]) -> None:
    chosen = _local_python(environment.python) or environment.python
    run_command(["uv", "venv", "--python", chosen, str(folder)], say)
    python = str(folder / "bin" / "python")
    if environment.requirements:
        run_command(["uv", "pip", "install", "--python", python, *environment.requirements], say)


def _with_venv(environment: Environment, folder: Path, say: Callable[[str], None]) -> None:
    chosen = _local_python(environment.python)
    if chosen is None:
        raise SetupError(
            f"no Python {environment.python} on this machine",
            hint="install one, or install uv, which fetches it",
        )
    run_command([chosen, "-m", "venv", str(folder)], say)
    if environment.requirements:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--no-input", "--progress-bar=off"]
        run_command([*pip, *environment.requirements], say)


def _local_python(wanted: str) -> str | None:
    """Find a Python of a wanted version: this one if it fits, else the newest on the path that does."""
    if _fits(wanted, platform.python_version()):
        return sys.executable
    # A patch level cannot be seen from a name; only a range that splits a minor version would notice.
    names = (f"python3.{minor}" for minor in reversed(_MINORS) if _fits(wanted, f"3.{minor}.99"))
    return next((found for name in names if (found := shutil.which(name))), None)


def _fits(wanted: str, version: str) -> bool:
    try:
        return SpecifierSet(wanted).contains(version)
    except InvalidSpecifier as error:
        raise SetupError(
            f"`requires-python = {wanted!r}` is no range of versions", hint="write e.g. >=3.10"
        ) from error


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise SetupError(f"`{text}` is no requirement: {error}", hint="write e.g. timm==1.0.8") from error


def _packages(python: Path) -> list[str]:
    """List the packages of an environment and their versions."""
    code = "import importlib.metadata as m; print(*sorted({f'{d.name}=={d.version}' for d in m.distributions()}))"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let only one process at a time build an environment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
