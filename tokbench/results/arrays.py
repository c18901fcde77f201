"""Reading `.npz` files of strangers: nothing is unpickled, and nothing takes more memory than the file has bytes for.

numpy makes room for what a header claims before it reads on, and a few bytes can claim an exabyte.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy.typing as npt

LARGEST = 4 << 30
"""Bytes that the arrays of one file may have in all."""

_START = 10
_MOST_AXES = 8
_HEADER = re.compile(
    rb"\{'descr': '(?P<kind>[<>|=]?[A-Za-z]\d{0,6})', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>[\d, ]{0,200})\), \} *\n"
)


def read_arrays(data: bytes, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays whose names start with a prefix, by the rest of their names.

    Raises:
        ValueError: it is no such file, an array holds objects, or one is not as large as it claims.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > LARGEST:
                raise ValueError(f"its arrays are larger than {LARGEST >> 30} GiB")
            return {
                member.filename.removeprefix(prefix).removesuffix(".npy"): _read(archive, member)
                for member in members
                if member.filename.startswith(prefix) and member.filename.endswith(".npy")
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, TypeError) as error:
        raise ValueError(f"it is no file of arrays: {error}") from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """Read one array of numpy's format 1.0, the one that `numpy.savez` writes for plain types."""
    import numpy as np

    with archive.open(member) as stream:
        start = stream.read(_START)
        size = int.from_bytes(start[-2:], "little")
        found = _HEADER.fullmatch(stream.read(size))
        if start[:-2] != b"\x93NUMPY\x01\x00" or found is None:
            raise ValueError(f"`{member.filename}` is no plain array")
        if b"O" in found["kind"]:
            raise ValueError(f"`{member.filename}` holds Python objects, which are never unpickled")
        kind = np.dtype(found["kind"].decode())
        shape = tuple(int(side) for side in found["shape"].decode().split(",") if side.strip())
        if _START + size + math.prod(shape) * kind.itemsize != member.file_size or len(shape) > _MOST_AXES:
            raise ValueError(f"`{member.filename}` claims the shape {shape} and has {member.file_size} bytes")
        order: Literal["F", "C"] = "F" if found["fortran"] == b"True" else "C"
        array: npt.NDArray[Any] = np.frombuffer(bytearray(stream.read()), kind).reshape(shape, order=order)
    return array
