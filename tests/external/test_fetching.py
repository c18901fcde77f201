"""What is fetched and built, what is found, what enters result keys, and what a lost worker costs a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from typer.testing import CliRunner

from tokbench.cli.app import app
from tokbench.environment import Environment
from tokbench.errors import AdapterError, SetupError, UsageError, WorkerError
from tokbench.external import environments
from tokbench.external.checkout import checkout_path, checkout_state, fetch_checkout
from tokbench.external.environments import (
    build_environment,
    environment_path,
    find_python,
    satisfied_here,
)
from tokbench.external.opening import fetch_code, identity, require
from tokbench.metrics.pixel import L1, PSNR
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = "https://example.org/them/theirs"
TASK = Task("small", 1, "two pixel metrics", get_protocol("native"), (PSNR, L1), ("psnr",), "psnr")


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, "-C", folder, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A repository of two commits, which git finds in place of the one at `ADDRESS`."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    _git(folder, "init", "--quiet")
    commits = []
    for text in ("first", "second"):
        (folder / "model.py").write_text(text)
        _git(folder, "add", "model.py")
        _git(folder, "commit", "--quiet", "-m", text)
        commits.append(_git(folder, "rev-parse", "HEAD"))
    _git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{folder}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", ADDRESS)
    return folder, commits


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKBENCH_CACHE", str(tmp_path / "cache"))


def test_one_commit_is_fetched_and_no_other(repository: tuple[Path, list[str]]) -> None:
    _, (first, second) = repository
    environment = Environment(repository=ADDRESS, commit=first)
    folder = fetch_checkout(environment, lambda line: None)
    assert folder == checkout_path(environment)
    assert folder.parts[-3:] == ("sources", "them+theirs", first)
    assert (folder / "model.py").read_text() == "first"
    assert _git(folder, "rev-list", "--all", "HEAD") == first
    other = fetch_checkout(replace(environment, commit=second), lambda line: None)
    assert (other / "model.py").read_text() == "second"
    assert [each.name for each in folder.parent.iterdir() if each.name.startswith(".")] == []


def test_a_commit_that_does_not_exist_leaves_nothing_behind(repository: tuple[Path, list[str]]) -> None:
    environment = Environment(repository=ADDRESS, commit="f" * 40)
    with pytest.raises(SetupError, match=r"git .*fetch.* failed: .*f{40}"):
        fetch_checkout(environment, lambda line: None)
    assert list(checkout_path(environment).parent.iterdir()) == []


def test_the_state_of_a_checkout_is_its_commit_until_it_is_changed(
    repository: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, (_, second) = repository
    assert checkout_state(folder) == second
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("")
    assert checkout_state(folder) == second
    (folder / "new.py").write_text("1")
    changed = checkout_state(folder)
    assert changed.startswith("files:")
    (folder / "new.py").write_text("2")
    assert checkout_state(folder) not in {changed, second}
    (folder / "new.py").unlink()
    assert checkout_state(folder) == second
    inside = folder / "sub"  # a plain folder inside somebody's repository is not that repository
    inside.mkdir()
    (inside / "a.py").write_text("")
    assert checkout_state(inside).startswith("files:")


def test_this_python_serves_when_it_has_what_is_asked_for() -> None:
    version = torch.__version__.partition("+")[0]
    for requirements, python, wanted in (
        ((f"torch=={version}", "numpy>=1"), ">=3.9", True),
        ((), "", True),
        (("torch<1",), "", False),
        (("no-such-package",), "", False),
        (('no-such-package; sys_platform == "never"',), "", True),
        (("torch[opt-einsum]",), "", False),
        (("torch @ https://example.org/torch.whl",), "", False),
        ((), "<3.9", False),
    ):
        environment = Environment(requirements, python)
        assert satisfied_here(environment) == wanted, requirements
        assert find_python(environment) == (Path(sys.executable) if wanted else None)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [(Environment(("--index-url=x",)), "no requirement"), (Environment((), "three"), "no range of versions")],
)
def test_unusable_requests_are_refused_before_anything_runs(environment: Environment, reason: str) -> None:
    with pytest.raises(SetupError, match=reason):
        build_environment(environment, lambda line: None)
    assert not environment_path(environment).exists()


@pytest.fixture
def without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build environments with venv and without pip, which takes seconds to install."""
    run = environments.run_command

    def run_command(command: list[str], say: Callable[[str], None], **variables: str) -> None:
        run([*command[:3], "--without-pip", *command[3:]] if command[2] == "venv" else command, say)

    monkeypatch.setattr(environments, "run_command", run_command)
    monkeypatch.setattr(environments.shutil, "which", lambda name: None)


@pytest.mark.usefixtures("without_pip")
def test_an_environment_is_built_once_and_recorded() -> None:
    environment = Environment(python=">=3.9")
    python = build_environment(environment, lambda line: None)
    assert python == environment_path(environment) / "bin" / "python"
    assert find_python(environment) == python
    record = json.loads((environment_path(environment) / "tokbench.json").read_text())
    assert record == {"python": ">=3.9", "requirements": [], "installed": []}
    prefix = subprocess.run(
        [python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    assert Path(prefix.stdout.strip()).resolve() == environment_path(environment).resolve()
    stamp = python.lstat().st_mtime_ns
    assert build_environment(environment, lambda line: None) == python
    assert python.lstat().st_mtime_ns == stamp


@pytest.mark.usefixtures("without_pip")
def test_a_half_built_environment_is_never_used() -> None:
    environment = Environment(("no-such-package",))  # there is no pip to install it with
    said: list[str] = []
    with pytest.raises(SetupError, match=r"pip install .*no-such-package.* failed: .*No module named pip"):
        build_environment(environment, said.append)
    assert any("No module named pip" in line for line in said)
    folder = environment_path(environment)
    assert (folder / "bin" / "python").exists()
    assert find_python(environment) is None
    (folder / "left over").write_text("")
    with pytest.raises(SetupError):
        build_environment(environment, said.append)
    assert not (folder / "left over").exists()


def test_uv_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for uv notes what it is asked for, and makes the environment with venv."""
    log = tmp_path / "log"
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n[ "$1" = venv ] && exec {sys.executable} -m venv --without-pip "$4"\nexit 0\n'
    )
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}{os.pathsep}{os.environ['PATH']}")
    environment = Environment(("timm==1.0.8", "numpy<2"), ">=3.9")
    python = build_environment(environment, lambda line: None)
    assert log.read_text().splitlines() == [
        f"venv --python {sys.executable} {python.parents[1]}",
        f"pip install --python {python} timm==1.0.8 numpy<2",
    ]


def test_a_python_that_is_nowhere_is_left_to_uv_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments.shutil, "which", lambda name: None)
    with pytest.raises(SetupError, match=r"no Python ==2\.7 on this machine") as caught:
        build_environment(Environment(python="==2.7"), lambda line: None)
    assert "uv" in str(caught.value.hint)


def test_what_is_absent_is_named_with_the_command_that_gets_it(theirs: Any) -> None:
    entry = replace(theirs.entry, source=None)
    with pytest.raises(
        SetupError, match=r"runs from https://example\.org/them/theirs at 0123456789ab"
    ) as caught:
        require(entry)
    fetch = f"`tokbench fetch {theirs.adapter}:theirs`"
    assert caught.value.hint == f"{fetch} gets it, or pass --source theirs=DIR"
    theirs.adapter.write_text(theirs.adapter.read_text().replace("torch>=2", "torch<1"))
    with pytest.raises(SetupError, match="needs an environment of its own, which is not built") as caught:
        require(theirs.entry)
    assert caught.value.hint == f"{fetch} builds it"
    with pytest.raises(UsageError, match="no such folder"):
        require(replace(theirs.entry, source=theirs.checkout / "none"))


def test_commit_and_requirements_are_told_before_they_are_fetched(
    theirs: Any, repository: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository[1][0]
    theirs.adapter.write_text(
        theirs.adapter.read_text().replace("0123456789abcdef0123456789abcdef01234567", commit)
    )
    said: list[str] = []

    def run_command(command: list[str], say: object, **variables: str) -> None:
        said.append(f"RUN {command[0]}")
        raise SetupError("no network today")

    monkeypatch.setattr("tokbench.external.checkout.run_command", run_command)
    with pytest.raises(SetupError, match="no network today"):
        fetch_code(replace(theirs.entry, source=None), said.append)
    assert said == [f"theirs: repository {ADDRESS} at commit {commit}", "RUN git"]
    theirs.adapter.write_text(theirs.adapter.read_text().replace("torch>=2", "torch<1"))
    monkeypatch.setattr(environments, "run_command", run_command)
    said.clear()
    with pytest.raises(SetupError, match="no network today"):
        fetch_code(theirs.entry, said.append)
    assert said[:3] == ["theirs: environment with Python >=3.9 and", "    torch<1", f"RUN {sys.executable}"]


def test_the_command_line_fetches_runs_and_stays_offline(
    theirs: Any, repository: tuple[Path, list[str]], without_process: None
) -> None:
    commit = repository[1][0]
    theirs.adapter.write_text(
        theirs.adapter.read_text().replace("0123456789abcdef0123456789abcdef01234567", commit)
    )
    name = str(theirs.adapter)
    done = CliRunner().invoke(app, ["fetch", name, "--offline"])
    assert isinstance(done.exception, SetupError), done.output
    done = CliRunner().invoke(app, ["fetch", name])
    assert done.exit_code == 0, done.output
    checkout = checkout_path(theirs.entry.variant.environment)
    assert done.stdout.splitlines() == [
        f"theirs\t{commit}\t{checkout}",
        f"theirs\t{theirs.entry.variant.environment.key}\t{sys.executable}",
    ]
    assert CliRunner().invoke(app, ["fetch", name, "--offline"]).stdout == done.stdout
    done = CliRunner().invoke(app, ["check", name, "--source", f"theirs={theirs.checkout}"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{name}: passed")
    done = CliRunner().invoke(app, ["check", name, "--source", "thiers=x"])
    assert isinstance(done.exception, UsageError)
    assert "these do: theirs" in str(done.exception)


def test_result_keys_hold_commit_and_environment(theirs: Any, repository: tuple[Path, list[str]]) -> None:
    folder, (first, second) = repository
    theirs.adapter.write_text(
        theirs.adapter.read_text().replace("0123456789abcdef0123456789abcdef01234567", first)
    )
    key = theirs.entry.variant.environment.key
    entry = replace(theirs.entry, source=None)
    fetch_code(entry, lambda line: None)
    assert identity(entry) == {"commit": first, "environment": key}
    assert identity(replace(entry, source=checkout_path(entry.variant.environment))) == identity(entry)
    assert identity(replace(entry, source=folder)) == {"commit": second, "environment": key}
    assert identity(theirs.entry)["commit"].startswith("files:")


class _Unlucky:
    """A tokenizer that fails on batches of a certain size."""

    def __init__(self, size: int, error: type[AdapterError] = WorkerError) -> None:
        from tokbench import TokenSpec

        self.spec = TokenSpec("unlucky", "codec", vocab=256, stride=8)
        self.batches: list[int] = []
        self._size = size
        self._error = error

    def encode(self, images: torch.Tensor) -> Any:
        from tokbench import Codes

        self.batches += [len(images)] if len(images) > 1 else []  # what the engine tries first is one image
        if len(images) == self._size:
            raise self._error("its worker was killed by SIGKILL")
        return Codes(ids=(images[:, :1, ::8, ::8] * 255).long())

    def decode(self, codes: Any) -> torch.Tensor:
        grey = codes.ids.float() / 255
        return torch.nn.functional.interpolate(grey, scale_factor=8.0).expand(-1, 3, -1, -1)


def test_a_lost_worker_costs_one_shard_and_the_same_command_computes_it(images: Path, tmp_path: Path) -> None:
    from tokbench import evaluate

    # 40 images are three shards of 16, 16 and 8.
    tokenizer = _Unlucky(8)
    out = tmp_path / "run"
    results = evaluate(tokenizer, images, TASK, out=out)
    assert results.failures == {
        "unlucky": "WorkerError: its worker was killed by SIGKILL; shard 3 of 3 is missing"
    }
    assert tokenizer.batches == [16, 16, 8]
    again = _Unlucky(0)
    results = evaluate(again, images, TASK, out=out)
    assert results.complete
    assert again.batches == [8]
    whole = evaluate(_Unlucky(0), images, TASK, out=tmp_path / "whole")
    assert results.rows == whole.rows


@pytest.mark.parametrize(
    ("size", "error", "batches"),
    [(16, WorkerError, [16, 16, 8]), (16, AdapterError, [16]), (4, WorkerError, [4] * 3)],
)
def test_the_next_shard_is_tried_three_times_but_only_after_a_lost_worker(
    images: Path, tmp_path: Path, size: int, error: type[AdapterError], batches: list[int]
) -> None:
    from tokbench import evaluate

    tokenizer = _Unlucky(size, error)
    results = evaluate([tokenizer], images, TASK, out=tmp_path / "run", batch_size=size)
    assert set(results.failures) == {"unlucky"}
    assert not results.complete
    assert tokenizer.batches == batches
