"""What adapters of authors' repositories share in the worker."""

from __future__ import annotations

import argparse
import sys

import pytest
import torch

from tokbench.errors import SetupError
from tokbench.external.authors import load_checkpoint, load_needed, own_noise, stand_in


@pytest.fixture
def forgotten(monkeypatch):
    """Names of modules that are taken out again."""
    for name in ("no_such_trainer", "no_such_trainer.loggers"):
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]


def test_stand_ins_can_be_imported_and_not_used(forgotten):
    stand_in("no_such_trainer", "no_such_trainer.loggers", Base=dict)
    import no_such_trainer.loggers
    from no_such_trainer.loggers import Logger

    assert no_such_trainer.Base is dict
    with pytest.raises(RuntimeError, match=r"no_such_trainer\.loggers\.Logger belongs to training"):
        Logger("here")


def test_modules_that_are_there_stay():
    before = sys.modules["torch"]
    stand_in("torch")
    assert sys.modules["torch"] is before


def test_checkpoint_of_a_training_script_is_read_without_its_command_line(tmp_path):
    weight, average = torch.ones(2), torch.zeros(2)
    path = tmp_path / "0100.pt"
    torch.save(
        {"model": {"w": weight}, "ema": {"w": average}, "args": argparse.Namespace(lr=1), "steps": 100}, path
    )
    assert torch.equal(load_checkpoint(path)["w"], average)
    assert torch.equal(load_checkpoint(path, keys=("model",))["w"], weight)


class Settings:
    """Not a plain value."""


def test_other_classes_are_refused_unless_named(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"model": {"w": torch.ones(1)}, "config": Settings()}, path)
    with pytest.raises(SetupError, match="not a plain checkpoint"):
        load_checkpoint(path)
    assert set(load_checkpoint(path, classes=(Settings,))) == {"w"}


def test_a_checkpoint_without_tensors_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"steps": 3}, path)
    with pytest.raises(SetupError, match="no tensors"):
        load_checkpoint(path)


def test_what_is_missing_or_left_over_is_named(tmp_path):
    network, path = torch.nn.Linear(2, 1), tmp_path / "a.pt"
    state = {"weight": torch.ones(1, 2), "bias": torch.ones(1)}
    load_needed(network, {**state, "teacher.w": torch.ones(1)}, path, unused=("teacher.",))
    assert torch.equal(network.weight, torch.ones(1, 2))
    with pytest.raises(SetupError, match=r"1 left over \['teacher\.w'\]"):
        load_needed(network, {**state, "teacher.w": torch.ones(1)}, path)
    with pytest.raises(SetupError, match=r"1 tensors missing \['bias'\]"):
        load_needed(network, {"weight": torch.ones(1, 2)}, path)
    with pytest.raises(SetupError, match="do not fit"):
        load_needed(network, {**state, "bias": torch.ones(2)}, path)


def test_noise_starts_from_the_seed_and_leaves_no_trace():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.rand(5)
    before = torch.get_rng_state()
    for _ in range(2):
        with own_noise(torch.device("cpu")):
            assert torch.equal(torch.rand(2), wanted)
    assert torch.equal(torch.get_rng_state(), before)
