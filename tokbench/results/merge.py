"""Merging the results folders of one run: the reduce step of ``--shard``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.errors import IntegrityError, UsageError
from tokbench.results.finish import UnfinishedError, finish, missing_shards, ranges
from tokbench.results.sound import check_manifest
from tokbench.results.store import MANIFEST, Store, differing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokbench.catalog import Catalog
    from tokbench.errors import TokbenchError
    from tokbench.results.results import Results


def merge_folders(
    folders: Sequence[Path | str], out: Path | str, catalog: Catalog, *, partial: bool = False
) -> Results:
    """Copy every shard that is in one of the folders into `out` and summarise.

    The sources are only read. What is damaged in one of them is taken from another one, or is missing.

    Args:
        folders: results folders of one run, paths or fsspec URLs.
        out: results folder of the whole; new, or of the same run.
        catalog: where the tasks of the run are looked up.
        partial: summarise the tokenizers that are complete; the others are in `Results.failures`.

    Raises:
        UsageError: no folder was given.
        IntegrityError: a folder is of another run or holds none.
        UnfinishedError: shards are missing, and `partial` is not wanted.
    """
    if not folders:
        raise UsageError("nothing to merge", hint="name the results folders of the --shard parts")
    store = Store(out)
    first = None
    for source in [store, *(Store(folder) for folder in folders)]:
        manifest = source.read_json(MANIFEST)
        if manifest is None:
            if source is store:
                continue
            raise IntegrityError(
                f"`{source.folder}` holds no run", hint="give folders that `tokbench run` wrote"
            )
        check_manifest(manifest, source.folder)
        first = first or manifest
        if manifest["key"] != first["key"]:
            fields = differing(first["identity"], manifest["identity"])
            raise IntegrityError(
                f"`{source.folder}` is of another run than the others: {'; '.join(list(fields)[:3])}",
                hint="merge only folders that the same command made with different --shard",
            )
    assert first is not None
    store.write_json(MANIFEST, first)
    for folder in folders:
        source = Store(folder)
        for job in first["jobs"]:
            for shard in range(job["shards"]):
                if not store.done(job["id"], job["key"], shard) and source.done(job["id"], job["key"], shard):
                    store.copy_shard(source, job["id"], job["key"], shard)
    tasks = {name: catalog.task(name) for job in first["jobs"] for name in job["tasks"]}
    failed: dict[str, TokbenchError] = {}
    if partial:
        shards = {job["id"]: job["shards"] for job in first["jobs"]}
        failed = {
            job: UnfinishedError(f"shards {ranges(absent)} of {shards[job]} are missing")
            for job, absent in missing_shards(store, first).items()
        }
    return finish(store, first, tasks, failed)
