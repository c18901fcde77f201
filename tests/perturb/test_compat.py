"""The authors' own perturbation, index for index, from a recorded call of their code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tokbench.perturb.compat import add_perturbation_compat

GOLDEN = Path(__file__).parents[1] / "data" / "golden_pfid"


@pytest.fixture(scope="module")
def golden() -> tuple[dict, dict]:
    return load_file(GOLDEN / "io.safetensors"), json.loads((GOLDEN / "config.json").read_text())


def run(tensors: dict, config: dict, **changed: object):
    settings = {name: config[name] for name in ("alpha", "beta", "delta", "codebook_norm")}
    names = ("z", "z_q", "codebook", "random_prob", "random_rank_drawn")
    return add_perturbation_compat(*(tensors[name] for name in names), **(settings | changed))


def test_the_recorded_call_is_reproduced(golden: tuple[dict, dict]) -> None:
    tensors, config = golden
    result = run(tensors, config)
    assert torch.equal(result.indices, tensors["perturbed_indices"])
    assert torch.equal(result.ranks, tensors["rank_used"])
    # Same operations in float32, whose order of summation may differ between processors: a few units of the last
    # place of numbers below 1.
    assert torch.allclose(result.z_q, tensors["output"], rtol=0, atol=1e-6)
    untouched = int(tensors["n_perturbed_images"])
    assert torch.equal(result.z_q[untouched:], tensors["z_q"][untouched:])
    assert 0 < untouched < len(result.z_q)


def test_without_a_rate_every_position_has_its_nearest_entry(golden: tuple[dict, dict]) -> None:
    tensors, config = golden
    result = run(tensors, config, alpha=-1.0, beta=1.0)
    assert torch.equal(result.indices, tensors["base_indices"])
    # Unit vectors on both sides, through one addition and one subtraction in float32.
    assert torch.allclose(result.z_q, tensors["z_q"], rtol=0, atol=1e-6)


def test_plain_distances_without_normalisation(golden: tuple[dict, dict]) -> None:
    tensors, config = golden
    result = run(tensors, config, codebook_norm=False, beta=1.0)
    rows = tensors["z"].permute(0, 2, 3, 1).reshape(120, 8)
    order = torch.cdist(rows.double(), tensors["codebook"].double()).argsort(dim=1)
    assert torch.equal(result.indices, order.gather(1, tensors["rank_used"][:, None])[:, 0])
    expected = tensors["codebook"][result.indices].reshape(4, 5, 6, 8).permute(0, 3, 1, 2)
    assert torch.allclose(result.z_q, expected, rtol=0, atol=1e-5)
    assert not torch.equal(result.indices, tensors["perturbed_indices"])
