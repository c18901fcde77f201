"""Several processes at one results folder, and clocks that jump."""

from __future__ import annotations

import os
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.errors import IntegrityError
from tokbench.results.disk import Disk
from tokbench.results.store import MANIFEST, SUMMARY, Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", range(4))
def test_two_runs_in_one_folder_both_end_with_the_right_numbers(
    fake_run: Any, same: Any, tmp_path: Path, seed: int
) -> None:
    """In any order of their steps; their rows and states differ in a time, so that a mixed pair would be seen."""
    run = fake_run(images=12, size=4)
    wanted = run.all(Store(tmp_path / "alone"))
    turns = random.Random(seed)
    turn = threading.Condition()
    waiting: list[threading.Thread] = []

    class Taking(Disk):
        """Waits for its turn before each step, so that the order is drawn at random and yet repeatable."""

        def link(self, source: Path, target: Path) -> None:
            step()
            super().link(source, target)

        def rename(self, source: Path, target: Path) -> None:
            step()
            super().rename(source, target)

        def sync(self, descriptor: int) -> None:
            pass

        def sync_folder(self, path: Path) -> None:
            step()

    def step() -> None:
        me = threading.current_thread()
        with turn:
            waiting.append(me)
            turn.notify_all()
            turn.wait_for(lambda: me not in waiting, 20)

    found: dict[int, Any] = {}

    def work(number: int) -> None:
        store = Store(tmp_path / "shared", Taking())
        try:
            run.open(store)
            for unit in run.units:  # both have seen an empty folder: each computes everything
                run.write(store, *unit, noise=number)
            found[number] = run.finish(store)
        except BaseException as error:
            found[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        with turn:
            alive = [each for each in threads if each.is_alive()]
            if (
                turn.wait_for(lambda: len(waiting) >= sum(each.is_alive() for each in threads), 0.01)
                and waiting
            ):
                waiting.remove(turns.choice(waiting))
                turn.notify_all()
        assert alive is not None
    for number in (1, 2):
        assert not isinstance(found[number], BaseException), found[number]
        assert same(found[number], wanted)
    assert same(run.finish(Store(tmp_path / "shared")), wanted)
    assert run.work(Store(tmp_path / "shared")) == 0


def test_two_different_runs_at_once_in_a_new_folder(fake_run: Any, tmp_path: Path) -> None:
    """Both found the folder empty; the second one to write its manifest is refused and changes nothing."""
    run, other = fake_run(), fake_run(key="other")
    store, late = Store(tmp_path), Store(tmp_path)
    assert late.read_json(MANIFEST) is None
    run.open(store)
    with pytest.raises(IntegrityError):
        other.open(late)
    run.work(store)
    assert run.finish(store).complete


def test_a_folder_that_another_run_took_over_gets_no_summary(fake_run: Any, tmp_path: Path) -> None:
    """As it may be on an object store, which has no first and second: the last look is before the summary."""
    run, other = fake_run(), fake_run(key="other")
    store = Store(tmp_path)
    run.open(store)
    run.work(store)
    store.write_json(MANIFEST, other.manifest)
    with pytest.raises(IntegrityError, match="taken over by another run"):
        run.finish(store)
    assert not (tmp_path / SUMMARY).exists()


def test_a_folder_that_is_deleted_in_mid_run_gets_no_summary(fake_run: Any, tmp_path: Path) -> None:
    import shutil

    run = fake_run()
    store = Store(tmp_path / "out")
    run.open(store)
    run.work(store, run.units[:1])
    shutil.rmtree(tmp_path / "out")
    run.work(store, run.units[1:])
    with pytest.raises(IntegrityError):
        run.finish(store)
    assert not list(tmp_path.rglob(SUMMARY))


def test_no_decision_depends_on_a_clock(
    fake_run: Any, same: Any, snapshot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a run is done in 2099; the clock jumps back to 1970 and forward by days between any two looks at it."""
    run = fake_run()
    wanted = run.all(Store(tmp_path / "alone"))
    store = Store(tmp_path / "out")
    run.open(store)
    run.work(store, run.units[:2])
    future = datetime(2099, 1, 1, tzinfo=UTC).timestamp()
    for path in tmp_path.rglob("out/**/*"):
        os.utime(path, (future, future))
    jumps = random.Random(0)
    monkeypatch.setattr(time, "time", lambda: jumps.uniform(0, 1e9))
    monkeypatch.setattr(time, "time_ns", lambda: jumps.randrange(10**18))
    before = snapshot(tmp_path / "out", "*.parquet")
    again = Store(tmp_path / "out")
    run.open(again)
    assert run.work(again) == 1
    assert same(run.finish(again), wanted)
    assert before.items() <= snapshot(tmp_path / "out", "*.parquet").items()
    assert datetime.now(UTC) - datetime.fromtimestamp(future, UTC) < timedelta(0)
