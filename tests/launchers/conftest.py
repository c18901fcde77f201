"""What the launchers are compared by: one small run in one process."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tokbench import Results, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The rows are sums in a fixed order over values that do not depend on who computed them, so they should be equal to the
# last bit; 1e-9 leaves room for another thread count inside a matrix product.
TOLERANCE = 1e-9
WALL_CLOCK = {"encode_ips", "decode_ips"}

# Lossy, and as quick as its two orders: an actor that takes the file `hold` lies still until somebody ends it, and one
# that finds the file `kill` ends itself. Renaming is atomic, so `hold` is taken once.
ADAPTER = """\
# /// script
# [[tool.tokbench.tokenizers]]
# name = "mortal"
# kind = "codec"
# vocab = 16
# ///
import os, signal, time
from pathlib import Path
from tokbench import Codes

HERE = Path(__file__).parent

class Mortal:
    def __init__(self, spec):
        self.spec = spec
    def encode(self, images):
        return Codes(ids=(images * 15).round().long())
    def decode(self, codes):
        if (HERE / "kill").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            (HERE / "hold").rename(HERE / f"held-{os.getpid()}")
        except FileNotFoundError:
            return codes.ids / 15
        time.sleep(120)

def build(spec, *, device, dtype, weights):
    return Mortal(spec)
"""


@pytest.fixture(scope="session")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter file; its folder takes the orders."""
    path = tmp_path_factory.mktemp("adapter") / "mortal.py"
    path.write_text(ADAPTER)
    return path


@pytest.fixture(scope="session")
def request_of(mortal: Path, images: Path) -> dict[str, object]:
    """What every launcher is asked for: three tokenizers, three shards."""
    return {
        "tokenizer": ["jpeg-q50", "vq-patch-8", str(mortal)],
        "images": images,
        "protocol": "adm-64",
        "batch_size": 8,
    }


@pytest.fixture(scope="session")
def alone(request_of: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One process, undisturbed."""
    return evaluate(**request_of, out=tmp_path_factory.mktemp("alone") / "out")


@pytest.fixture(scope="session")
def same(alone: Results) -> Callable[[Results], None]:
    """Holds results against those of one process."""

    def numbers(results: Results) -> dict[tuple[str, str, str], tuple[float, ...]]:
        return {
            (row.tokenizer, row.task, row.metric): (row.value, row.ci_low, row.ci_high, row.n, row.failed)
            for row in results.rows
            if row.metric not in WALL_CLOCK
        }

    def check(results: Results) -> None:
        a, b = numbers(alone), numbers(results)
        assert sum(not math.isnan(values[0]) for values in a.values()) >= 20
        assert a.keys() == b.keys()
        for key, values in a.items():
            for x, y in zip(values, b[key], strict=True):
                close = math.isclose(x, y, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
                assert close or (math.isnan(x) and math.isnan(y)), key
        assert results.complete

    return check
