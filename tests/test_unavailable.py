"""Systems that nobody can run are named with the reason, and never hide a tokenizer that can be run."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tokbench.catalog import discover
from tokbench.cli.app import app
from tokbench.errors import UnavailableError
from tokbench.unavailable import unavailable


def test_the_reason_is_the_error() -> None:
    with pytest.raises(
        UnavailableError, match=r"`textok` \(TexTok\) cannot be run .* no official code"
    ) as caught:
        discover().tokenizer("textok")
    assert "tatitok" in caught.value.hint
    assert caught.value.exit_code == 3


def test_no_name_is_both() -> None:
    assert not set(unavailable()) & set(discover().tokenizers)


def test_they_are_listed_and_described() -> None:
    listed = CliRunner().invoke(app, ["list", "unavailable"])
    assert all(name in listed.stdout for name in unavailable())
    assert "no official code or weights" in CliRunner().invoke(app, ["describe", "textok"]).stdout
