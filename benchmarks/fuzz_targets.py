"""Everything of tokbench that parses, with the inputs to throw at it: shared by `fuzz.py` and the test suite.

A target returns, or raises a `TokbenchError`; anything else is a defect.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import tarfile
import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from fuzz_inputs import altered, as_json, changed, toml
from fuzz_sound import (
    ADAPTER,
    ANNOTATIONS,
    CARD,
    MANIFEST,
    SUITE,
    SUMMARY,
    THRESHOLDS,
    WORDS,
    baseline,
    encoded,
    parquet_set,
    png,
    shard,
    tensors,
)
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Inputs = st.SearchStrategy[Any]
LIMIT = 1 << 20
"""Pixels of the largest image that is decoded here."""


@dataclass(frozen=True)
class Target:
    """Something that parses.

    Attributes:
        inputs: what it is given.
        run: called with a folder that holds nothing of an earlier input of this kind, and an input.
    """

    inputs: Inputs
    run: Callable[[Path, Any], object]


def _card(folder: Path, text: bytes) -> None:
    from tokbench.images.card import read_card_header

    path = folder / "card.toml"
    path.write_bytes(text)
    (folder / "pictures").mkdir(exist_ok=True)
    (folder / "pictures" / "a.png").write_bytes(png())
    read_card_header(path)
    _open(path)


def _open(path: Path) -> None:
    """Open an image set and do with its truth what a run does."""
    from tokbench.images.imageset import open_images
    from tokbench.images.preprocess import prepare
    from tokbench.images.truth import place_truth
    from tokbench.metrics.annotations import words_of
    from tokbench.metrics.region import inside
    from tokbench.protocol import get_protocol

    found = open_images(str(path))
    assert len(found.identity) > 60
    prepared = prepare(np.zeros((16, 16, 3), np.uint8), get_protocol("native"))
    for item, _ in found.read(found.items[:4]):
        truth = place_truth(item.truth, prepared)
        words_of(truth, 0)
        inside(truth, 16, 16)


def _annotations(folder: Path, drawn: tuple[str, bytes]) -> None:
    from tokbench.images.annotate import annotate
    from tokbench.images.card import Card, Item

    kind, data = drawn
    (folder / "truth").write_bytes(data)
    card = Card("c", "1", "t", "l", "s", "p", "folder", ".", 0, annotations={"format": kind, "file": "truth"})
    annotate(card, folder, [Item("a", "a.png"), Item("b", "b.png")])


def _image(folder: Path, data: bytes) -> None:
    from tokbench.images.decode import decode

    pixels = decode(data, "image", limit=LIMIT).pixels
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] == (3,)


def _png_sums(data: bytes) -> bytes:
    """Mend the checksums of a PNG's chunks, so that what is inside them is looked at."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + size]
        out += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return bytes(out)


def _tar(folder: Path, data: bytes) -> None:
    path = folder / "set.tar"
    path.write_bytes(data)
    _open(path)


def _tar_sums(data: bytes) -> bytes:
    """Mend the checksums of what looks like tar headers."""
    out = bytearray(data)
    for at in range(0, len(out) - 511, 512):
        if out[at + 257 : at + 262] == b"ustar":
            out[at + 148 : at + 156] = b" " * 8
            out[at + 148 : at + 156] = b"%06o\0 " % sum(out[at : at + 512])
    return bytes(out)


def _sound_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in (
            ("a.png", png()),
            ("a.json", b'{"label": 3}'),
            ("ü" * 60 + ".png", png()),
            ("b.cls", b"2"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def _parquet(folder: Path, data: bytes) -> None:
    path = folder / "set.parquet"
    path.write_bytes(data)
    _open(path)


def _adapter(folder: Path, text: bytes) -> None:
    from tokbench.header import read_header

    path = folder / "adapter.py"
    path.write_bytes(text)
    read_header(path)


def _commented(text: str) -> bytes:
    lines = "".join(f"# {line}\n" for line in text.splitlines())
    return f"# /// script\n{lines}# ///\n".encode()


def _weights(folder: Path, data: bytes) -> None:
    from tokbench.weights import load_state_dict

    path = folder / "weights.pt"
    path.write_bytes(data)
    load_state_dict(path, inside="model.state")


def _settings(folder: Path, data: bytes) -> None:
    from tokbench.weights import WeightFile, load_settings

    path = folder / "config.json"
    path.write_bytes(data)
    load_settings(WeightFile("w", "https://x/config.json", inside="a.b"), path)


def _safetensors(header: Any, body: int, size: int | None = None) -> bytes:
    text = as_json(header)
    return struct.pack("<Q", len(text) if size is None else size) + text + bytes(body)


def _results(folder: Path, drawn: tuple[bytes, bytes]) -> None:
    """Load a results folder and show it in every form."""
    from tokbench.leaderboard.pages import build
    from tokbench.report.build import build_report
    from tokbench.results.results import Results

    (folder / "manifest.json").write_bytes(drawn[0])
    (folder / "summary.json").write_bytes(drawn[1])
    results = Results.load(folder)
    results.summary()
    results._repr_html_()
    build_report([results], _catalog(), images=0)
    build({"run": results}, [], _catalog())


def _merge(folder: Path, drawn: tuple[bytes, bytes]) -> None:
    from tokbench.results.merge import merge_folders

    (folder / "part").mkdir(exist_ok=True)
    (folder / "part" / "manifest.json").write_bytes(drawn[0])
    (folder / "whole" / "manifest.json").unlink(missing_ok=True)
    merge_folders([folder / "part"], folder / "whole", _catalog())


def _submission(folder: Path, drawn: tuple[bytes, bytes]) -> None:
    from tokbench.leaderboard.validate import validate

    files = {"manifest.json": drawn[0], "summary.json": drawn[1]}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    for name, data in {**files, "checksums.json": as_json({"schema": 1, "files": sums})}.items():
        (folder / name).write_bytes(data)
    assert all(str(problem) for problem in validate(folder, _catalog()))


def _shard(folder: Path, drawn: tuple[bytes, bytes]) -> None:
    """Read states and rows whose checksums are right, as a liar would make them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tokbench.results.arrays import read_arrays
    from tokbench.results.store import Store
    from tokbench.results.summary import read_table

    rows, states = drawn
    with contextlib.suppress(ValueError):  # the store makes an IntegrityError of it
        read_arrays(states, "features/")
    store = Store(folder)
    try:
        store.write_shard("job", "key", 0, pq.read_table(io.BytesIO(rows)), {})
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        (folder / "shards" / "job").mkdir(parents=True, exist_ok=True)
        (folder / "shards" / "job" / "00000.parquet").write_bytes(rows)
    read_table(store, {"id": "job", "key": "key", "images": 2, "shards": 1})


def _file(name: str, read: str) -> Callable[[Path, bytes], None]:
    """Return a run that writes its input into a file and gives that to ``module:function``."""

    def run(folder: Path, data: bytes) -> None:
        import importlib

        module, _, function = read.partition(":")
        path = folder / name
        path.write_bytes(data)
        getattr(importlib.import_module(module), function)(path)

    return run


def _bitstream(folder: Path, drawn: tuple[bytes, int]) -> None:
    from tokbench.bitstream import unpack
    from tokbench.tokenizer import TokenSpec

    start, rest = drawn[0][:4], drawn[0][8:]
    sealed = start + struct.pack("<I", zlib.crc32(rest, zlib.crc32(start))) + rest
    unpack([sealed], TokenSpec("t", "discrete", vocab=drawn[1], codebooks=1))


_HEADS = st.builds(
    lambda form, dtype, width, sides, body: (
        struct.pack(f"<BBBB4x{len(sides)}I", form, dtype, width, len(sides), *sides) + body
    ),
    st.integers(0, 4),
    st.integers(0, 5),
    st.integers(0, 33) | st.sampled_from([64, 255]),
    st.lists(st.integers(0, 4) | st.sampled_from([2**31, 2**32 - 1]), max_size=6) | st.just([1] * 200),
    st.binary(max_size=24),
)


def _frame(folder: Path, data: bytes) -> None:
    import os

    from tokbench.errors import WorkerError
    from tokbench.external.frames import Channel, FrameError

    incoming, write = os.pipe()
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.write(write, data)
        os.close(write)
        Channel(incoming, sink).receive(2.0)
    except (FrameError, EOFError) as error:
        raise WorkerError(str(error)) from error  # what the caller of a worker makes of them
    finally:
        os.close(incoming)
        os.close(sink)


def _tomls(sound: list[Any]) -> Inputs:
    documents = altered(sound, null=False).map(toml)
    return documents.map(str.encode) | changed([toml(each).encode() for each in sound])


def _jsons(sound: list[Any]) -> Inputs:
    return altered(sound).map(as_json) | changed([as_json(each) for each in sound])


@cache
def _catalog() -> Any:
    from tokbench.catalog import discover

    return discover()


def targets() -> Mapping[str, Target]:
    """Return everything that parses, by name."""
    from tokbench.images.annotation_files import LISTS

    images = encoded()
    state_seeds = tensors()
    rows, states = shard()[1:]
    results = st.tuples(_jsons([MANIFEST]), st.just(as_json(SUMMARY))) | st.tuples(
        st.just(as_json(MANIFEST)), _jsons([SUMMARY])
    )
    lists = st.sampled_from(sorted(LISTS)).flatmap(
        lambda kind: st.tuples(
            st.just(kind),
            changed([ANNOTATIONS[kind]])
            if isinstance(ANNOTATIONS[kind], bytes)
            else _jsons([ANNOTATIONS[kind]]),
        )
    )
    heads = st.builds(_safetensors, altered([state_seeds["header"]]), st.integers(0, 40)) | st.builds(
        _safetensors, st.just(state_seeds["header"]), st.just(24), st.sampled_from([0, 1, 2**60, 2**64 - 1])
    )
    adapters = altered([ADAPTER], null=False).map(toml).map(_commented)
    return {
        "image set cards": Target(_tomls([CARD]), _card),
        "annotations": Target(lists, _annotations),
        "PNG": Target(changed([images["PNG"]]) | changed([images["PNG"]]).map(_png_sums), _image),
        **{kind: Target(changed([images[kind]]), _image) for kind in images if kind != "PNG"},
        "tar": Target(changed([_sound_tar()]).map(_tar_sums), _tar),
        "Parquet": Target(changed([parquet_set()]), _parquet),
        "adapter headers": Target(adapters | changed([_commented(toml(ADAPTER))]), _adapter),
        "safetensors": Target(heads | changed([_safetensors(state_seeds["header"], 24)]), _weights),
        "checkpoints": Target(changed([state_seeds["zip"], state_seeds["old"]]), _weights),
        "settings": Target(_jsons([{"a": {"b": {"c": 1}}}]), _settings),
        "results": Target(results, _results),
        "manifests to merge": Target(results, _merge),
        "submissions": Target(results, _submission),
        "shards": Target(st.tuples(changed([rows]), changed([states])), _shard),
        "baselines": Target(
            _jsons([baseline()]), _file("baseline.json", "tokbench.results.baseline:read_baseline")
        ),
        "thresholds": Target(
            _tomls([THRESHOLDS]), _file("t.toml", "tokbench.results.thresholds:read_thresholds")
        ),
        "suites": Target(_tomls([SUITE]), _file("suite.toml", "tokbench.suite:read_suite")),
        "word files": Target(
            changed([WORDS]), _file("words.csv", "tokbench.metrics.word_file:read_word_file")
        ),
        "codes": Target(st.tuples(_HEADS, st.sampled_from([1, 2, 256, 1000, 2**40])), _bitstream),
        "frames of workers": Target(changed([_sound_frame()]), _frame),
    }


def _sound_frame() -> bytes:
    from tokbench.external.frames import _LENGTHS, _MAGIC

    header = as_json({"verb": "decode", "parts": [["images", "float32", [1, 2]]]})
    return _LENGTHS.pack(_MAGIC, len(header), 8) + header + bytes(8)
