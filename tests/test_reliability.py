"""docs/reliability.md: every row names a test, and every test it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")


def rows() -> list[str]:
    """The rows of all tables, without headings and rules."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    heads = {number for number, line in enumerate(lines) if line.startswith("| ---")}
    return [line for number, line in enumerate(lines) if number not in heads and number + 1 not in heads]


@cache
def names_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


def test_there_are_enough_rows() -> None:
    cases = [row.split("|")[1].strip() for row in rows()]
    assert len(cases) >= 40
    assert len(set(cases)) == len(cases)


def test_every_row_names_a_test() -> None:
    assert [row for row in rows() if not re.search(r"`(tests|benchmarks)/[\w/]+\.py", row)] == []


def test_every_named_test_exists() -> None:
    missing = []
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE):
        path = ROOT / file
        if not path.is_file() or name not in names_in(path):
            missing.append(f"{file}::{name}")
    assert missing == []
