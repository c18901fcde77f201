"""The end of a run: every shard is there, so the summary may be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.errors import DigestError, IntegrityError
from tokbench.results.results import Results
from tokbench.results.store import MANIFEST, PARTIAL, SUMMARY
from tokbench.results.summary import read_table, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from tokbench.errors import TokbenchError
    from tokbench.results.store import Store
    from tokbench.tasks.base import Task

_GROUPS, _RUNS = 3, 8
"""How many of the tokenizers, and how many runs of shards, a message names."""


class UnfinishedError(IntegrityError):
    """A sharded run whose other parts are not here yet; what this process had to do is done.

    Args:
        message: which shards are missing.
        hint: how to get them.
        failures: ``{tokenizer: why it broke}`` in this process.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, failures: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.failures = dict(failures or {})


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
    names = {job["id"]: job["tokenizer"] for job in manifest["jobs"]}
    failures = {names[job]: f"{type(error).__name__}: {error.message}" for job, error in failed.items()}
    missing = {job: absent for job, absent in missing_shards(store, manifest).items() if job not in failed}
    if missing:
        count = sum(len(absent) for absent in missing.values())
        raise UnfinishedError(
            f"`{store.folder}`: {count} shards have yet to be computed: {_shown(manifest, missing)}",
            hint="run the same command again; of a run in parts the other --shard parts, then `tokbench merge`",
            failures=failures,
        )
    unreadable: dict[str, dict[str, str]] = {}
    for job in manifest["jobs"]:
        if job["id"] not in failed:
            table = read_table(store, job)
            check_digest(job, table)
            images = table.select(["image", "status", "reason"]).to_pylist()
            lost = {row["image"]: row["reason"] for row in images if row["status"] == "failed"}
            if lost:
                unreadable.setdefault(job["dataset"], {}).update(lost)
    rows = summarize(store, manifest, tasks, failed)
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


def missing_shards(store: Store, manifest: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return ``{job id: numbers of the shards that are not there}``, of jobs that miss any."""
    found = {
        job["id"]: [n for n in range(job["shards"]) if not store.done(job["id"], job["key"], n)]
        for job in manifest["jobs"]
    }
    return {job: absent for job, absent in found.items() if absent}


def _shown(manifest: Mapping[str, Any], missing: Mapping[str, list[int]]) -> str:
    """Say which shards are missing: ``2, 5–7 of 196 of `a` on photos and 3 other tokenizers``."""
    groups: dict[tuple[int, tuple[int, ...], str], list[str]] = {}
    for job in manifest["jobs"]:
        if job["id"] in missing:
            key = job["shards"], tuple(missing[job["id"]]), job["dataset"]
            groups.setdefault(key, []).append(job["tokenizer"])
    texts = [
        f"{ranges(absent)} of {shards} of `{names[0]}`"
        + (f" and {len(names) - 1} other tokenizers" if len(names) > 1 else "")
        + f" on {dataset}"
        for (shards, absent, dataset), names in groups.items()
    ]
    return "; ".join(texts[:_GROUPS]) + (f"; and {len(texts) - _GROUPS} more" if len(texts) > _GROUPS else "")


def ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers from 0 as people count, from 1: ``1, 3–5``; long lists are cut."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number:
            runs[-1][1] = number + 1
        else:
            runs.append([number + 1, number + 1])
    texts = [str(first) if first == last else f"{first}–{last}" for first, last in runs]
    return ", ".join(texts[:_RUNS]) + (", …" if len(texts) > _RUNS else "")


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
