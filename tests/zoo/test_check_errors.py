"""`tokbench check --golden` and `--keys` say what is missing instead of showing a traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from tokbench.cli.app import app
from tokbench.errors import DataError, MissingPackageError, SetupError

if TYPE_CHECKING:
    import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers.models.autoencoders.vae", None)
    done = CliRunner().invoke(app, ["check", "--golden", str(GOLDEN / "taming" / "gumbel")])
    assert isinstance(done.exception, MissingPackageError)
    assert done.exception.exit_code == 3
    assert "needs the package `diffusers" in done.exception.message


def test_an_external_tokenizer_has_no_names_to_compare() -> None:
    keys = GOLDEN / "unitok" / "full_keys_unitok_vitamin_large.json"
    done = CliRunner().invoke(app, ["check", "--keys", str(keys), "gigatok-s-s"])
    assert isinstance(done.exception, SetupError)
    assert "has no architecture to compare" in done.exception.message


def test_a_case_without_weights_is_refused(tmp_path: Path) -> None:
    case = tmp_path / "unitok" / "mine"
    case.mkdir(parents=True)
    for name in ("config.json", "meta.json"):
        (case / name).write_text((GOLDEN / "unitok" / "unitok_attn" / name).read_text())
    done = CliRunner().invoke(app, ["check", "--golden", str(case)])
    assert isinstance(done.exception, DataError)
    assert "has no weights.safetensors" in done.exception.message


def test_one_case_is_one_object() -> None:
    done = CliRunner().invoke(app, ["check", "--golden", str(GOLDEN / "unitok" / "unitok_attn")])
    report = json.loads(done.stdout)
    assert (done.exit_code, report["tokens_equal"], report["token_agreement"]) == (0, True, 1.0)
    assert report["decoded_max_abs_error"] <= 1e-4
    assert report["quantized_max_abs_error"] <= 1e-4


def test_other_names_are_a_failure_that_lists_them() -> None:
    keys = GOLDEN / "unitok" / "full_keys_unitok_vitamin_large.json"
    done = CliRunner().invoke(app, ["check", "--keys", str(keys), "taef2"])
    report = json.loads(done.stdout)
    assert (done.exit_code, report["equal"]) == (5, False)
    assert report["missing"]
    assert report["unexpected"]
