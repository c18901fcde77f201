"""Finding and loading weights: the right file, or a clear refusal; nothing in a file is ever executed."""

import hashlib
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tokbench.errors import DigestError, SetupError, WeightsMissingError
from tokbench.weights import WeightFile, cache_dir, cache_path, digest, load_state_dict, resolve


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def remote():
    return WeightFile("net", "https://example.org/files/net-1.pth", sha256(b"good"))


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_absent_weights_name_the_command(remote):
    with pytest.raises(WeightsMissingError, match="weights of net not found; tokbench fetch net") as caught:
        resolve(remote, {})
    assert "--weights net=PATH" in caught.value.hint


def test_the_cache_is_used(remote):
    path = put(cache_path(remote), b"good")
    assert path == cache_dir() / "weights" / "net" / "net-1.pth"
    assert resolve(remote, {}) == path
    path.unlink()


def test_a_swapped_file_is_refused_even_after_a_good_one(remote):
    path = put(cache_path(remote), b"good")
    resolve(remote, {})
    os.utime(path, ns=(1, 1))
    put(path, b"evil")
    with pytest.raises(DigestError, match=sha256(b"evil")[:16]):
        resolve(remote, {})
    path.unlink()


def test_an_override_wins_and_is_not_compared(remote, tmp_path):
    put(cache_path(remote), b"good")
    mine = put(tmp_path / "mine.pth", b"mine")
    assert resolve(remote, {"net": mine}) == mine
    assert digest(mine) == sha256(b"mine")
    cache_path(remote).unlink()


def test_a_missing_override_is_named(remote, tmp_path):
    with pytest.raises(WeightsMissingError, match=r"gone\.pth"):
        resolve(remote, {"net": tmp_path / "gone.pth"})


def test_cache_folder_without_a_choice_is_the_users(monkeypatch):
    monkeypatch.delenv("TOKBENCH_CACHE")
    assert cache_dir().name == "tokbench"


def test_shipped_weights_lie_beside_the_adapters(tmp_path):
    put(tmp_path / "vq" / "book.safetensors", b"x")
    file = WeightFile("book", "shipped:vq/book.safetensors", sha256(b"x"))
    assert resolve(file, {}, tmp_path) == tmp_path / "vq" / "book.safetensors"
    with pytest.raises(WeightsMissingError, match="book not found"):
        resolve(file, {}, None)


@pytest.mark.parametrize(
    "source", ["shipped:../secret", "shipped:/etc/passwd", "package:torch/../../x", "shipped:"]
)
def test_a_source_cannot_leave_its_folder(source, tmp_path):
    with pytest.raises(SetupError, match="leaves its folder"):
        resolve(WeightFile("x", source), {}, tmp_path)


def test_package_weights_are_found_without_importing_the_package(tmp_path, monkeypatch):
    put(tmp_path / "carrier_pkg" / "__init__.py", b"raise RuntimeError('imported')")
    put(tmp_path / "carrier_pkg" / "data" / "w.bin", b"w")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve(WeightFile("w", "package:carrier_pkg/data/w.bin", sha256(b"w")), {}).read_bytes() == b"w"
    with pytest.raises(WeightsMissingError):
        resolve(WeightFile("w", "package:no_such_pkg/w.bin"), {})


def test_digest_follows_changes_and_names_unreadable_files(tmp_path):
    path = put(tmp_path / "a", b"1")
    assert digest(path) == sha256(b"1")
    put(path, b"22")
    assert digest(path) == sha256(b"22")
    with pytest.raises(SetupError, match="cannot be read"):
        digest(tmp_path / "none")


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "safetensors-without-suffix.bin"])
def test_tensors_load_from_both_formats(name, tmp_path):
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}
    path = tmp_path / name
    if name.endswith(".pth"):
        torch.save(tensors, path)
    else:
        safetensors.torch.save_file(tensors, path)
    loaded = load_state_dict(path)
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[key], tensors[key]) for key in tensors)


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (Path(self.target),))


def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path):
    target = tmp_path / "executed"
    path = tmp_path / "evil.pth"
    torch.save({"a": torch.zeros(1), "b": Bomb(target)}, path)
    with pytest.raises(SetupError, match="refused: the file is not a plain checkpoint"):
        load_state_dict(path)
    assert not target.exists()
    # The plant is live: the same file does run its code when it is unpickled the usual way.
    torch.load(path, weights_only=False)
    assert target.exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3, "model": {"a": torch.zeros(1)}}])
def test_anything_but_named_tensors_is_refused(content, tmp_path):
    path = tmp_path / "x.pth"
    torch.save(content, path)
    with pytest.raises(SetupError, match="wanted a mapping of names to tensors"):
        load_state_dict(path)


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
def test_damaged_files_are_named(name, tmp_path):
    path = tmp_path / name
    whole = tmp_path / "whole"
    save = safetensors.torch.save_file if name.endswith("safetensors") else torch.save
    save({"a": torch.zeros(1000)}, whole)
    path.write_bytes(whole.read_bytes()[:-2000])
    with pytest.raises(SetupError, match=r"cut\."):
        load_state_dict(path)


def test_absent_files_are_named(tmp_path):
    with pytest.raises(SetupError, match=r"none\.pth cannot be read"):
        load_state_dict(tmp_path / "none.pth")
