"""The authors' repository at one commit, in tokbench's cache or in a folder that the user names."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tokbench.errors import SetupError, StorageError
from tokbench.external.commands import run_command
from tokbench.weights import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokbench.environment import Environment

_GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
_QUIETLY = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
_NOT_SOURCE = {".git", "__pycache__"}


def checkout_path(environment: Environment) -> Path:
    """Return where `fetch_checkout` puts a repository: ``CACHE/sources/OWNER+NAME/COMMIT``; it need not exist."""
    parts = environment.repository.removesuffix(".git").split("/")[3:]
    return cache_dir().absolute() / "sources" / "+".join(parts) / environment.commit


def fetch_checkout(environment: Environment, say: Callable[[str], None]) -> Path:
    """Fetch one commit of a repository, or return it when it is there.

    No hooks, submodules or filters of the repository are run. The folder appears under its name only when it is whole.

    Args:
        environment: names repository and commit.
        say: is told what git says.

    Raises:
        SetupError: git is absent, the repository cannot be reached, or it has no such commit.
        StorageError: it cannot be written.
    """
    target = checkout_path(environment)
    if target.is_dir():
        return target
    if shutil.which("git") is None:
        raise SetupError(
            "git is not installed, and repositories are fetched with it",
            hint=f"install git, or pass --source NAME=DIR with a checkout of {environment.repository}",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as temporary:
            folder = Path(temporary) / "checkout"
            folder.mkdir()
            for arguments in (
                ("init", "--quiet"),
                ("fetch", "--quiet", "--depth=1", environment.repository, environment.commit),
                ("checkout", "--quiet", "--detach", environment.commit),
            ):
                run_command([*_GIT, "-C", str(folder), *arguments], say, **_QUIETLY)
            folder.rename(target)
    except OSError as error:
        if target.is_dir():  # somebody else fetched it meanwhile
            return target
        raise StorageError(
            f"checkout of {environment.repository} cannot be written to {target.parent}: {error.strerror}",
            hint="free some space, or point TOKBENCH_CACHE at a writable folder",
        ) from error
    return target


def checkout_state(folder: Path) -> str:
    """Say what of a checkout enters result keys.

    Returns:
        The commit when git finds the folder clean, else a digest over its files.

    Raises:
        SetupError: a file cannot be read.
    """
    top = _ask_git(folder, "rev-parse", "--show-toplevel")
    if top and Path(top).resolve() == folder.resolve():
        changes = _ask_git(folder, "status", "--porcelain", "--", ".", ":(exclude,glob)**/__pycache__/**")
        commit = _ask_git(folder, "rev-parse", "HEAD")
        if commit and changes == "":
            return commit
    whole = hashlib.sha256()
    try:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and not _NOT_SOURCE.intersection(inside.parts):
                whole.update(hashlib.sha256(inside.as_posix().encode()).digest())
                with path.open("rb") as stream:
                    whole.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise SetupError(
            f"checkout {folder} cannot be read: {error}", hint="check its permissions"
        ) from error
    return f"files:{whole.hexdigest()}"


def _ask_git(folder: Path, *arguments: str) -> str | None:
    """Return what git answers about a folder, or None when it is not there or the folder is none of its own."""
    try:
        done = subprocess.run([*_GIT, "-C", folder, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
