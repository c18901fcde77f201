"""Every system call of the results folder fails once: nothing finished is lost, and the same command goes on."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.errors import StorageError
from tokbench.results import folder
from tokbench.results.merge import merge_folders
from tokbench.results.store import Store

if TYPE_CHECKING:
    from pathlib import Path

SAID = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "no space left",
    errno.EROFS: "Read-only file system",
    errno.EIO: "Input/output error",
}


def test_a_fault_at_any_call_costs_the_file_in_hand(
    fake_run: Any, faulty_disk: Any, same: Any, snapshot: Any, tmp_path: Path
) -> None:
    run = fake_run(images=7, size=4)
    counted = faulty_disk()
    whole = run.all(Store(tmp_path / "whole", counted))
    assert {*counted.kinds} == {
        "make_folder",
        "create",
        "write",
        "sync",
        "link",
        "rename",
        "sync_folder",
        "remove",
    }
    for at in range(len(counted.calls)):
        out, code = tmp_path / str(at), list(SAID)[at % len(SAID)]
        with pytest.raises(StorageError, match=SAID[code]) as caught:
            run.all(Store(out, faulty_disk(at, code)))
        assert caught.value.exit_code == 7
        assert "same command" in str(caught.value.hint)
        assert not list(out.rglob(".*"))
        kept = snapshot(out, "*.parquet")
        assert same(run.all(Store(out, faulty_disk())), whole), (at, counted.calls[at])
        assert kept.items() <= snapshot(out, "*.parquet").items()
        assert len(list(out.rglob("*"))) == len(list((tmp_path / "whole").rglob("*")))


def test_a_fault_while_merging_costs_nothing(
    fake_run: Any,
    fake_task: Any,
    faulty_disk: Any,
    same: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = fake_run(images=7, size=4)
    part = tmp_path / "part"
    wanted = run.all(Store(part))
    catalog: Any = SimpleNamespace(task=lambda name: fake_task)
    counted = faulty_disk()
    monkeypatch.setattr(folder, "Disk", lambda: counted)
    merge_folders([part], tmp_path / "whole", catalog)
    assert counted.kinds["rename"] == 6  # manifest, two shards of two files, summary
    for at in range(0, len(counted.calls), 3):
        out = tmp_path / str(at)
        monkeypatch.setattr(folder, "Disk", partial(faulty_disk, at, errno.ENOSPC))
        with pytest.raises(StorageError, match="no space left"):
            merge_folders([part], out, catalog)
        assert not (out / "summary.json").exists() or counted.calls[at] in {"sync_folder", "remove"}
        monkeypatch.setattr(folder, "Disk", faulty_disk)
        assert same(merge_folders([part], out, catalog), wanted)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.ENOTSUP, errno.ENOSYS, errno.EPERM])
def test_a_file_system_without_rename_is_named_before_anything_is_computed(
    fake_run: Any, faulty_disk: Any, tmp_path: Path, code: int
) -> None:
    class NoNames(faulty_disk):
        def link(self, source: Path, target: Path) -> None:
            raise OSError(code, os.strerror(code))

    run = fake_run()
    with pytest.raises(StorageError, match="results need a file system that renames files") as caught:
        run.open(Store(tmp_path / "out", NoNames("rename", code)))
    assert "s3://" in str(caught.value.hint)
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_file_system_without_links_will_do(
    fake_run: Any, faulty_disk: Any, same: Any, tmp_path: Path, code: int
) -> None:
    run = fake_run()
    results = run.all(Store(tmp_path / "out", faulty_disk("link", code)))
    assert same(results, run.all(Store(tmp_path / "other")))
    assert same(results, run.all(Store(tmp_path / "out", faulty_disk("link", code))))


def test_a_folder_that_cannot_be_flushed_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.fsync

    def no_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", no_folders)
    Store(tmp_path / "out").write_json("x.json", {"a": 1})
    assert Store(tmp_path / "out").read_json("x.json") == {"a": 1}


def test_names_are_flushed_with_their_files(faulty_disk: Any, tmp_path: Path) -> None:
    """Power may fail after any call: a file is flushed before it has its name, and its folder right after."""
    disk = faulty_disk()
    Store(tmp_path / "a" / "b", disk).write_json("x.json", {})
    made = ["make_folder", "sync_folder"]
    assert disk.calls == [*made, *made, "create", "write", "sync", "rename", "sync_folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(fake_run: Any, tmp_path: Path) -> None:
    run = fake_run()
    run.all(Store(tmp_path))
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="Permission denied") as caught:
            run.open(Store(tmp_path))
    finally:
        tmp_path.chmod(0o700)
    assert caught.value.exit_code == 7


def test_half_written_files_of_dead_processes_are_swept(fake_run: Any, tmp_path: Path) -> None:
    run = fake_run()
    store = Store(tmp_path)
    run.all(store)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tokbench.results.disk import Disk\n"
        "from tokbench.results.store import Store\n"
        "class Killed(Disk):\n"
        "    def rename(self, source, target): os.kill(os.getpid(), 9)\n"
        "Store(Path(sys.argv[1]), Killed()).write_json(sys.argv[2], {})\n"
    )
    for name in ("x.json", "shards/job-0/00000.parquet"):
        assert subprocess.run([sys.executable, "-c", script, tmp_path, name], check=False).returncode == -9
    left = list(tmp_path.rglob(".*.tmp"))
    assert len(left) == 2
    mine = left[0].name.rsplit(".", 2)[1]
    machine, process, number = mine.split("-")
    kept = {
        tmp_path / f".y.json.{machine}-{os.getpid()}-{number}.tmp": "a process that lives",
        tmp_path / f".y.json.{machine}-1-{number}.tmp": "a process of somebody else",
        tmp_path / f".y.json.0{machine[1:7]}x-{process}-{number}.tmp": "no name of ours",
        tmp_path / f".y.json.{'0' * 8}-{process}-{number}.tmp": "another machine",
        tmp_path / ".notes.tmp": "a file of the user",
    }
    for path in kept:
        path.write_text("x")
    before = set(tmp_path.rglob("*"))
    run.open(Store(tmp_path))
    assert before - set(tmp_path.rglob("*")) == set(left)
