"""The composite action: its steps run in a shell here, and docs/gate.md shows inputs that it has."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.results.baseline import write_baseline
from tokbench.results.side import of_run
from tokbench.results.sources import tasks_of
from tokbench.results.thresholds import read_thresholds

if TYPE_CHECKING:
    from tokbench import Results

ROOT = Path(__file__).parents[2]
yaml = pytest.importorskip("yaml", reason="PyYAML comes with the libraries of the zoo extra")


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "action.yml").read_text()))


def step(action: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in action["runs"]["steps"] if each.get("name") == name)


def shell(script: str, folder: Path, program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a step as the runner does, with `program` as the command `tokbench`."""
    command = folder / "bin" / "tokbench"
    command.parent.mkdir(exist_ok=True)
    command.write_text(program)
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    environment = {
        **os.environ,
        **variables,
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def test_no_input_is_pasted_into_a_script(action: dict[str, Any]) -> None:
    for each in action["runs"]["steps"]:
        assert "${{" not in each.get("run", "")
    used = set(re.findall(r"inputs\.([a-z-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(action["inputs"])


def test_the_run_step_builds_the_command(action: dict[str, Any], tmp_path: Path) -> None:
    blank = dict.fromkeys(("IMAGES", "DATASET", "TASK", "PROTOCOL", "LIMIT"), "")
    echo = '#!/bin/sh\nprintf "%s\\n" "$@"\n'
    names = "my adapter.py\n$(touch pwned)\n"
    script = step(action, "Run")["run"]
    done = shell(script, tmp_path, echo, **{**blank, "TOKENIZER": names, "LIMIT": "9", "OUT": "out"})
    assert done.stdout.splitlines() == [
        "run", "--tokenizer", "my adapter.py", "--tokenizer", "$(touch pwned)", "--limit", "9", "--out", "out",
    ]  # fmt: skip
    assert not (tmp_path / "pwned").exists()
    assert done.returncode == 0


def test_the_gate_step_gates(action: dict[str, Any], finished: Results, tmp_path: Path) -> None:
    side = of_run(finished, "jpeg-q75", tasks_of(finished))
    write_baseline(tmp_path / "baseline.json", [side], "0" * 64)
    program = f'#!/bin/sh\nexec "{sys.executable}" -m tokbench "$@"\n'
    inputs = {"BASELINE": "baseline.json", "THRESHOLDS": "", "STRICT": "true", "JUNIT": "gate.xml"}
    script = step(action, "Gate")["run"]
    done = shell(script, tmp_path, program, OUT=str(finished.folder), **inputs)
    assert (done.returncode, (tmp_path / "output").read_text()) == (0, "verdict=pass\n")
    assert (tmp_path / "gate.xml").is_file()
    assert (tmp_path / "summary").read_text().startswith("### ✅ tokbench gate: pass")


def test_the_gate_step_keeps_the_exit_code(action: dict[str, Any], tmp_path: Path) -> None:
    program = '#!/bin/sh\necho "fail: 1 pass, 0 inconclusive, 1 fail"; exit 10\n'
    inputs = {"BASELINE": "b", "THRESHOLDS": "t", "STRICT": "false", "JUNIT": "j", "OUT": "o"}
    done = shell(step(action, "Gate")["run"], tmp_path, program, **inputs)
    assert (done.returncode, (tmp_path / "output").read_text()) == (10, "verdict=fail\n")


def test_the_documented_workflow_uses_inputs_that_exist(action: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "gate.md").read_text()
    (workflow,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    steps = yaml.safe_load(workflow)["jobs"]["gate"]["steps"]
    given = next(each["with"] for each in steps if each["uses"].startswith("OWNER/tokbench@"))
    assert set(given) <= set(action["inputs"])
    assert {name for name, each in action["inputs"].items() if each.get("required")} <= set(given)


def test_the_documented_thresholds_can_be_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "gate.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    (tmp_path / "gate.toml").write_text(text)
    assert len(read_thresholds(tmp_path / "gate.toml").tables) == 6
