"""Shards that are cut, altered, exchanged, of another run or gone: refused, made again, and never summarised."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.errors import IntegrityError, StorageError
from tokbench.results.finish import UnfinishedError
from tokbench.results.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOB = "shards/job-0"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 8, len(data) // 2):
        data[at] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def zeros(path: Path) -> None:
    """What a file system may show after power failed: the length, without the content."""
    path.write_bytes(bytes(path.stat().st_size))


def folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def refused(run: Any, folder: Path) -> None:
    """The shard counts as absent, and no summary is made of it."""
    store = Store(folder)
    assert not store.done("job-0", "run-0", 0)
    with pytest.raises(UnfinishedError, match="1 shards have yet to be computed"):
        run.finish(store)
    with pytest.raises(IntegrityError, match="cannot be used"):
        run_states(Store(folder))


def run_states(store: Store) -> None:
    store.read_rows("job-0", "run-0", 0)
    store.read_states("job-0", 0, "squares")


@pytest.mark.parametrize("harm", [cut, alter, empty, remove, zeros])
@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_a_damaged_shard_is_refused_and_made_again(
    fake_run: Any, same: Any, snapshot: Any, tmp_path: Path, harm: Callable[[Path], None], kind: str
) -> None:
    run = fake_run()
    whole = run.all(Store(tmp_path))
    others = set(tmp_path.rglob("0000[12]*"))
    before = snapshot(tmp_path)
    harm(next(tmp_path.glob(f"{JOB}/00000*.{kind}")))
    refused(run, tmp_path)
    store = Store(tmp_path)
    run.open(store)
    assert run.work(store) == 1
    assert same(run.finish(store), whole)
    assert {path: before[path] for path in others}.items() <= snapshot(tmp_path).items()


def test_every_byte_of_the_rows_counts(fake_run: Any, tmp_path: Path) -> None:
    run = fake_run(images=4)
    run.all(Store(tmp_path))
    path = tmp_path / JOB / "00000.parquet"
    whole = path.read_bytes()
    rows = Store(tmp_path).read_rows("job-0", "run-0", 0)
    harmless = 0
    for at in range(0, len(whole), 13):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        try:
            # Some bytes of the format carry nothing (statistics, the writer's name): then the rows must be the rows.
            assert Store(tmp_path).read_rows("job-0", "run-0", 0).equals(rows)
            harmless += 1
        except IntegrityError:
            continue
    assert harmless < len(whole) / 13 / 2


def test_shards_under_each_others_names_are_refused(fake_run: Any, same: Any, tmp_path: Path) -> None:
    run = fake_run(images=12, size=4)  # all of one length, so that nothing but the mark tells them apart
    whole = run.all(Store(tmp_path))
    first, second = tmp_path / JOB / "00000.parquet", tmp_path / JOB / "00001.parquet"
    first.rename(tmp_path / "x")
    second.rename(first)
    (tmp_path / "x").rename(second)
    store = Store(tmp_path)
    with pytest.raises(IntegrityError, match="another shard under this one's name"):
        store.read_rows("job-0", "run-0", 0)
    assert run.work(store) == 2
    assert same(run.finish(store), whole)


def test_states_of_another_shard_are_refused(fake_run: Any, same: Any, tmp_path: Path) -> None:
    run = fake_run(images=12, size=4)
    whole = run.all(Store(tmp_path))
    first, second = (next(tmp_path.glob(f"{JOB}/{name}.*.npz")) for name in ("00000", "00001"))
    shutil.copy(second, first)
    refused(run, tmp_path)
    assert same(run.all(Store(tmp_path)), whole)


def test_a_shard_of_another_run_is_refused(fake_run: Any, tmp_path: Path) -> None:
    run, other = fake_run(), fake_run(key="other")
    run.all(Store(tmp_path / "a"))
    other.all(Store(tmp_path / "b"))
    shutil.copytree(tmp_path / "b" / "shards", tmp_path / "a" / "shards", dirs_exist_ok=True)
    with pytest.raises(IntegrityError, match="belongs to another run"):
        Store(tmp_path / "a").read_rows("job-0", "run-0", 0)
    assert run.work(Store(tmp_path / "a")) == 3


def test_damage_between_two_looks_is_never_summarised(fake_run: Any, tmp_path: Path) -> None:
    """A shard that this process found whole once, and that is spoilt before the summary."""
    run = fake_run()
    store = Store(tmp_path)
    run.open(store)
    run.work(store)
    for kind in ("parquet", "npz"):
        assert run.work(store) == 0  # found whole
        alter(next(tmp_path.glob(f"{JOB}/00001*.{kind}")))
        with pytest.raises(IntegrityError, match="cannot be used") as caught:
            run.finish(store)
        assert "computed anew" in str(caught.value.hint)
        assert not (tmp_path / "summary.json").exists()
        assert run.work(Store(tmp_path)) == 1


def test_something_else_in_a_shards_place_is_said(fake_run: Any, tmp_path: Path) -> None:
    run = fake_run()
    run.all(Store(tmp_path))
    folder_in_its_place(tmp_path / JOB / "00000.parquet")
    store = Store(tmp_path)
    assert not store.done("job-0", "run-0", 0)
    with pytest.raises(StorageError, match="Is a directory"):
        run.work(store)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00" * 40, '{"a": ' * 5000, "\xff"])
@pytest.mark.parametrize("name", ["manifest.json", "summary.json"])
def test_damaged_documents_are_named(fake_run: Any, tmp_path: Path, name: str, text: str) -> None:
    from tokbench import Results

    fake_run().all(Store(tmp_path))
    (tmp_path / name).write_text(text, "latin-1")
    with pytest.raises(IntegrityError, match=name):
        Results.load(tmp_path)
