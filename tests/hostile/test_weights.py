"""Weights and arrays of strangers: nothing in them runs, and nothing takes more memory than the file has bytes for."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tokbench.errors import BrokenPluginError, SetupError
from tokbench.header import read_header
from tokbench.results.arrays import read_arrays
from tokbench.weights import load_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Planted:
    """Would make a file if anybody unpickled it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def zipped(pickled: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return stream.getvalue()


FORMS: dict[str, Callable[[Any], bytes]] = {
    "plain": pickle.dumps,
    "old protocol": lambda value: pickle.dumps(value, protocol=0),
    "torch zip": lambda value: zipped(pickle.dumps({"w": value}, protocol=2)),
    "torch old": lambda value: b"".join(
        pickle.dumps(each, protocol=2) for each in (0x1950A86A20F9469CFC6C, 1001, {}, {"w": value}, [])
    ),
    "inside a list": lambda value: pickle.dumps({"state": [torch.zeros(1), value]}),
}


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".pth", ".bin", ".safetensors"])
@pytest.mark.parametrize("form", FORMS)
def test_planted_code_never_runs(tmp_path: Path, form: str, suffix: str) -> None:
    trap = tmp_path / "ran"
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(FORMS[form](Planted(trap)))
    with pytest.raises(SetupError, match=r"weights .* (refused|damaged|cannot be read)") as caught:
        load_state_dict(path)
    assert caught.value.exit_code == 3
    assert not trap.exists()
    pickle.loads(pickle.dumps(Planted(trap)))  # the trap works
    assert trap.exists()


@pytest.mark.parametrize("size", [2**60, 2**64 - 1, 100_000_001, 0, 1])
def test_a_safetensors_header_of_any_claimed_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", size) + b'{"w": 1}')
    with pytest.raises(SetupError, match="damaged") as caught:
        load_state_dict(path)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**60]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "OBJECT", "shape": [2], "data_offsets": [0, 8]},
        [],
    ],
)
def test_a_safetensors_header_that_lies(tmp_path: Path, entry: Any) -> None:
    head = json.dumps({"w": entry}).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(8))
    with pytest.raises(SetupError, match="damaged"):
        load_state_dict(path)


def npz(kind: str, shape: str, body: bytes = bytes(64), name: str = "features/index.npy") -> bytes:
    head = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + body)
    return stream.getvalue()


def pickled_array(path: Path) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **{"features/index": np.array([Planted(path)], dtype=object)})
    return stream.getvalue()


def test_arrays_are_read_as_numpy_writes_them() -> None:
    random = np.random.default_rng(0)
    arrays = {
        "a": random.integers(-9, 9, (3, 0, 2)),
        "b": np.asfortranarray(random.normal(size=(3, 4)).astype(np.float32)),
        "c": np.array(["x", "longer"]),
        "d": np.array(7, np.uint64),
        "e": np.array([True, False]),
    }
    stream = io.BytesIO()
    np.savez(stream, **{f"state/{name}": array for name, array in arrays.items()}, **{"other/a": np.zeros(2)})
    found = read_arrays(stream.getvalue(), "state/")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (npz("'|O'", "(8,)"), "never unpickled"),
        (npz("'<f8'", "(1000000000000,)"), "claims the shape"),
        (npz("'<f8'", "(4294967296, 4294967296, 0, 99999)"), "claims the shape"),
        (npz("'<f8'", "(-8,)"), "no plain array"),
        (npz("[('a', '<f8')]", "(8,)"), "no plain array"),
        (npz("__import__('os').abort()", "(8,)"), "no plain array"),
        (npz("'<f8'", "(" * 60 + "8" + ")" * 20), "no plain array"),
        (npz("'<q9'", "(8,)"), "not understood"),
        (npz("'<f8'", "(8,)")[:-30], "no file of arrays"),
        (b"PK\x03\x04", "no file of arrays"),
        (b"", "no file of arrays"),
    ],
)
def test_arrays_that_lie_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_arrays(data, "features/")


def test_objects_in_arrays_are_never_unpickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="never unpickled"):
        read_arrays(pickled_array(tmp_path / "ran"), "features/")
    assert not (tmp_path / "ran").exists()


HEADER = """# /// script
# dependencies = []
# [tool.tokbench]
# [[tool.tokbench.tokenizers]]
# name = "t"
# kind = "codec"
# weights = [{{name = {name}, source = {source}}}]
# ///
"""


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("../../../outside", "https://x.org/w.pt"),
        ("/etc/cron.d", "https://x.org/w.pt"),
        ("w", "https://x.org/.."),
        ("w", "https://x.org/a/.."),
        ("w\n", "https://x.org/w.pt"),
        ("", "https://x.org/w.pt"),
    ],
)
def test_an_adapter_cannot_name_a_file_outside_the_cache(tmp_path: Path, name: str, source: str) -> None:
    path = tmp_path / "adapter.py"
    path.write_text(HEADER.format(name=json.dumps(name), source=json.dumps(source)))
    with pytest.raises(BrokenPluginError, match="cannot be stored"):
        read_header(path)


def test_a_header_of_nothing_but_first_lines_is_read_in_time(tmp_path: Path) -> None:
    """An expression over the whole text would try every first line with every rest: hours."""
    path = tmp_path / "adapter.py"
    path.write_text("# /// script\n" * 300_000)
    with pytest.raises(BrokenPluginError, match="has no `# /// script` header"):
        read_header(path)
