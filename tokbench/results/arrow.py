"""Columns to and from Arrow without pandas.

pyarrow's own conversions from lists and to numpy import pandas wherever it is installed, which takes longer than all
of a small run's rows. These go through buffers; values and types are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa


def numbers(values: npt.ArrayLike, kind: Any) -> pa.Array:
    """Return a column of numbers; NaN stays NaN and is no blank.

    Args:
        values: one number each.
        kind: a numpy type of a fixed width, such as ``np.int64``.
    """
    import pyarrow as pa

    array = np.ascontiguousarray(values, kind)
    return pa.Array.from_buffers(pa.from_numpy_dtype(array.dtype), len(array), [None, pa.py_buffer(array)])


def texts(values: Sequence[str]) -> pa.Array:
    """Return a column of texts."""
    import pyarrow as pa

    encoded = [value.encode() for value in values]
    ends = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(value) for value in encoded], out=ends[1:])
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def to_numpy(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column of numbers; read only where it has no blanks, which become NaN."""
    if column.null_count:
        found: npt.NDArray[Any] = column.to_numpy()
        return found
    parts = [np.from_dlpack(chunk) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.empty(0, column.type.to_pandas_dtype())
