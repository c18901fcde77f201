"""A baseline: one JSON file that a later run is compared with, image by image, without the run it came from.

::

    {
     "kind": "tokbench baseline", "schema": 1, "tokbench": version, "run": key of the run,
     "image_lists": [{"images": [ids], "pixels": shortened SHA-256 of each image's pixels, joined}],
     "tokenizers": [{"tokenizer": name, "parts": [
       {"dataset", "task", "protocol", "identity": from the manifest, "list": number, "failed", "shown", "timings",
        "measured": [{"row": row of the summary, "values": packed, "left_out": [replicates]}]}]}]
    }

Per-image values are packed as base64 of deflated little-endian float64: ten to eleven bytes of file for each, exact to
the last bit, since a rounded baseline would differ from the very run it was made of. With the metrics of
`reconstruction` that makes 20 kB for a tokenizer on 40 images and 0.5 to 0.8 MB on 5,000.
"""

from __future__ import annotations

import base64
import binascii
import os
import zlib
from typing import TYPE_CHECKING, Any

from tokbench.documents import parse_json
from tokbench.errors import IntegrityError, StorageError
from tokbench.results.schema import column, row_from_dict, to_json
from tokbench.results.side import Measured, Part, Side
from tokbench.results.sound import check_identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

KIND, SCHEMA = "tokbench baseline", 1
_PIXELS = 12


def write_baseline(file: Path, sides: Sequence[Side], key: str) -> int:
    """Write what a run measured as a baseline, replacing an older one in one step.

    Args:
        file: the file.
        sides: tokenizers with their results.
        key: key of the run, for people who look for it.

    Returns:
        The size of the file in bytes.

    Raises:
        StorageError: the file cannot be written.
    """
    from tokbench import __version__

    lists: list[dict[str, Any]] = []
    document = {
        "kind": KIND,
        "schema": SCHEMA,
        "tokbench": __version__,
        "run": key,
        "image_lists": lists,
        "tokenizers": [
            {"tokenizer": side.tokenizer, "parts": [_part(*each, lists) for each in side.parts.items()]}
            for side in sides
        ],
    }
    data = (to_json(document, indent=1) + "\n").encode()
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(file)
    except OSError as error:
        raise StorageError(f"baseline `{file}` cannot be written: {error.strerror or error}") from error
    return len(data)


def read_baseline(file: Path) -> list[Side]:
    """Read a baseline.

    Returns:
        One side per tokenizer, without the rules of means that are not arithmetic: those are the run's.

    Raises:
        StorageError: the file cannot be read.
        IntegrityError: it is no baseline, damaged, or of another schema version.
    """
    try:
        document = parse_json(file.read_text("utf-8"))
    except OSError as error:
        raise StorageError(
            f"baseline `{file}` cannot be read: {error.strerror or error}",
            hint="write one with `tokbench gate --update --run DIR --baseline FILE`",
        ) from error
    except ValueError as error:
        raise IntegrityError(f"baseline `{file}` is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise IntegrityError(f"`{file}` is no baseline", hint="write one with `tokbench gate --update`")
    if document.get("schema") != SCHEMA:
        raise IntegrityError(
            f"baseline `{file}` is of schema {document.get('schema')}, this tokbench reads {SCHEMA}",
            hint="write it anew with `tokbench gate --update`",
        )
    try:
        return [
            Side(
                each["tokenizer"],
                f"{each['tokenizer']} (baseline)",
                str(file),
                {
                    (part["dataset"], part["task"], part["protocol"]): _read_part(
                        part, document["image_lists"]
                    )
                    for part in each["parts"]
                },
            )
            for each in document["tokenizers"]
        ]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, zlib.error) as error:
        raise IntegrityError(
            f"baseline `{file}` is damaged: {type(error).__name__}: {error}",
            hint="write it anew with `tokbench gate --update`",
        ) from error


def _part(place: tuple[str, str, str], part: Part, lists: list[dict[str, Any]]) -> dict[str, Any]:
    images = {
        "images": list(part.images),
        "pixels": "".join(digest[:_PIXELS].ljust(_PIXELS, "-") for digest in part.pixels),
    }
    if images not in lists:
        lists.append(images)
    dataset, task, protocol = place
    return {
        "dataset": dataset,
        "task": task,
        "protocol": protocol,
        "identity": part.identity,
        "list": lists.index(images),
        "failed": dict(part.failed),
        "shown": part.shown,
        "timings": list(part.timings),
        "measured": [_measured(each) for each in part.measured.values()],
    }


def _measured(measured: Measured) -> dict[str, Any]:
    found: dict[str, Any] = {"row": measured.row.to_dict()}
    if measured.values is not None:
        found["values"] = _pack(measured.values)
    if measured.left_out:
        found["left_out"] = list(measured.left_out)
    return found


def _read_part(part: Mapping[str, Any], lists: Sequence[Mapping[str, Any]]) -> Part:
    check_identity("the baseline", "identity", part["identity"])
    images = tuple(lists[part["list"]]["images"])
    joined = lists[part["list"]]["pixels"]
    if len(joined) != _PIXELS * len(images):
        raise ValueError("images and their pixels differ in number")
    measured = {}
    for each in part["measured"]:
        row = row_from_dict(each["row"])
        values = _unpack(each["values"], len(images)) if "values" in each else None
        left_out = tuple(float(value) for value in each.get("left_out", ()))
        measured[column(row.metric, row.view)] = Measured(row, values, left_out)
    return Part(
        images,
        tuple(joined[at : at + _PIXELS].rstrip("-") for at in range(0, len(joined), _PIXELS)),
        dict(part["failed"]),
        part["identity"],
        str(part["shown"]),
        measured,
        tuple(part["timings"]),
    )


def _pack(values: npt.NDArray[np.float64]) -> str:
    return base64.b64encode(zlib.compress(values.astype("<f8").tobytes(), 9)).decode()


def _unpack(text: str, count: int) -> npt.NDArray[np.float64]:
    import numpy as np

    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"values are not base64: {error}") from error
    # A file from elsewhere cannot make this allocate more than its list of images is worth.
    raw = zlib.decompressobj().decompress(data, 8 * count + 1)
    if len(raw) != 8 * count:
        raise ValueError(f"values are not those of {count} images")
    values: npt.NDArray[np.float64] = np.frombuffer(raw, "<f8").astype(np.float64)
    return values
