"""Checking a submission from a stranger: what it says is held against the catalog, and its own hashes and numbers.

Nothing of it is executed: its files are JSON, Parquet and plain arrays, and tasks, protocols and image sets are looked
up here by name.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from tokbench.errors import TokbenchError
from tokbench.leaderboard.boards import identity_name
from tokbench.leaderboard.check_rows import check_rows
from tokbench.leaderboard.check_shards import check_shards
from tokbench.leaderboard.reading import Problem, check_files, read_json
from tokbench.leaderboard.submission import SHARDS, without_paths
from tokbench.protocol import get_protocol
from tokbench.results.schema import SCHEMA
from tokbench.results.store import MANIFEST, SUMMARY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokbench.catalog import Catalog

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_LARGEST = 10**9
_MANIFEST: dict[str, type] = {
    "schema": int,
    "key": str,
    "created": str,
    "command": list,
    "tokbench": str,
    "settings": dict,
    "environment": dict,
    "jobs": list,
    "identity": dict,
}
_JOB: dict[str, type] = {
    "id": str,
    "key": str,
    "tokenizer": str,
    "spec": dict,
    "dataset": str,
    "dataset_version": str,
    "dataset_digest": str,
    "dataset_license": str,
    "protocol": str,
    "tasks": list,
    "images": int,
    "partial": bool,
    "shards": int,
    "unsupported": dict,
}
_IDENTITY: dict[str, type] = {
    "schema": int,
    "tokenizer": dict,
    "seed": int,
    "tasks": dict,
    "metrics": list,
    "evaluators": dict,
    "protocol": str,
    "images": dict,
}


def validate(folder: Path, catalog: Catalog) -> list[Problem]:
    """Check a submission.

    Args:
        folder: what `tokbench leaderboard submit` made, from anybody.
        catalog: the tasks and image sets known here.

    Returns:
        What is wrong with it; empty when nothing is.
    """
    if not folder.is_dir():
        return [Problem(str(folder), "", "is no folder")]
    found = check_files(folder)
    if found:
        return found
    manifest, found = read_json(folder, MANIFEST)
    summary, more = read_json(folder, SUMMARY)
    if manifest is None or summary is None:
        return found + more
    # Each step rests on what the one before has checked, so the first that finds something ends it.
    found = check_manifest(manifest, catalog) or check_rows(summary, manifest, catalog)
    if not found and (folder / SHARDS).is_dir():
        found = check_shards(folder, manifest, summary, catalog)
    return found


def check_manifest(manifest: Mapping[str, Any], catalog: Catalog) -> list[Problem]:
    """Check names, types, keys and image sets of a manifest."""
    found = _typed("", manifest, _MANIFEST)
    if found:
        return found
    if manifest["schema"] != SCHEMA:
        return [_bad("schema", f"is {manifest['schema']!r}, wanted {SCHEMA}")]
    if not manifest["jobs"]:
        return [_bad("jobs", "is empty")]
    packages = manifest["environment"].get("packages", {})
    if not isinstance(packages, dict) or not all(isinstance(text, str) for text in packages.values()):
        return [_bad("environment.packages", "must be an object of versions")]
    found = _paths(manifest)
    names = set()
    for number, job in enumerate(manifest["jobs"]):
        field = f"jobs[{number}]"
        found += _job(field, job, manifest["identity"], catalog)
        if not found:
            names.add(identity_name(job))
    if not found and (len(names) != len(manifest["jobs"]) or names != set(manifest["identity"])):
        found.append(_bad("identity", "does not hold each job of `jobs` once"))
    if found:
        return found
    key = hashlib.sha256("\n".join(sorted(job["key"] for job in manifest["jobs"])).encode()).hexdigest()
    return [] if key == manifest["key"] else [_bad("key", "is not the hash of the jobs' keys")]


def _paths(manifest: Mapping[str, Any]) -> list[Problem]:
    """Check that the command and the weights name no path of the submitter's machine."""
    weights = manifest["settings"].get("weights")
    if not isinstance(weights, dict):
        return [_bad("settings.weights", "must be an object")]
    words = {f"command[{number}]": word for number, word in enumerate(manifest["command"])}
    words |= {f"settings.weights.{name}": path for name, path in weights.items()}
    return [
        _bad(field, "must be a word without a path of the machine")
        for field, word in words.items()
        if not isinstance(word, str) or without_paths(word) != word
    ]


def _job(field: str, job: Any, identities: Mapping[str, Any], catalog: Catalog) -> list[Problem]:
    if not isinstance(job, dict):
        return [_bad(field, "must be an object")]
    found = _typed(field, job, _JOB)
    if found:
        return found
    for name, pattern in (("tokenizer", _NAME), ("id", _ID)):
        if not pattern.fullmatch(job[name]):
            found.append(_bad(f"{field}.{name}", "must be a name of letters, digits and . _ -"))
    for name in ("images", "shards"):
        if not 1 <= job[name] <= _LARGEST:
            found.append(_bad(f"{field}.{name}", f"must be from 1 to {_LARGEST}"))
    if job["spec"].get("name") != job["tokenizer"]:
        found.append(_bad(f"{field}.spec.name", "is not the tokenizer of the job"))
    for name in ("trained_on", "verified"):
        if not _strings(job["spec"].get(name, [])):
            found.append(_bad(f"{field}.spec.{name}", "must be a list of names"))
    if job["partial"]:
        found.append(_bad(f"{field}.partial", "a leaderboard takes whole image sets only"))
    if not _strings(job["tasks"]) or not all(isinstance(text, str) for text in job["unsupported"].values()):
        found.append(
            _bad(f"{field}.tasks", "must be a list of names, and `unsupported` an object of reasons")
        )
    found += _image_set(field, job, catalog)
    identity = identities.get(identity_name(job))
    if found or not isinstance(identity, dict):
        return found or [_bad(f"{field}", "has no entry in `identity`")]
    return _identity(field, job, identity, catalog)


def _image_set(field: str, job: Mapping[str, Any], catalog: Catalog) -> list[Problem]:
    try:
        card, _ = catalog.image_set(job["dataset"])
    except TokbenchError as error:
        return [_bad(f"{field}.dataset", error.message)]
    if job["dataset_digest"] != card.digest:
        return [_bad(f"{field}.dataset_digest", f"is not the one that the card of `{card.name}` pins")]
    if card.count and job["images"] != card.count:
        return [_bad(f"{field}.images", f"is {job['images']}, `{card.name}` has {card.count}")]
    return []


def _identity(
    field: str, job: Mapping[str, Any], identity: Mapping[str, Any], catalog: Catalog
) -> list[Problem]:
    place = f"identity.{identity_name(job)}"
    found = _typed(place, identity, _IDENTITY)
    if found:
        return found
    try:
        protocol = get_protocol(job["protocol"]).id
        versions = {name: catalog.task(name).version for name in job["tasks"]}
    except TokbenchError as error:
        return [_bad(f"{field}", error.message)]
    wanted = {"schema": SCHEMA, "protocol": protocol, "tasks": versions}
    found += [
        _bad(f"{place}.{name}", f"is {identity[name]!r}, wanted {value!r}")
        for name, value in wanted.items()
        if identity[name] != value
    ]
    for name, value in (("name", job["dataset"]), ("identity", job["dataset_digest"])):
        if value and identity["images"].get(name) != value:
            found.append(_bad(f"{place}.images.{name}", f"is not {value!r}"))
    if identity["tokenizer"].get("name") != job["tokenizer"]:
        found.append(_bad(f"{place}.tokenizer.name", "is not the tokenizer of the job"))
    if not isinstance(identity["tokenizer"].get("dtype"), str) or not _strings(identity["metrics"]):
        found.append(_bad(place, "`tokenizer.dtype` must be a string and `metrics` a list of names"))
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    if key != job["key"]:
        found.append(_bad(f"{field}.key", "is not the hash of the job's identity"))
    return found


def _typed(field: str, value: Mapping[str, Any], wanted: Mapping[str, type]) -> list[Problem]:
    """Check that an object has exactly these names, of these types; a bool is no int."""
    found = [
        _bad(f"{field}.{name}".lstrip("."), "is unknown" if name in value else "is missing")
        for name in sorted(value.keys() ^ wanted.keys())
    ]
    return found or [
        _bad(f"{field}.{name}".lstrip("."), f"must be of type {kind.__name__}")
        for name, kind in wanted.items()
        if type(value[name]) is not kind
    ]


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _bad(field: str, reason: str) -> Problem:
    return Problem(MANIFEST, field, reason)
