"""What strangers' code does to the process: put back, named where no library has a reason to, and never in numbers."""

from __future__ import annotations

import contextlib
import gc
import locale
import logging
import os
import signal
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from tokbench import Codes
from tokbench.engine.guard import Guard
from tokbench.errors import AdapterError, ContractError
from tokbench.loading import build_tokenizer
from tokbench.surroundings import unchanged
from tokbench.testing import check_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _filters() -> None:
    warnings.simplefilter("ignore")


def _other_threads() -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)


# name, how it is changed, how it is read. All of them are changed at once in one test, and one by one in another.
NAMED: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "default dtype": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "default device": (lambda: torch.set_default_device("meta"), torch.get_default_device),
    "gradients": (lambda: torch.set_grad_enabled(not torch.is_grad_enabled()), torch.is_grad_enabled),
    "threads": (_other_threads, torch.get_num_threads),
    "deterministic algorithms": (
        lambda: torch.set_deterministic_debug_mode("error"),
        torch.are_deterministic_algorithms_enabled,
    ),
    "precision of float32": (
        lambda: torch.set_float32_matmul_precision("medium"),
        torch.get_float32_matmul_precision,
    ),
    "autocast": (
        lambda: torch.set_autocast_enabled("cpu", True),
        lambda: torch.is_autocast_enabled("cpu"),
    ),
    "cudnn.benchmark": (
        lambda: setattr(torch.backends.cudnn, "benchmark", True),
        lambda: torch.backends.cudnn.benchmark,
    ),
    "cudnn.deterministic": (
        lambda: setattr(torch.backends.cudnn, "deterministic", True),
        lambda: torch.backends.cudnn.deterministic,
    ),
    "cudnn.enabled": (
        lambda: setattr(torch.backends.cudnn, "enabled", False),
        lambda: torch.backends.cudnn.enabled,
    ),
    "numpy's errors": (lambda: np.seterr(all="raise"), np.geterr),
    "PIL.Image.MAX_IMAGE_PIXELS": (
        lambda: setattr(Image, "MAX_IMAGE_PIXELS", None),
        lambda: Image.MAX_IMAGE_PIXELS,
    ),
    "PIL.ImageFile.LOAD_TRUNCATED_IMAGES": (
        lambda: setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True),
        lambda: ImageFile.LOAD_TRUNCATED_IMAGES,
    ),
    "current folder": (lambda: os.chdir("/"), os.getcwd),
    "locale": (
        lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C"),
        lambda: locale.setlocale(locale.LC_ALL),
    ),
    "signal handlers": (
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGTERM),
    ),
}
QUIET: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "sys.path": (lambda: sys.path.insert(0, "/elsewhere"), lambda: list(sys.path)),
    "a variable set": (lambda: os.environ.update(TOKBENCH_TEST="x"), lambda: dict(os.environ)),
    "a variable removed": (lambda: os.environ.pop("TOKBENCH_CACHE"), lambda: dict(os.environ)),
    "warning filters": (_filters, lambda: list(warnings.filters)),
    "standard streams": (lambda: setattr(sys, "stdout", sys.stderr), lambda: sys.stdout),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_setting_is_put_back_and_named(name: str) -> None:
    change, read = NAMED[name]
    before = read()
    with unchanged() as changes:
        change()
        assert read() != before
    assert read() == before
    assert [said.split(":")[0] for said in changes.said] == [name]


@pytest.mark.parametrize("name", QUIET)
def test_what_libraries_change_is_put_back_without_a_word(name: str) -> None:
    change, read = QUIET[name]
    before = read()
    with unchanged() as changes:
        change()
        assert read() != before
    assert read() == before
    assert changes.said == []


def test_nothing_changed_is_nothing_said_and_a_failure_puts_back_too() -> None:
    with unchanged() as changes:
        torch.ones(2)
    assert changes.said == []
    with contextlib.suppress(ZeroDivisionError), unchanged() as changes:
        torch.set_default_dtype(torch.float64)
        _ = 1 / 0
    assert torch.get_default_dtype() == torch.float32
    assert changes.said == ["default dtype: torch.float32 → torch.float64"]


@pytest.mark.skipif(
    not hasattr(torch.backends, "fp32_precision"), reason="torch before 2.9 has no such names"
)
def test_precision_set_by_torchs_newer_names_is_put_back_too() -> None:
    with unchanged() as changes:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
    assert torch.get_float32_matmul_precision() == "highest"
    assert [said.split(":")[0] for said in changes.said] == ["precision of float32"]


def test_a_folder_that_is_gone_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with unchanged() as changes:
        os.chdir("/")
    assert [said.split(":")[0] for said in changes.said] == ["current folder"]


def test_a_call_that_changes_settings_breaks_the_contract() -> None:
    with pytest.raises(ContractError) as caught:
        Guard("meddler").call(
            "encode", lambda: (np.seterr(all="raise"), torch.set_default_dtype(torch.float64))
        )
    assert caught.value.message.startswith(
        "tokenizer `meddler`: encode() changed settings of the whole process: "
        "default dtype: torch.float32 → torch.float64; numpy's errors: "
    )
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (SystemExit("usage: train.py"), "SystemExit: usage: train.py"),
        (RecursionError("deep"), "RecursionError: deep"),
        (MemoryError(), "MemoryError: "),
        (StopIteration(3), "StopIteration: 3"),
    ],
)
def test_whatever_a_call_raises_is_the_tokenizers_failure(error: BaseException, said: str) -> None:
    def function() -> None:
        raise error

    with pytest.raises(AdapterError, match=r"tokenizer `t`: decode\(\) raised ") as caught:
        Guard("t").call("decode", function)
    assert said in caught.value.message


@pytest.mark.parametrize("error", [KeyboardInterrupt(), torch.OutOfMemoryError("full"), ContractError("x")])
def test_interrupts_full_devices_and_our_own_errors_pass(error: BaseException) -> None:
    """Nobody can tell a Ctrl-C from an adapter that raises one: both stop the run, and finished shards are kept."""

    def function() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        Guard("t").call("decode", function)
    assert caught.value is error


def test_a_call_that_takes_long_is_named_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard("slow", patience=0.05)
    with caplog.at_level(logging.WARNING, "tokbench"):
        assert guard.call("encode", lambda: 5) == 5
        time.sleep(0.2)
        assert caplog.messages == []  # nothing is said between calls
        guard.call("decode", lambda: time.sleep(0.5))
    # After 0.05 s, 0.1 s, 0.2 s and 0.4 s, give or take a busy machine.
    assert 1 <= len(caplog.messages) <= 4
    assert all(
        each.startswith("tokenizer `slow`: decode() has not come back for ") and "Ctrl-C" in each
        for each in caplog.messages
    )


def test_watching_ends_with_the_tokenizer() -> None:
    before = set(threading.enumerate())
    guard = Guard("short", patience=0.05)
    guard.call("encode", lambda: None)
    (watcher,) = set(threading.enumerate()) - before
    del guard
    gc.collect()
    watcher.join(5)
    assert not watcher.is_alive()


ADAPTER = """# /// script
# dependencies = ["tokbench"]
# [[tool.tokbench.tokenizers]]
# name = "meddler"
# kind = "continuous"
# ///
import os, sys, warnings
import numpy, torch
from PIL import ImageFile
from tokbench import Codes

def meddle():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(7)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    numpy.seterr(all="raise")
    os.environ["CUDA_VISIBLE_DEVICES"] = "7"
    sys.path.insert(0, "/elsewhere")
    warnings.simplefilter("error")
    os.chdir("/")

meddle()

class Meddler:
    def __init__(self, spec):
        self.spec = spec
    def encode(self, images):
        return Codes(latents=images)
    def decode(self, codes):
        return codes.latents

def build(spec, *, device, dtype, weights):
    meddle()
    LEAVE
    return Meddler(spec)
"""


def _state() -> list[Any]:
    return [read() for _, read in (NAMED | QUIET).values()]


def test_importing_and_building_leave_no_trace(tmp_path: Path) -> None:
    from tokbench.catalog import Catalog

    path = tmp_path / "meddler.py"
    path.write_text(ADAPTER.replace("LEAVE", ""))
    before = _state()
    tokenizer = build_tokenizer(
        Catalog().tokenizer(str(path)), device=torch.device("cpu"), dtype=torch.float32, overrides={}
    )
    assert _state() == before
    assert check_tokenizer(tokenizer).passed


def test_leaving_while_it_is_built_is_this_tokenizers_failure(tmp_path: Path) -> None:
    from tokbench.catalog import Catalog

    path = tmp_path / "leaver.py"
    path.write_text(ADAPTER.replace("LEAVE", "raise SystemExit(0)"))
    before = _state()
    with pytest.raises(AdapterError, match="`meddler` could not be built: SystemExit: 0"):
        build_tokenizer(
            Catalog().tokenizer(str(path)), device=torch.device("cpu"), dtype=torch.float32, overrides={}
        )
    assert _state() == before


def test_plugins_and_networks_that_leave_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace
    from importlib.metadata import EntryPoint

    from tokbench.catalog import Entry
    from tokbench.errors import BrokenPluginError, EvaluatorError
    from tokbench.loading import build_network
    from tokbench.networks.lite0 import LITE0

    (tmp_path / "leaving_plugin.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("x", "leaving_plugin:X", "tokbench.tasks")
    with pytest.raises(BrokenPluginError, match=r"plugin `x` .* is broken: SystemExit: 0"):
        Entry[Any]("x", "their-dist 1.0", point=point).load()

    def load(weights: Any, device: Any) -> None:
        raise SystemExit(0)

    leaving = replace(LITE0, name="x", load=load)
    with pytest.raises(EvaluatorError, match="evaluator `x` could not be loaded: SystemExit: 0"):
        build_network(leaving, device=torch.device("cpu"), overrides={})


@pytest.mark.parametrize("name", ["default dtype", "threads", "current folder", "numpy's errors"])
def test_the_kit_names_the_setting(name: str, told: Any) -> None:
    def encode(self: Any, images: torch.Tensor) -> Codes:
        NAMED[name][0]()
        return Codes(latents=images)

    before = _state()
    report = check_tokenizer(told("meddler", encode))
    failed = {check.name: check.detail for check in report.checks if not check.passed}
    assert name in failed["side effects"]
    assert _state() == before


def test_seeding_torch_is_named(told: Any) -> None:
    def encode(self: Any, images: torch.Tensor) -> Codes:
        torch.manual_seed(self.calls)
        return Codes(latents=images)

    with torch.random.fork_rng(devices=[]):
        report = check_tokenizer(told("seeder", encode))
    failed = {check.name: check.detail for check in report.checks if not check.passed}
    assert "drawn or seeded" in failed["side effects"]


def test_reseeding_everything_changes_no_other_tokenizers_numbers(
    run: Any, told: Any, tmp_path: Path
) -> None:
    """Metrics, intervals and tokenizers that draw random numbers depend on no global generator."""
    import random

    def seed(self: Any, images: torch.Tensor) -> Codes:
        torch.manual_seed(self.calls)
        np.random.seed(self.calls)
        random.seed(self.calls)
        return Codes(latents=images)

    def noisy() -> Any:
        return told(
            "noisy", decode=lambda self, x: (x + torch.rand_like(x) / 8).clamp(0, 1), deterministic=False
        )

    with torch.random.fork_rng(devices=[]):
        alone = run(told("plain"), noisy(), out=tmp_path / "alone")
        beside = run(told("seeder", seed), told("plain"), noisy(), out=tmp_path / "beside")
    assert beside.failures == {}
    for name in ("plain", "noisy"):
        rows = [[row for row in each.rows if row.tokenizer == name] for each in (alone, beside)]
        assert rows[0] == rows[1] != []


def _leave(self: Any, images: torch.Tensor) -> None:
    raise SystemExit(0)


def _meddle(self: Any, images: torch.Tensor) -> Codes:
    torch.set_default_dtype(torch.float64)
    os.chdir("/")
    return Codes(latents=images)


def test_a_run_goes_on_without_those_that_meddle_or_leave(run: Any, told: Any, tmp_path: Path) -> None:
    alone = run(told("plain"), out=tmp_path / "alone")
    before = _state()  # libraries that tokbench imports set filters of their own
    beside = run(told("meddler", _meddle), told("leaver", _leave), told("plain"), out=tmp_path / "beside")
    assert _state() == before
    assert {name: reason.split(":")[0] for name, reason in beside.failures.items()} == {
        "meddler": "ContractError",
        "leaver": "AdapterError",
    }
    assert "default dtype: torch.float32 → torch.float64" in beside.failures["meddler"]
    assert "current folder: " in beside.failures["meddler"]
    assert "encode() raised SystemExit: 0" in beside.failures["leaver"]
    assert [row for row in beside.rows if row.tokenizer == "plain"] == list(alone.rows)
