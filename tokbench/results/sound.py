"""Manifests, identities and summaries of strangers: their form is checked once, where they are read.

Whether what they say is true is another question, which `tokbench leaderboard validate` asks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ID = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_MOST_IMAGES, _MOST_SHARDS = 10**9, 10**6

_MANIFEST: dict[str, type] = {"key": str, "settings": dict, "jobs": list, "identity": dict}
_MANIFEST_MAY: dict[str, type] = {"created": str, "tokbench": str, "command": list, "environment": dict}
_JOB: dict[str, type] = {
    "id": str,
    "key": str,
    "tokenizer": str,
    "spec": dict,
    "dataset": str,
    "protocol": str,
    "tasks": list,
    "images": int,
    "partial": bool,
    "shards": int,
    "unsupported": dict,
}
_JOB_MAY: dict[str, type] = {"dataset_version": str, "dataset_digest": str, "dataset_license": str}
_SPEC_MAY: dict[str, type] = {
    "kind": str,
    "description": str,
    "license": str,
    "source": str,
    "trained_on": list,
    "verified": list,
}
_IDENTITY: dict[str, type] = {"tasks": dict, "evaluators": dict}
_IDENTITY_MAY: dict[str, type] = {"tokenizer": dict, "images": dict, "protocol": str, "seed": int}
_SUMMARY: dict[str, type] = {"rows": list, "complete": bool, "failures": dict, "unreadable": dict}


def check_manifest(manifest: Mapping[str, Any], folder: Path | str) -> None:
    """Check that a manifest has the form of one that a run writes.

    Raises:
        IntegrityError: names the folder and the field.
    """
    where = f"the manifest in `{folder}`"
    _typed(where, "", manifest, _MANIFEST, _MANIFEST_MAY)
    seed = manifest["settings"].get("seed")
    if type(seed) is not int:
        raise _damaged(where, "settings.seed", "must be an integer")
    packages = manifest.get("environment", {}).get("packages", {})
    if not isinstance(packages, dict):
        raise _damaged(where, "environment.packages", "must be an object")
    for number, job in enumerate(manifest["jobs"]):
        _check_job(where, f"jobs[{number}]", job)
    for name, identity in manifest["identity"].items():
        check_identity(where, f"identity.{name}", identity)


def _check_job(where: str, field: str, job: Any) -> None:
    _typed(where, field, job, _JOB, _JOB_MAY)
    _typed(where, f"{field}.spec", job["spec"], {}, _SPEC_MAY)
    if not _ID.fullmatch(job["id"]) or job["id"] in {".", ".."}:
        # It is the name of a folder, which may be written to.
        raise _damaged(where, f"{field}.id", "must be a name of letters, digits and . _ -")
    if not 1 <= job["images"] <= _MOST_IMAGES:
        raise _damaged(where, f"{field}.images", f"must be from 1 to {_MOST_IMAGES:,}")
    if not 1 <= job["shards"] <= min(job["images"], _MOST_SHARDS):
        raise _damaged(
            where, f"{field}.shards", f"must be from 1 to the number of images, {_MOST_SHARDS:,} at most"
        )
    texts = {
        "tasks": job["tasks"],
        "unsupported": list(job["unsupported"].values()),
        "spec.trained_on": job["spec"].get("trained_on", []),
        "spec.verified": job["spec"].get("verified", []),
    }
    for name, values in texts.items():
        if not all(isinstance(value, str) for value in values):
            raise _damaged(where, f"{field}.{name}", "must hold text")


def check_identity(where: str, field: str, identity: Any) -> None:
    """Check the form of what decided the numbers of a job.

    Raises:
        IntegrityError: names the document and the field.
    """
    _typed(where, field, identity, _IDENTITY, _IDENTITY_MAY)


def check_summary(summary: Mapping[str, Any], folder: Path | str) -> None:
    """Check the form of a summary; its rows are checked when they are read.

    Raises:
        IntegrityError: names the folder and the field.
    """
    where = f"the summary in `{folder}`"
    _typed(where, "", summary, _SUMMARY, {})
    for name, reason in summary["failures"].items():
        if not isinstance(reason, str):
            raise _damaged(where, f"failures.{name}", "must be text")
    for name, images in summary["unreadable"].items():
        if not isinstance(images, dict) or not all(isinstance(reason, str) for reason in images.values()):
            raise _damaged(where, f"unreadable.{name}", "must be an object of reasons")


def _typed(where: str, field: str, value: Any, must: Mapping[str, type], may: Mapping[str, type]) -> None:
    """Check that an object has these fields, of these types; a bool is no int."""
    if not isinstance(value, dict):
        raise _damaged(where, field, "must be an object")
    for name, kind in {**must, **may}.items():
        if name in value and type(value[name]) is not kind:
            raise _damaged(where, f"{field}.{name}".lstrip("."), f"must be of type {kind.__name__}")
        if name in must and name not in value:
            raise _damaged(where, f"{field}.{name}".lstrip("."), "is missing")


def _damaged(where: str, field: str, reason: str) -> IntegrityError:
    return IntegrityError(
        f"{where} is damaged: `{field[:200]}` {reason}", hint="run the command that made it again"
    )
