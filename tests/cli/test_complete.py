"""Completion of names in the shell: the functions, what the shell is told, and that nothing heavy is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tokbench.cli import complete


def test_names_that_start_so_come_back_sorted() -> None:
    assert complete.tokenizers("vq-patch") == ["vq-patch-4", "vq-patch-8"]
    assert complete.tasks("text-words") == sorted(complete.tasks("text-words"))
    assert "text-words-512" in complete.tasks("text-words")
    assert complete.image_sets("faces-m") == ["faces-mini"]
    assert complete.protocols("adm-2") == ["adm-256"]
    assert {"reconstruction"} == set(complete.names("reconstruction")) & {"reconstruction", "identity"}
    assert complete.tokenizers("no-such-thing") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tokbench run -t vq-conv", ["vq-conv-f8"]),
        ("tokbench run --task legib", ["legibility"]),
        ("tokbench check jpeg-q9", ["jpeg-q95"]),
    ],
)
def test_the_shell_is_told(words: str, expected: list[str]) -> None:
    watch = (
        "import atexit, sys\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'numpy', 'scipy', 'PIL'}\n"
        "atexit.register(lambda: print('HEAVY', sorted(heavy & set(sys.modules))))\n"
        "sys.argv = ['tokbench']\n"
        "from tokbench.cli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch],
        env={
            **os.environ,
            "_TOKBENCH_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    *lines, heavy = done.stdout.splitlines()
    assert lines == expected, done.stderr
    assert heavy == "HEAVY []"
