"""docs/performance.md: what it shows is what benchmarks printed."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text("utf-8")


@pytest.fixture
def pasting(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("paste")


@pytest.mark.parametrize("name", ["peers", "words", "overhead", "scale"])
def test_figures_name_their_command_and_machine(name: str, pasting: ModuleType) -> None:
    shown = PAGE.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->\n")[0]
    assert f"- command: `python {name}.py" in shown
    assert "- machine: " in shown
    assert "- versions: Python " in shown
    assert pasting.paste(PAGE, name, shown) == PAGE
    assert "\nnew\n" in pasting.paste(PAGE, name, "new\n")


def test_a_place_that_is_not_there(pasting: ModuleType) -> None:
    with pytest.raises(ValueError, match="has no place `nothing`"):
        pasting.paste(PAGE, "nothing", "text")


def test_files_that_the_page_names_exist() -> None:
    named = set(re.findall(r"`((?:benchmarks|tests|tokbench)/[\w/]+\.py)", PAGE))
    assert {"benchmarks/peers.py", "tests/networks/test_inception.py"} <= named
    assert {name for name in named if not (ROOT / name).is_file()} == set()
