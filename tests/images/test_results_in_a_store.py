"""Results in an object store: the same numbers as in a folder, resumed, merged from there and to there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest

from tokbench import Results, evaluate
from tokbench.catalog import discover
from tokbench.errors import IntegrityError, StorageError
from tokbench.results.finish import UnfinishedError
from tokbench.results.merge import merge_folders
from tokbench.results.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def numbers(results: Results) -> dict[tuple[str, str], str]:
    return {
        (row.tokenizer, row.metric): repr((row.value, row.ci_low, row.ci_high, row.n))
        for row in results.rows
        if row.unit != "image/s"
    }


def test_a_run_into_an_object_store(s3: str, images: Path, tmp_path: Path) -> None:
    here = evaluate("identity", images, protocol="adm-64", limit=20, out=tmp_path / "here")
    out = f"{s3}/runs/one"
    with pytest.raises(UnfinishedError):
        evaluate("identity", images, protocol="adm-64", limit=20, out=out, shard=(1, 2))
    store = fsspec.filesystem("s3")
    before = {path: store.info(path)["LastModified"] for path in store.find(out) if path.endswith(".parquet")}
    assert len(before) == 1
    there = evaluate("identity", images, protocol="adm-64", limit=20, out=out)
    assert numbers(there) == numbers(here)
    assert numbers(Results.load(out)) == numbers(here)
    assert len(Results.load(out).images()) == 20
    assert {path: store.info(path)["LastModified"] for path in before} == before
    assert numbers(merge_folders([out], tmp_path / "copy", discover())) == numbers(here)
    assert numbers(merge_folders([tmp_path / "here"], f"{s3}/runs/two", discover())) == numbers(here)
    with pytest.raises(IntegrityError, match="holds the results of another run"):
        evaluate("identity", images, protocol="adm-64", limit=20, out=out, seed=1)


def test_a_bucket_that_is_not_there_is_named(s3: str) -> None:
    with pytest.raises(StorageError, match="cannot be written or read") as caught:
        Store(f"{s3}-absent/run").create_json("manifest.json", {})
    assert caught.value.exit_code == 7
    assert not fsspec.filesystem("s3").exists(f"{s3}-absent")
