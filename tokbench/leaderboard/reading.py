"""Reading a stranger's folder: nothing outside it, nothing large, nothing but data, no text that could be obeyed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from tokbench.leaderboard.submission import CHECKSUMS, SHARDS, digest
from tokbench.results.schema import SCHEMA
from tokbench.results.store import MANIFEST, SUMMARY

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = {MANIFEST: 32 << 20, SUMMARY: 256 << 20, CHECKSUMS: 16 << 20}
"""Largest size of each document in bytes."""

_SHARD = re.compile(r"shards/[A-Za-z0-9_.-]{1,200}/\d{5}(\.parquet|\.[0-9a-f]{16}\.npz)")
_SHARD_BYTES, _ALL_BYTES, _FILES = 1 << 30, 16 << 30, 100_000
_TEXT = 4000
_DEPTH = 30
_ACTIVE = re.compile(
    r"<\s*/?\s*(script|iframe|object|embed|svg|img|link|style|meta|base|form)\b|(java|vb)script:|data:text/html",
    re.I,
)
_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a submission, and where.

    Attributes:
        file: path inside the folder.
        field: which part of the file, "" for the file itself.
        reason: what is wrong with it.
    """

    file: str
    field: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.field, self.reason) if part)


def check_files(folder: Path) -> list[Problem]:
    """Check names, sizes and checksums of the files; follows no link and opens only what is expected."""
    names = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            return [Problem(name, "", "is a link or no plain file")]
        if path.is_file():
            names[name] = path
        if len(names) > _FILES:
            return [Problem("", "", f"more than {_FILES:,} files")]
    found = [Problem(name, "", "is missing") for name in LIMITS if name not in names]
    for name, path in names.items():
        if name not in LIMITS and not _SHARD.fullmatch(name):
            found.append(
                Problem(name, "", f"does not belong here: only {', '.join(LIMITS)} and {SHARDS}/ do")
            )
        elif path.stat().st_size > LIMITS.get(name, _SHARD_BYTES):
            found.append(Problem(name, "", f"is larger than {LIMITS.get(name, _SHARD_BYTES) >> 20} MiB"))
    if sum(path.stat().st_size for path in names.values()) > _ALL_BYTES:
        found.append(Problem("", "", f"all files together are larger than {_ALL_BYTES >> 30} GiB"))
    return found or _check_sums(folder, names)


def _check_sums(folder: Path, names: dict[str, Path]) -> list[Problem]:
    table, found = read_json(folder, CHECKSUMS)
    if table is None:
        return found
    stated = table.get("files")
    if table.get("schema") != SCHEMA or not isinstance(stated, dict):
        return [Problem(CHECKSUMS, "schema", f"must be {SCHEMA}, with an object `files`")]
    for name in sorted({*stated, *names} - {CHECKSUMS}):
        if name not in names:
            found.append(Problem(CHECKSUMS, f"files.{name[:200]!r}", "there is no such file"))
        elif name not in stated:
            found.append(Problem(name, "", f"has no checksum in {CHECKSUMS}"))
        elif digest(names[name]) != stated[name]:
            found.append(Problem(name, "", f"its SHA-256 is not the one in {CHECKSUMS}"))
    return found


def read_json(folder: Path, name: str) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Read one document of bounded size and depth, with no name twice, and check every string in it."""
    try:
        value = json.loads((folder / name).read_bytes(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return None, [Problem(name, "", f"is not valid JSON: {str(error)[:200]}")]
    if not isinstance(value, dict):
        return None, [Problem(name, "", "is no JSON object")]
    found: list[Problem] = []
    _check_strings(name, "", value, 0, found)
    return (None if found else value), found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        msg = "a name stands twice in one object"
        raise ValueError(msg)
    return table


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


def _check_strings(file: str, field: str, value: Any, depth: int, found: list[Problem]) -> None:
    if depth > _DEPTH:
        found.append(Problem(file, field[:200], f"is nested deeper than {_DEPTH} levels"))
    elif isinstance(value, dict):
        for name, item in value.items():
            reason = bad_text(name)
            if reason:
                found.append(Problem(file, field, f"a name in it {reason}"))
            else:
                _check_strings(file, f"{field}.{name}".lstrip("."), item, depth + 1, found)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_strings(file, f"{field}[{number}]", item, depth + 1, found)
    elif isinstance(value, str) and (reason := bad_text(value)):
        found.append(Problem(file, field[:200], reason))


def bad_text(text: str) -> str:
    """Say why a string may not stand in a submission, or ""."""
    if len(text) > _TEXT:
        return f"is longer than {_TEXT} characters"
    for letter in text:
        if letter in _DIRECTIONS or (not letter.isprintable() and letter not in "\n\t"):
            return f"holds the control character U+{ord(letter):04X}"
    match = _ACTIVE.search(text)
    return f"holds active content: {match[0]!r}" if match else ""
