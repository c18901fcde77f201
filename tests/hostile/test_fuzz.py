"""Whatever parses returns or raises a `TokbenchError`: no other exception, no hang, bounded memory.

The inputs are those of `benchmarks/fuzz.py`, which runs the same strategies for as long as one likes.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from tokbench.errors import TokbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
NAMES = (
    "image set cards",
    "annotations",
    "PNG",
    "JPEG",
    "WebP",
    "GIF",
    "BMP",
    "TIFF",
    "tar",
    "Parquet",
    "adapter headers",
    "safetensors",
    "checkpoints",
    "settings",
    "results",
    "manifests to merge",
    "submissions",
    "shards",
    "baselines",
    "thresholds",
    "suites",
    "word files",
    "codes",
    "frames of workers",
)
SLOWEST_MS = 5_000
"""A sound input takes 1 to 20 ms; another process may hold the core for a second or two."""


@pytest.fixture(scope="module")
def targets(fuzz_module: Callable[[str], Any]) -> Any:
    return fuzz_module("fuzz_targets").targets()


def test_every_parser_is_named(targets: Any) -> None:
    assert tuple(targets) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_hostile_input_is_refused_in_words(targets: Any, name: str, tmp_path: Path) -> None:
    target = targets[name]
    accepted = refused = 0
    codes: set[int] = set()

    @settings(
        max_examples=60,
        deadline=SLOWEST_MS,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def check(drawn: Any) -> None:
        nonlocal accepted, refused
        try:
            # Pillow warns of what it then reads or refuses; what counts is which of the two.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                target.run(tmp_path, drawn)
            accepted += 1
        except TokbenchError as error:
            codes.add(error.exit_code)
            refused += 1

    check()
    assert accepted + refused >= 60
    assert codes <= set(range(2, 9))
    assert refused > 0 or name == "submissions"  # whose problems are a list, not an error
    assert accepted > 0 or name in {"shards", "manifests to merge", "codes", "safetensors"}


FOUND = {
    "a checkpoint of one byte": ("checkpoints", b"\x80"),
    "a checkpoint that asks for what it never stored": ("checkpoints", b"\x80\x02}q\x01h\x07."),
    "a header whose tool is a number": ("adapter headers", b"# /// script\n# tool = 163\n# ///\n"),
    "a header whose weights are a number": (
        "adapter headers",
        b"# /// script\n# [[tool.tokbench.tokenizers]]\n# name = 't'\n# kind = 'codec'\n# weights = 5\n# ///\n",
    ),
    "an integer of five thousand digits": ("thresholds", b"default = {relative = 0x" + b"f" * 5000 + b"}"),
    "a suite of letters": ("suites", b"tokenizers = 'identity'\ndatasets = []\ntasks = []"),
    "a suite nested without end": ("suites", b"tokenizers = " + b"[" * 3000),
    "settings nested without end": ("settings", b'{"a": ' * 3000),
    "codes without bits in a gigantic shape": (
        "codes",
        (b"\x01\x00\x00\x02" + bytes(4) + b"\xff\xff\xff\xff" * 2, 1),
    ),
    "codes of two hundred axes": (
        "codes",
        (b"\x02\x00\x00\xc8" + bytes(4) + b"\x01\0\0\0" * 200 + bytes(2), 2),
    ),
    "a baseline of numbers": ("baselines", b'{"kind": "tokbench baseline", "schema": 1, "tokenizers": 5}'),
}
"""What fuzzing found, and a few of its kin; each once raised something else or took all memory."""


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(targets: Any, name: str, tmp_path: Path) -> None:
    parser, given_input = FOUND[name]
    with pytest.raises(TokbenchError) as caught:
        targets[parser].run(tmp_path, given_input)
    assert 2 <= caught.value.exit_code <= 8


def test_the_program_counts_and_fails_on_a_defect(fuzz_module: Callable[[str], Any], tmp_path: Path) -> None:
    from hypothesis import strategies as st

    fuzz = fuzz_module("fuzz")

    def run(folder: Path, drawn: int) -> None:
        if drawn == 1:
            raise TokbenchError("refused")
        if drawn == 2:
            raise KeyError("a defect")

    tally = fuzz.Tally(fuzz.Target(st.integers(), run), seconds=60.0)
    for drawn in (0, 1, 2, 2):
        tally.one(drawn)
    assert tally.outcomes == {"accepted": 1, "TokbenchError": 1, "DEFECT": 2}
    assert len(tally.defects) == 1
    assert "KeyError" in next(iter(tally.defects))
    seen: list[Any] = []
    tally = fuzz.Tally(fuzz.Target(st.binary(), lambda folder, drawn: seen.append(drawn)), seconds=60.0)
    for drawn in (b"", b"abcdefgh", ("png", b"abcdefgh")):
        tally(drawn)
    assert len(seen) == 3 * (1 + fuzz.NEIGHBOURS)
    assert len({each for each in seen if isinstance(each, bytes) and len(each) == 8}) > fuzz.NEIGHBOURS / 2


def test_bombs_stay_within_a_gigabyte(tmp_path: Path) -> None:
    """Each of these claims far more than the address space that is left."""
    script = """
import io, resource, struct, sys, zipfile, zlib
from pathlib import Path
import numpy as np
import pyarrow
from tokbench.errors import TokbenchError
from tokbench.images.decode import decode
from tokbench.images.imageset import open_images
from tokbench.results.arrays import read_arrays

def png(width, height, data):
    chunk = lambda kind, body: struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
    head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', head) + data(chunk) + chunk(b'IEND', b'')

zeros = zlib.compress(bytes(1 << 24), 9)
pixels = lambda chunk: chunk(b'IDAT', zeros)
profile = lambda chunk: chunk(b'iCCP', b'p\\0\\0' + zlib.compress(bytes(1 << 28), 9)) + chunk(b'IDAT', zeros)
text = lambda chunk: chunk(b'zTXt', b'c\\0\\0' + zlib.compress(bytes(1 << 28), 9)) + chunk(b'IDAT', zeros)

def npz(shape):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED) as archive:
        head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + '\\n'
        archive.writestr('a/b.npy', b'\\x93NUMPY\\x01\\x00' + struct.pack('<H', len(head)) + head.encode() + bytes(64))
    return stream.getvalue()

def tar():
    import tarfile
    member = tarfile.TarInfo('a.png'); member.size = 1 << 40
    path = Path(sys.argv[1]) / 'a.tar'
    path.write_bytes(member.tobuf() + bytes(1024))
    return str(path)

bombs = {
    'huge header': lambda: decode(png(2**31 - 1, 2**31 - 1, pixels), 'x'),
    'zeros': lambda: decode(png(100_000, 50_000, pixels), 'x'),
    'profile': lambda: decode(png(64, 64, profile), 'x'),
    'text': lambda: decode(png(64, 64, text), 'x'),
    'npz': lambda: read_arrays(npz('(1000000000000,)'), 'a/'),
    'tar': lambda: open_images(tar()),
}
held = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 30), held + (1 << 30)))
for name, bomb in bombs.items():
    try:
        bomb()
        print(name, 'read')
    except (TokbenchError, ValueError) as error:
        assert not isinstance(error.__cause__, MemoryError), name
        print(name, 'refused')
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert found == {
        "huge header": "refused",
        "zeros": "refused",
        "profile": "refused",
        "text": "refused",
        "npz": "refused",
        "tar": "refused",
    }
