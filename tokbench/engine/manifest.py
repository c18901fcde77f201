"""manifest.json: everything needed to repeat a run, and to summarise it without loading anything again."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError
from tokbench.results.schema import SCHEMA

if TYPE_CHECKING:
    from tokbench.engine.run import Job, Run
    from tokbench.results.store import Store

PACKAGES = (
    "torch",
    "numpy",
    "pillow",
    "scipy",
    "pandas",
    "pyarrow",
    "torch-fidelity",
    "lpips",
    "pillow-jxl-plugin",
)
"""Distributions whose version may move a number in its last digits."""


def make_manifest(run: Run) -> dict[str, Any]:
    """Describe a run as plain values."""
    from tokbench import __version__

    return {
        "schema": SCHEMA,
        "key": run.key,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "tokbench": __version__,
        "settings": {
            "device": run.settings.device,
            "dtype": run.settings.dtype,
            "seed": run.settings.seed,
            "batch_size": run.settings.batch_size,
            "weights": {name: str(path) for name, path in run.settings.overrides.items()},
        },
        "environment": _environment(),
        "jobs": [_job(job) for job in run.jobs],
        "identity": run.identity,
    }


def open_manifest(store: Store, run: Run) -> dict[str, Any]:
    """Write the manifest of a new results folder, or check that an existing one is of this very run.

    Raises:
        IntegrityError: the folder holds another run; says which fields differ.
        StorageError: the folder cannot be written.
    """
    from tokbench.results.store import MANIFEST, differing

    existing = store.read_json(MANIFEST)
    if existing is None:
        manifest = make_manifest(run)
        if store.create_json(MANIFEST, manifest):
            store.sweep()
            return manifest
        existing = store.read_json(MANIFEST) or {}  # another process was first
    if existing.get("key") != run.key:
        fields = differing(run.identity, existing.get("identity", {}))
        shown = "; ".join(fields[:3]) + (f"; and {len(fields) - 3} more" if len(fields) > 3 else "")
        raise IntegrityError(
            f"`{store.folder}` holds the results of another run: {shown or 'its manifest is damaged'}",
            hint="give another folder with --out, or delete this one; nothing in it was changed",
        )
    store.check_writable()
    return existing


def _job(job: Job) -> dict[str, Any]:
    part = job.part
    return {
        "id": job.id,
        "key": job.key,
        "tokenizer": job.subject.spec.name,
        "spec": {name: value for name, value in asdict(job.subject.spec).items() if name != "options"}
        | {"options": dict(job.subject.spec.options)},
        "dataset": part.images.name,
        "dataset_version": part.images.version,
        "dataset_digest": part.images.digest,
        "dataset_license": part.images.license,
        "protocol": part.protocol.name,
        "tasks": [task.name for task in part.tasks],
        "images": len(part.plan.items),
        "partial": part.plan.partial,
        "shards": part.plan.shards,
        "unsupported": {each.name: reason for each in part.measurements if (reason := job.unsupported(each))},
    }


def _environment() -> dict[str, Any]:
    from PIL import features

    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": packages,
        "codecs": {
            name: features.version(name) for name in ("libjpeg_turbo", "webp", "avif", "jpg_2000", "zlib")
        },
    }
