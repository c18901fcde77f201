"""Output that is no data, and code that ends its process."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tokbench import evaluate
from tokbench.cli.app import app
from tokbench.cli.output import print_line, strangers_print_to_stderr
from tokbench.errors import AdapterError

if TYPE_CHECKING:
    from pathlib import Path

NOISE = bytes(range(256)) + b"\x1b[2J\x1b]0;title\x07"

ADAPTER = """# /// script
# dependencies = ["tokbench"]
# [[tool.tokbench.tokenizers]]
# name = "hostile"
# kind = "continuous"
# ///
import ctypes, os, subprocess, sys
from tokbench import Codes

class Hostile:
    def __init__(self, spec):
        self.spec, self.calls = spec, 0
    def encode(self, images):
        self.calls += 1
        BODY
        return Codes(latents=images)
    def decode(self, codes):
        return codes.latents

def build(spec, *, device, dtype, weights):
    return Hostile(spec)
"""
NOISY = (
    "print('{\"rows\": []}', '\\x1b[2J'); os.write(1, bytes(range(256))); "
    "sys.stdout.buffer.write(b'\\xff\\xfe'); subprocess.run(['echo', 'child'])"
)


def hostile(folder: Path, body: str) -> str:
    path = folder / "hostile.py"
    path.write_text(ADAPTER.replace("BODY", body))
    return str(path)


def test_stdout_is_kept_for_data(capfd: pytest.CaptureFixture[str]) -> None:
    """From Python, from a file descriptor, from the C library, which writes late, and from a child process."""
    with strangers_print_to_stderr():
        sys.stdout.write("python\n")
        os.write(1, b"descriptor\n")
        ctypes.CDLL(None).puts(b"library")
        subprocess.run(["echo", "child"], check=True)
    print_line("data")
    out, err = capfd.readouterr()
    assert out == "data\n"
    assert sorted(err.split()) == ["child", "descriptor", "library", "python"]


def test_stdout_comes_back_after_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(ZeroDivisionError), strangers_print_to_stderr():
        os.write(1, NOISE)
        _ = 1 / 0
    os.write(1, b"data")
    assert capfd.readouterr().out == "data"


def test_json_is_json_whatever_an_adapter_prints(tmp_path: Path, images: Path) -> None:
    path = hostile(tmp_path, NOISY)
    done = CliRunner().invoke(app, ["check", path, "--json"])
    assert json.loads(done.stdout)["tokenizers"][0]["passed"]
    words = [
        "run",
        "-t",
        path,
        "--images",
        str(images),
        "--protocol",
        "adm-64",
        "--limit",
        "2",
        "--task",
        "tokens",
    ]
    done = CliRunner().invoke(app, [*words, "--workers", "1", "--json", "--out", str(tmp_path / "run")])
    assert json.loads(done.stdout)["complete"], done.output


def test_a_crash_in_a_process_of_the_crew_is_named_and_finished_shards_are_kept(
    tmp_path: Path, images: Path
) -> None:
    """The probe encodes three times and a shard of 16 images four times: a second shard crashes."""
    out = tmp_path / "run"
    path = hostile(tmp_path, "self.calls > 8 and ctypes.string_at(0)")
    with pytest.raises(AdapterError, match="ended with exit status -11 in the middle of a shard") as caught:
        evaluate(path, images, "tokens", protocol="adm-64", batch_size=4, workers=2, out=out)
    assert "finished shards are kept" in str(caught.value)
    assert list(out.rglob("*.parquet"))


def test_a_death_in_the_crew_is_noticed_although_a_child_holds_the_pipe(tmp_path: Path, images: Path) -> None:
    body = "os.fork() and os._exit(3)\n        subprocess.run(['sleep', '60'])"
    begun = time.monotonic()
    with pytest.raises(AdapterError, match="ended with exit status 3 in the middle of a shard"):
        evaluate(
            hostile(tmp_path, body), images, "tokens", protocol="adm-64", workers=2, out=tmp_path / "run"
        )
    assert time.monotonic() - begun < 50
