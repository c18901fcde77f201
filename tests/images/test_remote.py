"""Remote storage: the same set and the same numbers from everywhere, failures that pass, and the cache."""

from __future__ import annotations

import io
import tarfile
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import tokbench
from tokbench.errors import DataError, ImageError, MissingPackageError, UsageError
from tokbench.images import blocks, remote
from tokbench.images.ahead import ahead
from tokbench.images.blocks import BlockCache, object_key, open_cache
from tokbench.images.card import Card
from tokbench.images.decode import decode, set_digest
from tokbench.images.imageset import ImageSet, open_card, open_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytest.importorskip("aiohttp", reason="http:// needs aiohttp")


def picture(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((72, 64), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


# A space, a letter beyond ASCII and a sign that ends paths of URLs: web servers write them otherwise.
FILES = {f"{name}.png": picture(seed) for seed, name in enumerate(["a/a 1", "a/é", "b/c#1", "d", "e", "f"])}


def tar_bytes() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def parquet_bytes() -> bytes:
    buffer = io.BytesIO()
    rows = [{"bytes": data, "path": name} for name, data in reversed(FILES.items())]
    pq.write_table(pa.table({"image": rows}), buffer, row_group_size=4)
    return buffer.getvalue()


OBJECTS = {
    "set.tar": tar_bytes(),
    "set.parquet": parquet_bytes(),
    **{f"set/{name}": data for name, data in FILES.items()},
}
CONTAINERS = ("set", "set.tar", "set.parquet")


def contents(images: ImageSet) -> dict[str, Any]:
    return {item.id: data for item, data in images.read(images.items)}


WANTED = {name.removesuffix(".png"): data for name, data in FILES.items()}


@pytest.fixture(autouse=True)
def _quick_and_cold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(remote, "DELAYS", (0.0, 0.01, 0.01))
    monkeypatch.setenv("TOKBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def sources(tmp_path: Path, web: Any, s3: str) -> dict[str, str]:
    """One set in three containers, each on disk, on a web server and in an object store."""
    import fsspec

    store = fsspec.filesystem("s3")
    for name, data in OBJECTS.items():
        path = tmp_path / "local" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        store.pipe_file(f"{s3}/{name}", data)
    web.files |= OBJECTS
    places = {"local": str(tmp_path / "local"), "http": web.url, "s3": s3}
    return {f"{kind} {name}": f"{root}/{name}" for kind, root in places.items() for name in CONTAINERS}


def test_every_storage_gives_the_same_images_and_bit_identical_summaries(
    sources: dict[str, str], tmp_path: Path
) -> None:
    identities, digests, summaries = set(), set(), {}
    for name, source in sources.items():
        images = open_images(source)
        assert contents(images) == WANTED, name
        identities.add(images.identity)
        digests.add(set_digest((key, decode(data, key).digest) for key, data in contents(images).items()))
        results = tokbench.evaluate(
            ["identity", "jpeg-q50"],
            source,
            protocol="adm-64",
            out=tmp_path / "runs" / name.replace(" ", "-"),
        )
        assert results.complete
        # repr tells every float apart, and NaN is itself; speed is the clock's, not the images'.
        summaries[name] = [repr(replace(row, dataset="set")) for row in results.rows if row.unit != "image/s"]
    assert len(identities) == len(digests) == 1
    first = summaries["local set"]
    assert len(first) > 10
    for name, rows in summaries.items():
        assert rows == first, name


def test_a_second_run_reads_from_the_cache_alone(sources: dict[str, str], web: Any) -> None:
    for name in CONTAINERS:
        assert contents(open_images(sources[f"http {name}"])) == WANTED
        before = web.bodies()
        assert before > 0
        assert contents(open_images(sources[f"http {name}"])) == WANTED
        assert web.bodies() == before, name


def test_shards_in_a_folder_are_cached_and_tried_again_too(web: Any, tmp_path: Path) -> None:
    web.files["shards/0.tar"] = tar_bytes()
    web.faults = [503]
    card = Card("c", "1", "t", "CC0-1.0", "here", "p", "tar", f"{web.url}/shards", len(FILES))
    for _ in range(2):
        assert contents(open_card(card, tmp_path)) == WANTED
        assert web.bodies() == 1


def test_a_changed_object_is_read_again(web: Any) -> None:
    web.files["set/a.png"] = b"x" * 100
    assert contents(open_images(f"{web.url}/set")) == {"a": b"x" * 100}
    web.files["set/a.png"] = b"y" * 100
    assert contents(open_images(f"{web.url}/set")) == {"a": b"y" * 100}


def test_a_changed_object_of_an_object_store_is_read_again(s3: str) -> None:
    import fsspec

    store = fsspec.filesystem("s3", skip_instance_cache=True)  # another client than the one that reads
    for letter in (b"x", b"y"):
        store.pipe_file(f"{s3}/set/a.png", letter * 100)
        assert contents(open_images(f"{s3}/set")) == {"a": letter * 100}


def test_a_cut_download_goes_on_from_the_blocks_it_had(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BLOCK", 1000)
    web.files["set/a.png"] = data = np.random.default_rng(0).bytes(4500)
    images = open_images(f"{web.url}/set")
    web.faults = [200] * 4 + [503] * 4  # the size, three blocks, then nothing any more
    with pytest.raises(DataError, match=r"a\.png` cannot be reached, tried 4 times") as caught:
        contents(images)
    assert "same command again" in str(caught.value)
    web.asked.clear()
    assert contents(images) == {"a": data}
    assert [each.range for each in web.asked if each.method == "GET"] == [
        "bytes=3000-3999",
        "bytes=4000-4499",
    ]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("faults", [[503, 503], [200, 502, 429]])
def test_failures_that_pass_are_waited_out(web: Any, container: str, faults: list[int]) -> None:
    web.files |= OBJECTS
    web.faults = list(faults)
    images = open_images(f"{web.url}/{container}")
    web.faults = [503, 500]
    assert contents(images) == WANTED
    assert not web.faults


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_connection_cut_in_a_body_is_tried_again(web: Any, container: str) -> None:
    web.files |= OBJECTS
    images = open_images(f"{web.url}/{container}")
    if container != "set":
        images = replace(
            images, reader=replace(images.reader, place=replace(images.reader.place, cache=None))
        )
    web.faults = [200, "cut"]
    before = web.bodies()
    assert contents(images) == WANTED
    assert not web.faults
    assert web.bodies() > before + 1


def test_what_is_absent_or_forbidden_is_not_tried_again(web: Any) -> None:
    with pytest.raises(DataError, match="there is nothing at `http"):
        open_images(f"{web.url}/nowhere.tar")
    assert len(web.asked) == 2  # by HEAD and by GET, once each
    web.files["x.tar"] = b""
    web.asked.clear()
    web.faults = [403, 403]
    with pytest.raises(DataError, match=r"x\.tar"):
        open_images(f"{web.url}/x.tar")
    assert len(web.asked) == 2


def test_an_object_that_vanishes_is_one_image_less(web: Any) -> None:
    web.files |= {"set/a.png": b"a", "set/b.png": b"b"}
    images = open_images(f"{web.url}/set")
    del web.files["set/a.png"]
    got = contents(images)
    assert isinstance(got["a"], ImageError)
    assert got["b"] == b"b"


def test_a_listing_that_breaks_is_tried_again(web: Any) -> None:
    web.files |= {"set/a.png": b"a", "set/sub/b.png": b"b"}
    web.faults = [
        200,
        200,
        "close",
        "close",
    ]  # aiohttp asks a second time; what is at the URL, the page of the set, the page of the subfolder
    items = open_images(f"{web.url}/set").items
    assert not web.faults
    assert [item.file for item in items] == ["a.png", "sub/b.png"]


@pytest.mark.parametrize(("status", "said"), [(403, "Forbidden"), (404, "set/sub"), (503, "tried 4 times")])
def test_a_subfolder_that_cannot_be_listed_does_not_shorten_the_set(web: Any, status: int, said: str) -> None:
    web.files |= {"set/a.png": b"a", "set/sub/b.png": b"b"}
    assert len(open_images(f"{web.url}/set").items) == 2
    web.barred = {"set/sub": status}
    with pytest.raises(DataError, match=said):
        open_images(f"{web.url}/set")


def test_absent_from_an_object_store(s3: str) -> None:
    with pytest.raises(DataError, match="there is nothing at `s3://"):
        open_images(f"{s3}/nowhere.tar")


def test_a_server_without_ranges_is_named(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BLOCK", 1000)
    web.files |= OBJECTS
    web.ranges = False
    with pytest.raises(DataError, match="bytes where 1000 were asked for"):
        open_images(f"{web.url}/set.tar")


@pytest.mark.parametrize(
    ("scheme", "extra"), [("s3", "s3"), ("gs", "gcs"), ("https", "http"), ("hf", "hub"), ("zip::gcs", "gcs")]
)
def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, scheme: str, extra: str) -> None:
    def refuse(url: str) -> None:
        raise ImportError("Install something")

    monkeypatch.setattr("fsspec.core.url_to_fs", refuse)
    with pytest.raises(MissingPackageError) as caught:
        open_images(f"{scheme}://bucket/set")
    assert caught.value.hint == f"pip install 'tokbench[{extra}]'"


# ---- waiting


def test_delays_grow_and_a_final_failure_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    calls: list[int] = []

    def fail_with(error: Exception) -> Callable[[], None]:
        def call() -> None:
            calls.append(1)
            raise error

        return call

    with pytest.raises(DataError, match=r"`x` cannot be reached, tried 5 times: reset"):
        remote.reach(fail_with(ConnectionResetError("reset")), "x")
    assert waited == [0.5, 1.0, 2.0, 4.0]
    for final in (FileNotFoundError("x"), PermissionError("x"), ValueError("a defect")):
        calls.clear()
        with pytest.raises(type(final)):
            remote.reach(fail_with(final), "x")
        assert len(calls) == 1


# ---- reading ahead


def test_reading_ahead_keeps_the_order_and_is_bounded() -> None:
    started: list[int] = []

    def calls() -> Iterator[Callable[[], int]]:
        for number in range(50):
            started.append(number)
            yield lambda number=number: number

    got = []
    for number in ahead(calls(), threads=4, depth=5):
        got.append(number)
        assert len(started) <= number + 1 + 5
    assert got == list(range(50))


def test_reading_ahead_raises_in_turn_and_stops() -> None:
    started: list[int] = []

    def call(number: int) -> int:
        started.append(number)
        if number == 3:
            raise DataError("third")
        return number

    stream = ahead((lambda number=number: call(number)) for number in range(1000))
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="third"):
        next(stream)
    assert len(started) < 20


def test_a_reader_that_stops_early_cancels_what_waits() -> None:
    """One thread is busy with the second call while the others wait: they must never be made."""
    busy, go_on = threading.Event(), threading.Event()
    made: list[int] = []

    def call(number: int) -> int:
        made.append(number)
        if number == 1:
            busy.set()
            assert go_on.wait(10)
        return number

    stream = ahead((partial(call, number) for number in range(100)), depth=5)
    assert next(stream) == 0
    assert busy.wait(10)
    # Closing waits for the busy call, so that it is let go from aside, long after the others were cancelled.
    timer = threading.Timer(0.2, go_on.set)
    timer.start()
    stream.close()  # type: ignore[attr-defined]
    timer.join()
    assert made == [0, 1]


def test_a_failure_cancels_what_waits() -> None:
    """Two threads: one fails, the other is busy until the failure was taken; nothing is begun after it."""
    taken = threading.Event()
    made: list[int] = []

    def call(number: int) -> int:
        made.append(number)
        if number == 0:
            raise DataError("first")
        assert taken.wait(10)
        return number

    stream = ahead((partial(call, number) for number in range(100)), threads=2, depth=5)
    timer = threading.Timer(0.3, taken.set)
    timer.start()
    with pytest.raises(DataError, match="first"):
        next(stream)
    timer.join()
    # Calls that both threads began before the failure was taken; the fourth and later ones waited.
    assert set(made) <= {0, 1, 2}


# ---- the cache


def test_the_cache_drops_what_was_read_longest_ago(tmp_path: Path) -> None:
    import os

    size = 100 + 32
    cache = BlockCache(tmp_path, 5 * size)
    for number in range(5):
        cache.put("key", number, bytes([number]) * 100)
        os.utime(tmp_path / "key" / str(number), (number, number))
    assert cache.get("key", 0, 100) == bytes(100)  # and now it is the newest
    cache.put("other", 0, b"z" * 100)
    kept = {f"{path.parent.name}/{path.name}" for path in tmp_path.glob("*/*")}
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 5 * size
    assert {"key/0", "key/4", "other/0"} <= kept
    assert "key/1" not in kept
    cache.put("huge", 0, bytes(6 * size))
    assert cache.get("huge", 0, 6 * size) is None


def test_damaged_blocks_are_read_again(tmp_path: Path) -> None:
    cache = BlockCache(tmp_path, 10_000)
    cache.put("key", 0, b"a" * 100)
    path = tmp_path / "key" / "0"
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + b"b", b""):
        path.write_bytes(damaged)
        assert cache.get("key", 0, 100) is None
    assert cache.get("key", 0, 99) is None


def test_a_cache_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = BlockCache(tmp_path / "file", 10_000)
    cache.put("key", 0, b"a")
    assert cache.get("key", 0, 1) is None


def test_the_bound_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_cache() == BlockCache(blocks.cache_dir() / "images", 16_000_000_000)
    monkeypatch.setenv("TOKBENCH_IMAGE_CACHE_GB", "0.5")
    assert open_cache() == BlockCache(blocks.cache_dir() / "images", 500_000_000)
    monkeypatch.setenv("TOKBENCH_IMAGE_CACHE_GB", "0")
    assert open_cache() is None
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("TOKBENCH_IMAGE_CACHE_GB", wrong)
        with pytest.raises(UsageError, match="not a number of gigabytes"):
            open_cache()


def test_keys_change_with_the_content_and_need_a_mark() -> None:
    one = object_key("s3://b/x", {"ETag": "1", "size": 3})
    others = [("s3://b/y", "1", 3), ("s3://b/x", "2", 3), ("s3://b/x", "1", 4)]
    assert one not in {object_key(url, {"ETag": tag, "size": size}) for url, tag, size in others}
    assert object_key("http://h/x", {"size": 3}) == ""
