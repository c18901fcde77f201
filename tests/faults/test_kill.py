"""`kill -9` at every moment of a run, then the same command again: equal numbers, and nothing is done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RANDOM = 5
PHASES = {"plan", "start", "read", "encode", "decode", "measure", "collect", "images", "summarise"}
CALLS = {"make_folder", "create", "write", "sync", "link", "rename", "sync_folder", "remove"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks children")
def test_kill_9_at_every_moment_of_a_run(images: Path, tmp_path: Path) -> None:
    """The moments: every system call of the store, the first and last of each phase, and some random times."""
    few = tmp_path / "images"
    few.mkdir()
    for path in sorted(images.iterdir())[:20]:  # two shards
        (few / path.name).symlink_to(path)
    (tmp_path / "runs").mkdir()
    command = [sys.executable, Path(__file__).with_name("zygote.py"), few, tmp_path / "runs", str(RANDOM)]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert set(found["points"]) == PHASES | CALLS
    assert found["shards"] == 2
    # A random moment may come after the end; every chosen one comes.
    assert found["moments"] - RANDOM <= found["killed"] <= found["moments"]
    assert found["killed"] >= 50
    assert found["kept"] >= 20  # there was something that could have been lost
    assert found["threads"] == 1
