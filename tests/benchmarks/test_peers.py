"""The comparison with the tool chain runs, and both sides give the same numbers."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigs
from typer.testing import CliRunner

from tokbench.cli.app import app

if TYPE_CHECKING:
    from types import ModuleType

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COUNT = 4
TOKENIZER = "jpeg-q25"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("peers")


@pytest.fixture
def bench(peers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both sides on a few images, in this process: what a process of its own would find in its environment is set."""
    bench = peers.Bench(tmp_path, COUNT, [TOKENIZER])
    for key in ("TORCH_HOME", "TOKBENCH_PLUGINS", "TOKBENCH_CACHE"):
        monkeypatch.setenv(key, bench.environment[key])
    monkeypatch.syspath_prepend(str(tmp_path / "plugin"))
    return bench


def few_eigenvalues(matrix: np.ndarray) -> np.ndarray:
    """Of 2,048, which take ten seconds: the product of two covariances of COUNT images has rank COUNT - 1."""
    return eigs(matrix, k=COUNT - 1, v0=np.ones(len(matrix)), return_eigenvectors=False)


# torchvision warns of the arguments that lpips gives it.
@pytest.mark.filterwarnings("ignore:The parameter 'pretrained':UserWarning")
@pytest.mark.filterwarnings("ignore:Arguments other than a weight enum:UserWarning")
def test_the_chain_and_tokbench_agree(
    bench: Any, peers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np.linalg, "eigvals", few_eigenvalues)
    monkeypatch.setattr(
        "torch_fidelity.utils.multiprocessing.cpu_count", lambda: 0
    )  # no worker processes here
    chain = peers._chain
    chain.originals(bench.images, tmp_path / "x")
    chain.reconstruct(TOKENIZER, tmp_path / "x", tmp_path / "y")
    theirs: dict[str, Any] = {}
    for step in bench.steps:
        theirs |= chain.measure_step(step, tmp_path / "x", tmp_path / "y", bench.weights["inception"])

    out = tmp_path / "out"
    ran = CliRunner().invoke(app, [*bench.arguments(out), "--workers", "1"])
    assert ran.exit_code == 0, ran.output
    ours = bench.values(out)

    rows = peers.agreement({TOKENIZER: theirs}, ours, bench.task.headline)
    assert [row[0] for row in rows] == ["rfid", "lpips_alex", "psnr", "ssim", "ms_ssim"]
    # Float32 features in another order of additions; torchmetrics mirrors the border at the coarsest of five scales.
    within = {"rfid": 1e-4, "lpips_alex": 1e-6, "psnr": 1e-9, "ssim": 1e-9, "ms_ssim": 2e-3}
    assert {name for name, _, _, mean, image in rows if mean > within[name] or image > within[name]} == set()
    # Numbers that say something: neither zero nor those of equal images.
    assert theirs["rfid"] > 0.01
    assert min(theirs["lpips_alex"]) > 0.001
    assert max(theirs["psnr"]) < 40


def test_what_a_command_costs(peers: ModuleType) -> None:
    code = (
        "import multiprocessing, time\n"
        "def child():\n    x = bytearray(60_000_000); time.sleep(0.6)\n"
        "x = bytearray(30_000_000)\n"
        "c = multiprocessing.get_context('fork').Process(target=child)\nc.start(); c.join()\n"
    )
    used = peers.measure([sys.executable, "-c", code], {})
    assert used.wall > 0.6
    assert used.cpu < used.wall + 1
    # The child holds both, of which its parent's part is shared; the interpreter takes about ten more.
    assert 90 < used.largest < 125
    assert 90 < used.together < 135
    twice = used.then(used)
    assert (twice.wall, twice.largest) == (2 * used.wall, used.largest)
    with pytest.raises(RuntimeError, match="ended with 3"):
        peers.measure([sys.executable, "-c", "raise SystemExit(3)"], {})


def test_a_log_goes_on_and_refuses_other_settings(peers: ModuleType, tmp_path: Path) -> None:
    assert peers.Log(tmp_path, {"images": 4}).once("a", lambda: {"x": (1, 2)}) == {"x": [1, 2]}
    assert peers.Log(tmp_path, {"images": 4}).once("a", lambda: pytest.fail("measured again")) == {
        "x": [1, 2]
    }
    with pytest.raises(SystemExit, match=r"other settings \(images\)"):
        peers.Log(tmp_path, {"images": 5})


def test_weights_are_the_same_every_time(peers: ModuleType) -> None:
    networks = importlib.import_module("_networks")
    first, second = (networks._random_inception() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
