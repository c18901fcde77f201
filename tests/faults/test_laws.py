"""Laws of merging and rounding, on examples that hypothesis draws."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokbench.errors import IntegrityError
from tokbench.images.rounding import from_uint8, to_uint8
from tokbench.metrics.pooled import PSNR_POOLED
from tokbench.results.finish import UnfinishedError
from tokbench.results.merge import merge_folders
from tokbench.results.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

# The fixtures hold nothing that an example changes: every folder of an example is a new one.
BOUNDED = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
SHARDS = 3
parts = st.sets(st.integers(0, SHARDS - 1))
numbers = itertools.count()


class Merging:
    """Folders in memory, each with some shards of one run, and what merging makes of them."""

    def __init__(self, run: Any, task: Any) -> None:
        self.run, self._task = run, task

    def task(self, name: str) -> Any:
        """Stand for the catalog, of which merging asks nothing else."""
        return self._task

    def folder(self, shards: Any = (), noise: int = 0) -> str:
        url = f"memory://laws/{next(numbers)}"
        store = Store(url)
        self.run.open(store)
        for shard in shards:
            self.run.write(store, 0, shard, noise)
        return url

    def merge(self, *folders: str) -> str:
        out = f"memory://laws/{next(numbers)}"
        try:
            merge_folders(folders, out, self)  # type: ignore[arg-type]
            assert len(self.content(out)) == SHARDS
        except UnfinishedError:
            assert len(self.content(out)) < SHARDS
        return out

    def content(self, url: str) -> dict[int, Any]:
        """What a folder holds, by shard: rows and states."""
        store = Store(url)
        return {
            shard: (
                store.read_rows("job-0", "run-0", shard).to_pydict(),
                store.read_states("job-0", shard, "squares")["table"].tolist(),
            )
            for shard in range(SHARDS)
            if store.done("job-0", "run-0", shard)
        }


@pytest.fixture
def merging(fake_run: Any, fake_task: Any) -> Iterator[Merging]:
    yield Merging(fake_run(images=10, size=4), fake_task)
    fsspec.filesystem("memory").store.clear()


@BOUNDED
@given(a=parts, b=parts, c=parts)
def test_merging_folders_is_a_commutative_idempotent_monoid(
    merging: Merging, a: set[int], b: set[int], c: set[int]
) -> None:
    merging = Merging(
        merging.run, replace(merging.task(""), metrics=(PSNR_POOLED,), headline=(), primary="psnr_pooled")
    )
    x, y, z, nothing = (merging.folder(part) for part in (a, b, c, ()))
    merge, content = merging.merge, merging.content
    assert set(content(merge(x, y))) == a | b
    assert content(merge(x, y)) == content(merge(y, x))
    assert content(merge(merge(x, y), z)) == content(merge(x, merge(y, z))) == content(merge(x, y, z))
    assert content(merge(x, nothing)) == content(merge(nothing, x)) == content(x)
    assert content(merge(x, x)) == content(merge(x)) == content(x)


@cache
def whole(merging: Merging) -> Any:
    return merging.run.all(Store(f"memory://laws/{next(numbers)}"))


@BOUNDED
@given(data=st.data())
def test_any_plan_of_shards_and_any_order_give_the_same_summary(
    merging: Merging, same: Any, data: st.DataObject
) -> None:
    """Every shard is computed by at least one of n workers, by some twice; each writes where and when it will."""
    workers = data.draw(st.integers(1, 4), "workers")
    plan = [(unit, data.draw(st.integers(0, workers - 1))) for unit in range(SHARDS)]
    plan += data.draw(
        st.lists(st.tuples(st.integers(0, SHARDS - 1), st.integers(0, workers - 1)), max_size=3)
    )
    folders = [merging.folder() for _ in range(workers)]
    for shard, worker in data.draw(st.permutations(plan), "order"):
        merging.run.write(Store(folders[worker]), 0, shard, noise=worker)
    out = folders[0] if data.draw(st.booleans(), "into one of them") else f"memory://laws/{next(numbers)}"
    results = merge_folders(data.draw(st.permutations(folders)), out, merging)  # type: ignore[arg-type]
    assert same(results, whole(merging))


def test_what_is_damaged_in_one_folder_is_taken_from_another(merging: Merging, same: Any) -> None:
    bad, good = merging.folder(range(SHARDS)), merging.folder(range(SHARDS))
    memory = fsspec.filesystem("memory")
    for path in memory.glob(f"{bad}/shards/job-0/0000[12]*.parquet"):
        memory.pipe_file(path, memory.cat_file(path)[:-9])
    assert set(merging.content(bad)) == {0}
    results = merge_folders([bad, good], f"memory://laws/{next(numbers)}", merging)  # type: ignore[arg-type]
    assert same(results, whole(merging))
    assert set(merging.content(bad)) == {0}  # sources are only read


def test_a_folder_without_a_run_is_no_part_of_one(merging: Merging) -> None:
    with pytest.raises(IntegrityError, match="holds no run"):
        merging.merge(merging.folder(range(SHARDS)), "memory://laws/none")


@settings(max_examples=60, deadline=None, database=None)
@given(
    levels=st.lists(st.integers(0, 255), min_size=1, max_size=30),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    shift=st.floats(-0.4999, 0.4999),
)
def test_rounding_is_the_inverse_of_scaling_and_forgives_half_a_level(
    levels: list[int], dtype: torch.dtype, shift: float
) -> None:
    pixels = torch.tensor(levels, dtype=torch.uint8)
    assert torch.equal(to_uint8(from_uint8(pixels).to(dtype)), pixels)
    assert torch.equal(to_uint8(from_uint8(pixels).to(dtype) + shift / 255), pixels)


@settings(max_examples=60, deadline=None, database=None)
@given(values=st.lists(st.floats(-2, 3, width=32), min_size=1, max_size=30))
def test_rounding_twice_is_rounding_once(values: list[float]) -> None:
    once = to_uint8(torch.tensor(values))
    assert torch.equal(to_uint8(from_uint8(once)), once)
    inside = torch.tensor(values).clamp(0, 1)
    # Half a level, and what float32 may add to it.
    assert (from_uint8(once) - inside).abs().max() <= 0.5 / 255 + 1e-6
