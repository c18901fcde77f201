"""Imports point one way, modules stay small, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tokbench"

# Each room may import the rooms named here (and itself). Read from bottom to top of the design.
BASE = {
    "errors",
    "tokenizer",
    "protocol",
    "weights",
    "shipped",
    "contract",
    "documents",
    "bitstream",
    "header",
    "fetch",
    "published",
    "suite",
    "views",
    "pretrained",
    "environment",
    "stored",
    "golden",
    "unavailable",
    "surroundings",
}
MAY_IMPORT = {
    "images": BASE,
    "networks": BASE,
    "nn": BASE | {"images"},
    "perturb": BASE,
    "metrics": BASE | {"networks"},
    "tasks": BASE | {"metrics", "perturb"},
    "results": BASE | {"images", "metrics", "tasks", "catalog"},
    "catalog": BASE | {"images", "networks", "tasks"},
    "external": BASE | {"catalog"},
    "loading": BASE | {"catalog", "networks", "external"},
    "testing": BASE,
    "engine": BASE | {"images", "networks", "metrics", "tasks", "catalog", "external", "loading", "results"},
    "leaderboard": BASE | {"metrics", "tasks", "catalog", "results"},
    "report": BASE | {"images", "metrics", "tasks", "catalog", "results", "engine"},
}


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith("tokbench.")}


@pytest.mark.parametrize("room", [*MAY_IMPORT, *sorted(BASE)])
def test_imports_point_one_way(room: str) -> None:
    allowed = MAY_IMPORT.get(room, BASE) | {room}
    place = PACKAGE / room
    files = place.rglob("*.py") if place.is_dir() else [PACKAGE / f"{room}.py"]
    wrong = {
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in _imports(path)
        if _room(module) not in allowed
    }
    assert not wrong


def test_every_room_has_a_rule() -> None:
    rooms = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert rooms == {*MAY_IMPORT, *BASE, "cli", "__init__", "__main__"}


def test_modules_stay_small() -> None:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "adapters").glob("*.py")]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in files
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long


def test_data_folders_are_no_packages() -> None:
    for folder in ("adapters", "datasets", "leaderboards"):
        assert (ROOT / folder).is_dir()
        assert not (ROOT / folder / "__init__.py").exists()


def test_public_names_exist() -> None:
    import tokbench

    assert tokbench.__all__ == sorted(tokbench.__all__)
    for name in tokbench.__all__:
        assert getattr(tokbench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tokbench.nothing


@pytest.mark.parametrize(
    "code",
    [
        "import tokbench",
        "import sys; sys.argv = ['tokbench', '--help']; from tokbench.cli.app import main; main()",
        "import sys; sys.argv = ['tokbench', 'list']; from tokbench.cli.app import main; main()",
    ],
)
def test_light_commands_import_neither_torch_nor_pandas(code: str) -> None:
    watch = (
        "import atexit, sys\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'numpy', 'scipy', 'PIL'}\n"
        "atexit.register(lambda: print('HEAVY', sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch + code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"
