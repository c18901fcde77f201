"""A results folder that can be published: manifest and summary without paths of the machine, and checksums.

::

    FOLDER/
      manifest.json     what was run, with which versions; paths are cut to file names
      summary.json      the rows, one a line
      checksums.json    {"schema": 1, "files": {path: SHA-256}} of every other file
      shards/…          per-image rows and states, where asked for

`Results.load` reads such a folder like any other; `tokbench.leaderboard.validate` checks one from a stranger.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError, StorageError, UsageError
from tokbench.results.results import Results
from tokbench.results.schema import SCHEMA, to_json
from tokbench.results.store import MANIFEST, SUMMARY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CHECKSUMS = "checksums.json"
SHARDS = "shards"
FIELDS = ("schema", "key", "complete", "folder", "partial_images", "failures", "unreadable")
"""What a submitted summary says beside its rows; what follows from the manifest (`seen`) is left out."""

_PATH = re.compile(r"(?:[A-Za-z]:)?[\\/].*[\\/]|\.{1,2}[\\/].*[\\/]|\.{1,2}[\\/]|~[\\/](?:.*[\\/])?")


def submit(run: Path, out: Path, shards: bool = False) -> Path:
    """Prepare a finished run for publication.

    Args:
        run: results folder of `tokbench run`.
        out: folder to make; it must be new, empty, or an earlier submission.
        shards: also copy per-image rows and states, so that every number can be recomputed.

    Returns:
        `out`.

    Raises:
        IntegrityError: the run is unfinished, or of a part of its images.
        UsageError: `out` holds something else.
        StorageError: a file cannot be read or written.
    """
    results = Results.load(run)
    if not results.complete:
        broken = ", ".join(sorted(results.failures))
        raise IntegrityError(
            f"`{run}` is not finished: {broken} failed",
            hint="mend or leave out what failed, and run it again",
        )
    if any(job["partial"] for job in results.manifest["jobs"]):
        raise IntegrityError(
            f"`{run}` measured a part of its images (--limit)", hint="run it without --limit, then submit"
        )
    if out.is_dir() and any(out.iterdir()) and not (out / CHECKSUMS).is_file():
        raise UsageError(f"`{out}` holds other files", hint="name a new folder with --out")
    files = {MANIFEST: _manifest(results.manifest), SUMMARY: _summary(results)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8", newline="\n")
        if (out / SHARDS).is_dir():
            shutil.rmtree(out / SHARDS)
        if shards:
            for job in results.manifest["jobs"]:
                shutil.copytree(run / SHARDS / job["id"], out / SHARDS / job["id"])
        table = {"schema": SCHEMA, "files": checksums(out)}
        (out / CHECKSUMS).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(f"`{out}` cannot be written: {error}") from error
    return out


def checksums(folder: Path) -> dict[str, str]:
    """Return ``{path: SHA-256}`` of every file below a folder but the checksums themselves, sorted."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != CHECKSUMS:
            found[name] = digest(path)
    return found


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without_paths(word: str) -> str:
    """Cut a path to its last part, also after the ``NAME=`` of an option; other words stay as they are."""
    head, separator, tail = word.rpartition("=")
    match = _PATH.match(tail)
    if "://" in tail or match is None:
        return word
    return f"{head}{separator}{tail[match.end() :]}"


def _manifest(manifest: Mapping[str, Any]) -> str:
    settings = dict(manifest["settings"])
    settings["weights"] = {name: without_paths(path) for name, path in settings["weights"].items()}
    command = [without_paths(word) for word in manifest["command"]]
    return to_json({**manifest, "settings": settings, "command": ["tokbench", *command[1:]]}, indent=1) + "\n"


def _summary(results: Results) -> str:
    """Write the summary with one row a line, so that a changed number is a changed line."""
    summary = results.summary() | {"folder": ""}
    rows = ",\n".join(to_json(row) for row in summary["rows"])
    head = to_json({name: summary[name] for name in FIELDS}, indent=1)
    return f'{head.removesuffix("}").rstrip()},\n "rows": [\n{rows}\n ]\n}}\n'
