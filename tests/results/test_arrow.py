"""Columns through buffers are what pyarrow makes itself, and showing a finished run needs neither torch nor pandas."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokbench import evaluate
from tokbench.results.arrow import numbers, texts, to_numpy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("values", [[], [3], [1, -2, 7]])
def test_numbers(kind: type, values: list[int]) -> None:
    made = numbers(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.from_numpy_dtype(kind)))
    back = to_numpy(pa.chunked_array([made, made]))
    assert back.dtype == kind
    assert back.tolist() == [*values, *values]


def test_nan_is_a_number_and_a_blank_becomes_nan() -> None:
    made = numbers([1.0, math.nan, math.inf], np.float64)
    assert made.null_count == 0
    np.testing.assert_array_equal(to_numpy(pa.chunked_array([made])), [1.0, math.nan, math.inf])
    np.testing.assert_array_equal(to_numpy(pa.chunked_array([pa.array([1.0, None])])), [1.0, math.nan])
    assert to_numpy(pa.chunked_array([], pa.int32())).dtype == np.int32


@pytest.mark.parametrize("values", [[], [""], ["a", "", "übung", "日本 🙂", "x" * 5000]])
def test_texts(values: list[str]) -> None:
    made = texts(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.string()))
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": made}), sink)
    assert pq.ParquetFile(io.BytesIO(sink.getvalue())).read()["text"].to_pylist() == values


def test_a_finished_run_is_shown_without_torch_or_pandas(images: Path, tmp_path: Path) -> None:
    words = [
        "run",
        "-t",
        "jpeg-q50",
        "--images",
        str(images),
        "--task",
        "rate-distortion",
        "--protocol",
        "adm-64",
    ]
    words += ["--limit", "4", "--out", str(tmp_path / "run")]
    evaluate("jpeg-q50", images, "rate-distortion", out=tmp_path / "run", protocol="adm-64", limit=4)
    code = (
        f"import sys; sys.argv[1:] = {words!r}\n"
        "from tokbench.cli.app import main\n"
        "try: main()\n"
        "finally: print('HEAVY', sorted({'torch', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=dict(os.environ),
    )
    assert "jpeg-q50" in done.stdout
    assert done.stdout.splitlines()[-1] == "HEAVY []"
