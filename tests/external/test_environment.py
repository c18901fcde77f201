"""The environment that a header asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokbench.environment import Environment
from tokbench.errors import BrokenPluginError
from tokbench.header import read_header

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _header(tmp_path: Path, environment: str, top: str = 'dependencies = ["torch"]') -> Path:
    text = f"""{top}
[tool.tokbench]
[tool.tokbench.environment]
{environment}
[[tool.tokbench.tokenizers]]
name = "theirs"
kind = "continuous"
"""
    path = tmp_path / "theirs.py"
    lines = "".join(f"# {line}\n" if line else "#\n" for line in text.splitlines())
    path.write_text(f"# /// script\n{lines}# ///\n")
    return path


def test_a_header_names_repository_commit_python_and_packages(tmp_path: Path) -> None:
    path = _header(
        tmp_path,
        f'repository = "https://example.org/them/theirs"\ncommit = "{COMMIT}"\ncall_seconds = 5',
        'requires-python = ">=3.9"\ndependencies = ["torch>=2", "tokbench", "tokbench-extra", "numpy<2"]',
    )
    (variant,) = read_header(path).variants
    assert variant.environment == Environment(
        requirements=("torch>=2", "tokbench-extra", "numpy<2"),
        python=">=3.9",
        repository="https://example.org/them/theirs",
        commit=COMMIT,
        call_seconds=5,
    )


def test_an_empty_table_asks_for_packages_alone(tmp_path: Path) -> None:
    (variant,) = read_header(_header(tmp_path, "")).variants
    assert variant.environment == Environment(requirements=("torch",))


def test_the_key_stands_for_packages_and_python_and_nothing_else() -> None:
    one = Environment(("torch", "numpy<2"), ">=3.9", "https://example.org/a/b", COMMIT)
    assert one.key == Environment(("numpy<2", "torch"), ">=3.9").key
    assert one.key != Environment(("numpy<2", "torch"), ">=3.10").key
    assert one.key != Environment(("numpy<3", "torch"), ">=3.9").key


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ('branch = "main"', "unknown key `branch`"),
        ('repository = "https://example.org/a/b"', "40 hex digits"),
        (f'commit = "{COMMIT}"', "https address"),
        (f'repository = "git@example.org:a/b"\n#commit = "{COMMIT}"', "https address"),
        (f'repository = "https://example.org/a/b"\n#commit = "{COMMIT[:7]}"', "40 hex digits"),
        (f'repository = "https://example.org/--upload-pack=x y"\ncommit = "{COMMIT}"', "https address"),
        ("call_seconds = 0", "positive number"),
        ("startup_seconds = true", "positive number"),
    ],
)
def test_unusable_environments_are_refused(tmp_path: Path, environment: str, reason: str) -> None:
    with pytest.raises(BrokenPluginError, match=reason):
        read_header(_header(tmp_path, environment.replace("#", "")))
