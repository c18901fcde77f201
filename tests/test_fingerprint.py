"""What enters a result key of a tokenizer's code: its file, and the shared blocks where it uses them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tokbench import loading
from tokbench.loading import fingerprint


@pytest.fixture
def blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of tokbench.nn beside a stand-in for the module that hashes it."""
    copy = tmp_path / "tokbench"
    shutil.copytree(Path(loading.__file__).parent / "nn", copy / "nn")
    monkeypatch.setattr(loading, "__file__", str(copy / "loading.py"))
    return copy / "nn" / "patches.py"


@pytest.mark.parametrize(
    ("line", "follows"), [("from tokbench.nn.patches import to_patches", True), ("x = 1", False)]
)
def test_a_changed_block_changes_the_key_of_who_uses_it(
    blocks: Path, tmp_path: Path, line: str, follows: bool
) -> None:
    adapter = tmp_path / "adapter.py"
    adapter.write_text(line)
    before = fingerprint((), {}, adapter).code
    blocks.write_text(blocks.read_text() + "\n# changed\n")
    assert (fingerprint((), {}, adapter).code != before) == follows
