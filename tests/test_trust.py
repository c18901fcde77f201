"""No code of an adapter, a plugin, a card or a result runs unless somebody asks for it by name."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tokbench import evaluate
from tokbench.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

HEADER = """# /// script
# [[tool.tokbench.tokenizers]]
# name = "{name}"
# kind = "continuous"
# ///
"""
TRAP = "from pathlib import Path\nPath({marker!r}).touch()\n"
WORKS = """
from tokbench import Codes

class Works:
    def __init__(self, spec):
        self.spec = spec
    def encode(self, images):
        return Codes(latents=images)
    def decode(self, codes):
        return codes.latents

def build(spec, *, device, dtype, weights):
    Path({marker!r}).touch()
    return Works(spec)
"""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    """Two runs of an adapter that leaves a mark whenever it is imported or built, both with the mark wiped off."""
    folder = tmp_path_factory.mktemp("trust")
    marker = folder / "mark"
    adapter = folder / "trap.py"
    adapter.write_text(
        HEADER.format(name="trap") + TRAP.format(marker=str(marker)) + WORKS.format(marker=str(marker))
    )
    few = folder / "few"
    few.mkdir()
    for path in sorted(images.iterdir())[:4]:
        shutil.copy(path, few)
    evaluate([str(adapter), "area-8"], few, protocol="adm-64", out=folder / "run")
    for number in (1, 2):
        part = folder / f"part{number}"
        shutil.copytree(folder / "run", part)
        (part / "summary.json").unlink()
    forged = folder / "forged"
    shutil.copytree(folder / "run", forged)
    for name in ("manifest.json", "summary.json"):
        text = (forged / name).read_text()
        text = text.replace('"tokenizer": "trap"', f'"tokenizer": "{adapter}"')
        (forged / name).write_text(text.replace('"trap on ', f'"{adapter} on '))
    assert marker.exists()
    for name in [name for name in sys.modules if name.startswith("tokbench_adapter_trap")]:
        del sys.modules[name]
    return folder


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed distribution that offers one of everything and leaves a mark when any of it is imported."""
    marker = tmp_path / "mark"
    site = tmp_path / "site"
    package = site / "planted_trap"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(TRAP.format(marker=str(marker)))
    (package / "adapter.py").write_text(HEADER.format(name="planted-tok") + TRAP.format(marker=str(marker)))
    info = site / "planted_trap-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted-trap\nVersion: 1.0\n")
    (info / "RECORD").write_text("planted_trap/__init__.py,,\nplanted_trap/adapter.py,,\n")
    (info / "entry_points.txt").write_text(
        "[tokbench.tokenizers]\nplanted-tok = planted_trap.adapter\n"
        + "".join(
            f"[tokbench.{kind}]\nplanted = planted_trap:X\n" for kind in ("tasks", "image_sets", "evaluators")
        )
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("TOKBENCH_PLUGINS", "planted-trap")
    importlib.invalidate_caches()
    yield marker
    for name in [name for name in sys.modules if name.startswith("planted_trap")]:
        del sys.modules[name]


def _invoke(*words: str | Path) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["list"], "planted-tok"),
        (["list", "--json"], "planted-trap 1.0"),
        (["describe", "planted-tok"], "planted-trap 1.0"),
        (["describe", "jpeg-q50"], "jpeg"),
        (["fetch", "planted-tok", "--offline"], ""),
        (["fetch", "no-weights-of-that-name"], ""),
        (["images", "--help"], ""),
    ],
)
def test_installed_plugins_are_named_without_being_imported(
    plugin: Path, words: list[str], seen: str
) -> None:
    done = _invoke(*words)
    assert seen in done.stdout
    assert not plugin.exists()
    assert not [name for name in sys.modules if name.startswith("planted_trap")]


def test_the_plugin_is_a_trap(plugin: Path) -> None:
    _invoke("describe", "planted")  # asked for by name: a task says what it is only when it is imported
    assert plugin.exists()


def test_a_variable_keeps_installed_plugins_out(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKBENCH_PLUGINS", "")
    assert "planted" not in _invoke("list", "--json").stdout
    _invoke("describe", "planted")
    assert not plugin.exists()


@pytest.mark.parametrize(
    ("words", "code", "seen"),
    [
        (["describe", "{ground}/trap.py"], 0, "kind: continuous"),
        (["fetch", "{ground}/trap.py"], 0, ""),
        (["compare", "--run", "{ground}/run", "area-8", "trap"], 0, "p-values are corrected"),
        (
            ["report", "{ground}/run", "--out", "{out}/report.html"],
            0,
            "no pictures: `images:few` is not installed",
        ),
        (
            ["report", "{ground}/forged", "--out", "{out}/report.html", "--image-set", "{ground}/few"],
            0,
            "trap.py` is not installed",
        ),
        (["merge", "{ground}/part1", "{ground}/part2", "--out", "{out}/whole"], 0, "{out}/whole"),
        (
            ["gate", "--run", "{ground}/run", "--baseline", "{out}/baseline.json", "--update"],
            0,
            "baseline of trap",
        ),
        (
            ["leaderboard", "submit", "--run", "{ground}/run", "--out", "{out}/submission"],
            8,
            "unknown image set",
        ),
        (["leaderboard", "validate", "{ground}/run"], 8, "checksums.json: is missing"),
        (["leaderboard", "build", "--results", "{ground}/run", "--out", "{out}/board"], 0, "9 pages"),
    ],
    ids=[
        "describe",
        "fetch",
        "compare",
        "report",
        "report-forged",
        "merge",
        "gate",
        "submit",
        "validate",
        "build",
    ],
)
def test_what_reads_adapters_and_results_runs_none_of_them(
    ground: Path, tmp_path: Path, words: list[str], code: int, seen: str
) -> None:
    """The adapter is still where it was when it was measured, and each verb does its work without it."""
    marker = ground / "mark"
    marker.unlink(missing_ok=True)
    done = _invoke(*(word.format(ground=ground, out=tmp_path) for word in words))
    assert (
        getattr(done.exception, "exit_code", done.exit_code),
        seen.format(out=tmp_path) in done.output,
    ) == (
        code,
        True,
    ), done.output
    assert not marker.exists()


FORBIDDEN = {
    "exec": "runs text",
    "eval": "runs text",
    "__import__": "imports what a string says",
    "os.system": "a shell",
    "os.popen": "a shell",
    "torch.hub.load": "downloads and runs code",
    "torch.jit.load": "runs code of the file",
    "pickle.load": "runs code of the file",
    "pickle.loads": "runs code of the data",
    "pickle.Unpickler": "runs code of the file",
    "marshal.loads": "code as data",
    "joblib.load": "unpickles",
    "dill.load": "unpickles",
    "shelve.open": "unpickles",
    "pd.read_pickle": "unpickles",
    "yaml.load": "builds any object",
    "yaml.unsafe_load": "builds any object",
    "shutil.unpack_archive": "writes where names in the archive say",
}
MUST_SAY = {
    # torch.load and np.load unpickle unless they are told not to, whatever the default of a version is
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
}

# docs/security.md answers each of these.
ANSWERED = {
    ("cosmos.py", "torch.jit.load"),  # the authors publish TorchScript and nothing else
    ("ray_member.py", "pickle.loads"),  # the run that the head of one's own cluster sends to its members
}


def _unsafe(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {each.arg: getattr(each.value, "value", ...) for each in node.keywords}
        where = f"{path.name}:{node.lineno}: {name}"
        if name in FORBIDDEN and (path.name, name) not in ANSWERED:
            found.append(f"{where}: {FORBIDDEN[name]}")
        if name in MUST_SAY and given.get(MUST_SAY[name][0]) is not MUST_SAY[name][1]:
            found.append(f"{where}: without {MUST_SAY[name][0]}={MUST_SAY[name][1]}")
        if given.get("shell", False) is not False:
            found.append(f"{where}: a shell")
        if given.get("trust_remote_code", False) is not False:
            found.append(f"{where}: code from a hub")
        if name.endswith((".extract", ".extractall")):
            found.append(f"{where}: writes where names in the archive say")
    return found


@pytest.mark.parametrize("folder", ["tokbench", "adapters"])
def test_nothing_that_could_run_foreign_code_is_called(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert len(files) > 50
    assert [line for path in files for line in _unsafe(path)] == []


@pytest.mark.parametrize(
    "code",
    [
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "torch.load(p, weights_only=flag)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "pickle.load(f)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "Model.from_pretrained(name, trust_remote_code=True)",
        "archive.extractall(folder)",
        "yaml.load(text, Loader)",
    ],
)
def test_the_search_finds_such_calls(tmp_path: Path, code: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(f"x = 1\ny = {code}\n")
    assert len(_unsafe(path)) == 1


def test_every_test_that_the_page_names_exists() -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 20
    assert [
        f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text()
    ] == []
