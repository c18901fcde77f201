"""The features of originals on disk: bit-equal or absent, whatever happened to the files."""

from __future__ import annotations

import errno
import functools
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tokbench.engine import feature_cache
from tokbench.engine.feature_cache import FeatureCache, content, default_folder, identify
from tokbench.networks.base import Features
from tokbench.networks.inception import INCEPTION

IDENTITY = {"evaluator": "toy/net", "weights": {"toy": "aa"}}
NAMES = [content(np.full((4, 5, 3), shade, np.uint8)) for shade in range(6)]
CPU = torch.device("cpu")


def toy_features(names: list[bytes]) -> Features:
    """Features that follow from the content, with numbers that ordinary comparison or rounding would lose."""
    rows = torch.tensor([[name[0] / 7, -0.0, float("nan"), 1e-42, float("inf")] for name in names])
    return Features(pooled=rows, spatial=rows[:, :3] * 3, logits=rows[:, 1:])


def assert_same_bits(got: Features | None, wanted: Features) -> None:
    assert got is not None
    assert got.maps == ()
    for name in ("pooled", "spatial", "logits"):
        one, other = getattr(got, name), getattr(wanted, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            assert torch.equal(one.view(torch.int32), other.contiguous().view(torch.int32))


def opened(
    folder: Path, names: list[bytes] = NAMES, identity: dict[str, object] | None = None
) -> FeatureCache:
    cache = FeatureCache(folder, identity or IDENTITY)
    cache.load(names)
    return cache


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The one file of a cache under tmp_path that knows all of NAMES."""
    cache = opened(tmp_path)
    cache.put(NAMES, toy_features(NAMES))
    cache.save()
    (found,) = tmp_path.rglob("*.safetensors")
    return found


def test_round_trip(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert first.get(NAMES) is None
    for batch in (NAMES[:4], NAMES[4:]):
        first.put(batch, toy_features(batch))
    assert_same_bits(first.get(NAMES[1:5]), toy_features(NAMES[1:5]))
    first.save()
    again = opened(tmp_path)
    chosen = [NAMES[5], NAMES[0], NAMES[5]]  # any images of the shard, in any order, the same one twice
    assert_same_bits(again.get(chosen), toy_features(chosen))
    assert again.get([*chosen, content(np.zeros((5, 4, 3), np.uint8))]) is None
    assert not again.trouble


def test_absent_vectors_stay_absent(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    only = Features(pooled=torch.randn(6, 3))
    cache.put(NAMES, only)
    cache.save()
    assert_same_bits(opened(tmp_path).get(NAMES), only)


def test_what_is_known_of_a_shard_grows(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.put(NAMES[:2], toy_features(NAMES[:2]))
    cache.save()
    (file,) = tmp_path.rglob("*.safetensors")
    later = opened(tmp_path)
    assert later.get(NAMES) is None
    assert later.get(NAMES[:2]) is not None
    before = file.stat().st_ino
    later.save()
    assert file.stat().st_ino == before  # nothing new, nothing written
    later.put(NAMES[2:], toy_features(NAMES[2:]))
    later.save()
    assert_same_bits(opened(tmp_path).get(NAMES), toy_features(NAMES))


def test_another_shard_forgets_the_last_one(tmp_path: Path) -> None:
    cache = opened(tmp_path, NAMES[:3])
    cache.put(NAMES[:3], toy_features(NAMES[:3]))
    cache.save()
    cache.load(NAMES[3:])
    assert cache.get(NAMES[:3]) is None
    cache.load(NAMES[:3])
    assert cache.get(NAMES[:3]) is not None
    cache.load([])
    assert cache.get([]) is None
    cache.save()


def test_maps_are_left_alone(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.put(NAMES, replace(toy_features(NAMES), maps=(torch.zeros(6, 2, 2, 2),)))
    cache.put(NAMES, Features())
    cache.save()
    assert cache.get(NAMES) is None
    assert not list(tmp_path.iterdir())


def test_sizes_of_one_shard_may_have_features_of_their_own(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    wide = Features(pooled=torch.ones(2, 9))
    cache.put(NAMES[:4], toy_features(NAMES[:4]))
    cache.put(NAMES[4:], wide)
    assert cache.get(NAMES) is None
    assert_same_bits(cache.get(NAMES[4:]), wide)
    cache.save()
    assert_same_bits(opened(tmp_path).get(NAMES[:4]), toy_features(NAMES[:4]))


def test_a_wrong_number_of_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="6 images for 5 contents"):
        opened(tmp_path).put(NAMES[:5], toy_features(NAMES))


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\xff" * len(data),
        lambda data: flip(data, 3),
        lambda data: flip(data, -1),
        lambda data: flip(data, -130),
        lambda data: flip(data, data.index(b"pooled")),
        lambda data: flip(data, data.index(b"F32")),
        lambda data: flip(data, data.index(b"toy/net")),
        lambda data: data.replace(b'"spatial"', b'"logitz"', 1),
    ],
)
def test_a_damaged_file_is_never_used_and_then_replaced(tmp_path: Path, file: Path, harm) -> None:
    file.write_bytes(harm(file.read_bytes()))
    cache = opened(tmp_path)
    assert cache.get(NAMES[:1]) is None
    cache.put(NAMES, toy_features(NAMES))
    cache.save()
    assert not cache.trouble
    assert_same_bits(opened(tmp_path).get(NAMES), toy_features(NAMES))


def test_features_of_other_weights_are_never_used(tmp_path: Path, file: Path) -> None:
    """A file that was put into the folder of another identity, or made by hand without the right label."""
    other = {"evaluator": "toy/net", "weights": {"toy": "bb"}}
    cache = opened(tmp_path, identity=other)
    assert cache.get(NAMES) is None
    cache.put(NAMES, Features(pooled=torch.zeros(6, 5)))
    cache.save()
    foreign = next(path for path in tmp_path.rglob("*.safetensors") if path != file)
    assert (foreign.name, foreign.parent != file.parent) == (file.name, True)
    foreign.replace(file)
    assert opened(tmp_path).get(NAMES) is None
    save_file({"pooled": torch.zeros(6, 5)}, file)
    assert opened(tmp_path).get(NAMES) is None


def test_a_file_of_another_shard_is_never_used(tmp_path: Path, file: Path) -> None:
    part = opened(tmp_path, NAMES[:3])
    file.replace(part._path)
    part.load(NAMES[:3])
    assert part.get(NAMES[:3]) is None


def test_two_writers_do_no_harm(tmp_path: Path) -> None:
    def write(names: list[bytes]) -> str:
        cache = opened(tmp_path)
        for _ in range(20):
            cache.put(names, toy_features(names))
            cache.save()
            cache._saved = 0
            cache.load(NAMES)
        return cache.trouble

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(write, [NAMES, NAMES[:3], NAMES[3:], NAMES])) == {""}
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    rows = opened(tmp_path)._rows
    assert set(rows) & set(NAMES)
    assert_same_bits(opened(tmp_path).get(list(rows)), toy_features(list(rows)))
    assert file.suffix == ".safetensors"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_what_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    calls = []

    def fail(handle: int) -> None:
        calls.append(handle)
        raise OSError(number, "as if")

    monkeypatch.setattr(feature_cache.os, "fsync", fail)
    cache = opened(tmp_path)
    for names in (NAMES[:3], NAMES):
        cache.load(names)
        cache.put(names, toy_features(names))
        cache.save()
        assert_same_bits(cache.get(names), toy_features(names))
    assert len(calls) == 1  # it is not tried again
    assert cache.trouble.endswith("as if")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    cache = opened(tmp_path / "taken")
    cache.put(NAMES, toy_features(NAMES))
    cache.save()
    assert cache.trouble
    assert_same_bits(cache.get(NAMES), toy_features(NAMES))


def test_content_is_shape_and_pixels() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert len(content(image)) == 32
    assert content(image) == content(np.asfortranarray(image))
    assert content(image) != content(image.reshape(4, 2, 3))
    assert content(image) != content(image + 1)


def test_identity_tells_apart_what_decides_the_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(evaluator=INCEPTION, weights="aa"):
        return identify(evaluator, {"inception": weights}, CPU)

    first = of()
    assert first == of()
    assert of(weights="bb") != first
    assert of(replace(INCEPTION, packages=("open_clip",)))["packages"]["open_clip"].startswith(
        "open_clip_torch"
    )
    (tmp_path / "plugin_net.py").write_text("def load(weights, device):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    import plugin_net

    plugin = replace(INCEPTION, load=functools.partial(plugin_net.load, {}))
    before = of(plugin)["code"]
    assert before != first["code"]
    Path(plugin_net.__file__).write_text("def load(weights, device):\n    return 1\n")
    assert of(plugin)["code"] != before
    del sys.modules["plugin_net"]
    monkeypatch.setattr(torch, "__version__", "2.99")
    assert of() != first


def test_the_folder_and_its_switch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOKBENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("TOKBENCH_FEATURES", raising=False)
    assert default_folder() == tmp_path / "features"
    monkeypatch.setenv("TOKBENCH_FEATURES", "off")
    assert default_folder() is None
