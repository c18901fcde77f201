"""Sound documents and files, one of each kind that tokbench parses: what fuzzing starts from."""

from __future__ import annotations

import base64
import io
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

_WORD = {"text": "ink", "box": [1, 2, 9.5, 8], "size": 12.0}
_POINTS = [[1, 1], [6, 1], [4, 4], [2, 6], [6, 6]]
_HEX = "0" * 64
CARD: dict[str, Any] = {
    "name": "card",
    "version": "1",
    "title": "t",
    "license": "CC0-1.0",
    "source": "s",
    "purpose": "p",
    "reader": "folder",
    "path": "pictures",
    "count": 1,
    "digest": "",
    "embedded": False,
    "columns": {"image": "image"},
    "items": [
        {
            "id": "a",
            "file": "a.png",
            "sha256": "",
            "truth": {"words": [_WORD], "faces": [{"box": [0, 0, 8, 8], "points": _POINTS}], "label": 3},
        }
    ],
}
ADAPTER: dict[str, Any] = {
    "dependencies": ["tokbench", "torch"],
    "requires-python": ">=3.10",
    "tool": {
        "tokbench": {
            "license": "Apache-2.0",
            "families": ["f"],
            "environment": {"repository": "https://example.org/a/b", "commit": "0" * 40, "call_seconds": 3},
            "tokenizers": [
                {
                    "name": "t",
                    "kind": "discrete",
                    "vocab": 16,
                    "stride": 8,
                    "trained_on": ["x"],
                    "options": {"levels": [2, 2]},
                    "weights": [
                        {"name": "w", "source": "https://example.org/w.pt", "sha256": _HEX, "size": 3}
                    ],
                }
            ],
        }
    },
}
SUITE: dict[str, Any] = {"tokenizers": ["identity"], "datasets": ["faces-mini"], "tasks": ["reconstruction"]}
THRESHOLDS: dict[str, Any] = {
    "default": {"relative": 0.01},
    "metric": {"psnr": {"absolute": 0.2, "worse": "lower", "check": True}},
    "bin": {"small": {"absolute": 0.03}},
    "task": {"text-words": {"metric": {"t_acc": {"absolute": 0.005}}}},
}
WORDS = b"truth,predicted,ratio,file_name\nink,ink,0.03,a\npaper,paner,0.01,b\n"
_BOXED = {"bbox": [1, 2, 3, 4], "ratio": 0.5}
ANNOTATIONS: dict[str, Any] = {
    "coco-instances": {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 5, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "iscrowd": 0}],
    },
    "textocr": {
        "imgs": {"1": {"file_name": "a.png"}, "2": {"file_name": "b.png"}},
        "anns": {"x": {"image_id": "1", "utf8_string": "ink", "bbox": [1, 2, 3, 4]}},
    },
    "tokbench-faces": [
        {"image_name": "a.png", "faces": [{"kps": _POINTS, "box": [0, 0, 8, 8], "ratio": 0.5}]},
        {"image_name": "b.png", "faces": []},
    ],
    "tokbench-words": [
        {"file_name": "a.png", "annotations": [{"rec": "ink", **_BOXED}]},
        {"file_name": "b.png", "annotations": []},
    ],
    "wflw-98": b"".join(
        b" ".join([b"1.5"] * 196 + [b"0", b"0", b"9", b"9"] + [b"0"] * 6 + [name]) + b"\n"
        for name in (b"a.png", b"b.png")
    ),
}
_JOB: dict[str, Any] = {
    "id": "identity.faces-mini.adm-256.00000000",
    "key": _HEX,
    "tokenizer": "identity",
    "spec": {"name": "identity", "kind": "codec", "vocab": 256, "source": "https://x", "trained_on": []},
    "dataset": "faces-mini",
    "dataset_version": "2",
    "dataset_digest": "",
    "dataset_license": "CC0-1.0",
    "protocol": "adm-256",
    "tasks": ["reconstruction"],
    "images": 17,
    "partial": False,
    "shards": 2,
    "unsupported": {"rfid": "weights of inception not found"},
}
MANIFEST: dict[str, Any] = {
    "schema": 1,
    "key": _HEX,
    "created": "2026-11-22T04:19:32+00:00",
    "command": ["tokbench", "run"],
    "tokbench": "0.1.0",
    "settings": {"seed": 0, "weights": {}},
    "environment": {"python": "3.11.7", "machine": "x86_64", "packages": {"torch": "2.15.0"}},
    "jobs": [_JOB],
    "identity": {
        "identity on faces-mini by adm-256": {
            "schema": 1,
            "tokenizer": {"name": "identity", "dtype": "float32"},
            "seed": 0,
            "tasks": {"reconstruction": 1},
            "metrics": ["psnr"],
            "evaluators": {"lite0": {"lite0": _HEX}},
            "protocol": "747303eb3521eab8",
            "images": {"name": "faces-mini"},
        }
    },
}
_ROW: dict[str, Any] = {
    "tokenizer": "identity",
    "dataset": "faces-mini",
    "task": "reconstruction",
    "protocol": "adm-256",
    "metric": "psnr",
    "view": "",
    "value": 30.5,
    "ci_low": 30.0,
    "ci_high": 31.0,
    "ci_method": "bootstrap-bca",
    "n": 17,
    "failed": 0,
    "unit": "dB",
    "higher_is_better": True,
    "status": "ok",
    "reliable": True,
    "reason": "",
}
SUMMARY: dict[str, Any] = {
    "schema": 1,
    "key": _HEX,
    "complete": True,
    "folder": "",
    "partial_images": False,
    "failures": {},
    "unreadable": {"faces-mini": {"image-3": "truncated"}},
    "rows": [
        _ROW,
        _ROW | {"metric": "bpp", "unit": "bit/px", "higher_is_better": False, "value": 24.0},
        _ROW
        | {
            "metric": "rfid",
            "value": None,
            "status": "unsupported",
            "reliable": False,
            "reason": "no weights",
        },
    ],
}


def baseline() -> dict[str, Any]:
    """Return the baseline of one metric on two images."""
    packed = base64.b64encode(zlib.compress(np.array([30.0, 31.0]).astype("<f8").tobytes())).decode()
    return {
        "kind": "tokbench baseline",
        "schema": 1,
        "tokbench": "0.1.0",
        "run": _HEX,
        "image_lists": [{"images": ["a", "b"], "pixels": "0" * 24}],
        "tokenizers": [
            {
                "tokenizer": "identity",
                "parts": [
                    {
                        "dataset": "d",
                        "task": "reconstruction",
                        "protocol": "adm-256",
                        "identity": {"seed": 0, "tasks": {"reconstruction": 1}, "evaluators": {}},
                        "list": 0,
                        "failed": {},
                        "shown": "psnr",
                        "timings": [],
                        "measured": [{"row": _ROW, "values": packed}, {"row": _ROW, "left_out": [1.0, 2.0]}],
                    }
                ],
            }
        ],
    }


def _picture() -> Image.Image:
    random = np.random.default_rng(0)
    return Image.fromarray(random.integers(0, 255, (9, 13, 3), dtype=np.uint8))


def png() -> bytes:
    """Return a small PNG."""
    return encoded()["PNG"]


@cache
def encoded() -> dict[str, bytes]:
    """Return a small picture in every common format, with EXIF and a profile where the format takes them."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    extra = {"exif": exif.tobytes(), "icc_profile": profile}
    options: dict[str, dict[str, Any]] = {
        "PNG": extra,
        "JPEG": extra,
        "WebP": {"lossless": True, **extra},
        "GIF": {"save_all": True, "append_images": [_picture().rotate(90)]},
        "BMP": {},
        "TIFF": {"compression": "tiff_lzw", "icc_profile": profile},
    }
    found = {}
    for kind, chosen in options.items():
        stream = io.BytesIO()
        _picture().save(stream, kind, **chosen)
        found[kind] = stream.getvalue()
    return found


@cache
def shard() -> tuple[Any, bytes, bytes]:
    """Return the rows of a shard of two images as a table and as Parquet, and states as `.npz`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "index": pa.array([0, 1], pa.int64()),
            "image": ["a", "b"],
            "status": ["ok", "ok"],
            "reason": ["", ""],
            "metric:psnr": [30.0, 31.0],
        }
    ).replace_schema_metadata({"tokbench.key": "key", "tokbench.states.sha256": _HEX})
    rows, states = io.BytesIO(), io.BytesIO()
    pq.write_table(table, rows, compression="zstd")
    np.savez(states, **{"features/index": np.arange(2), "features/reference": np.zeros((2, 3), np.float32)})
    return table, rows.getvalue(), states.getvalue()


@cache
def parquet_set() -> bytes:
    """Return an image set of two images as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.table({"image": [png(), png()], "id": ["a", "b"], "label": [1, 2]}), stream)
    return stream.getvalue()


@cache
def tensors() -> dict[str, Any]:
    """Return a safetensors header and the same checkpoint in PyTorch's two formats."""
    import torch

    value = {"model": {"state": {"w": torch.zeros(2, 3)}}}
    found: dict[str, Any] = {"header": {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}}
    for name, zipped in (("zip", True), ("old", False)):
        stream = io.BytesIO()
        torch.save(value, stream, _use_new_zipfile_serialization=zipped)
        found[name] = stream.getvalue()
    return found
