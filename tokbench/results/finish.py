"""The end of a run: every shard is there, so the summary may be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.errors import DigestError, IntegrityError
from tokbench.results.results import Results
from tokbench.results.store import MANIFEST, PARTIAL, SUMMARY
from tokbench.results.summary import read_table, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from tokbench.errors import TokbenchError
    from tokbench.results.store import Store
    from tokbench.tasks.base import Task


class UnfinishedError(IntegrityError):
    """A sharded run whose other parts are not here yet; what this process had to do is done."""


def finish(
    store: Store, manifest: Mapping[str, Any], tasks: Mapping[str, Task], failed: Mapping[str, TokbenchError]
) -> Results:
    """Summarise what is there and write the summary, the last file of a run.

    Raises:
        UnfinishedError: shards of a tokenizer that did not fail are missing, because other machines have yet to
            compute theirs.
        IntegrityError: a shard is damaged, or the folder holds another run by now.
        DigestError: all images of a set with a pinned digest were read, and they are others.
    """
    missing = {
        job["id"]: absent
        for job in manifest["jobs"]
        if job["id"] not in failed
        and (absent := [n for n in range(job["shards"]) if not store.done(job["id"], job["key"], n)])
    }
    if missing:
        count = sum(len(absent) for absent in missing.values())
        raise UnfinishedError(
            f"`{store.folder}`: {count} shards have yet to be computed",
            hint="run the other --shard parts, then `tokbench merge` their folders (or any of them again, if shared)",
        )
    for job in manifest["jobs"]:
        if job["id"] not in failed:
            check_digest(job, read_table(store, job))
    rows = summarize(store, manifest, tasks, failed)
    unreadable: dict[str, dict[str, str]] = {}
    for job in manifest["jobs"]:
        if job["id"] not in failed:
            table = read_table(store, job).select(["image", "status", "reason"]).to_pylist()
            lost = {row["image"]: row["reason"] for row in table if row["status"] == "failed"}
            if lost:
                unreadable.setdefault(job["dataset"], {}).update(lost)
    names = {job["id"]: job["tokenizer"] for job in manifest["jobs"]}
    failures = {names[job]: f"{type(error).__name__}: {error.message}" for job, error in failed.items()}
    results = Results(store.folder, tuple(rows), manifest, not failed, failures, unreadable)
    there = store.read_json(MANIFEST) or {}
    if there.get("key") != manifest["key"]:
        raise IntegrityError(
            f"`{store.folder}` was emptied or taken over by another run while this one worked",
            hint="give each run a folder of its own with --out, then run the same command again",
        )
    store.write_json(PARTIAL if failed else SUMMARY, results.summary())
    if not failed:
        store.remove(PARTIAL)
    return results


def check_digest(job: Mapping[str, Any], table: pa.Table) -> None:
    """Compare the pixels that were measured with the digest that the card of their set pins.

    A card of many images pins one digest over all of them, so only here, after the last one, can it be checked. It
    cannot be for a run that left images out, or could not read some: these are counted beside every number.

    Args:
        job: a job of the manifest.
        table: its per-image rows.

    Raises:
        DigestError: the digests differ.
    """
    from tokbench.images.decode import set_digest

    digests = [bytes.fromhex(digest) for digest in table["pixels_sha256"].to_pylist()]
    if not job["dataset_digest"] or job["partial"] or not all(digests):
        return
    found = set_digest(zip(table["image"].to_pylist(), digests, strict=True))
    if found != job["dataset_digest"]:
        raise DigestError(
            f"image set `{job['dataset']}`: its {len(digests)} images are not the ones its card names: digest {found}, "
            f"pinned {job['dataset_digest']}",
            hint="restore the images, or evaluate them with --images PATH under their own name",
        )
