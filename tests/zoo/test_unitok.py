"""UniTok beside its golden case: full-size names, the contract, and the settings that are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tokbench.catalog import discover
from tokbench.errors import SetupError
from tokbench.golden import golden_spec
from tokbench.loading import adapter_module
from tokbench.pretrained import compare_keys, read_keys
from tokbench.testing import check_tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "unitok"


@pytest.fixture(scope="module")
def entry():  # type: ignore[no-untyped-def]
    return discover().tokenizer("unitok")


def test_full_size_names_and_shapes(entry) -> None:  # type: ignore[no-untyped-def]
    report = compare_keys(
        adapter_module(entry), entry.variant.spec, read_keys(GOLDEN / "full_keys_unitok_vitamin_large.json")
    )
    assert report.equal, report


@pytest.mark.parametrize("projection", ["attn", "linear"])
def test_the_small_one_passes_the_contract(entry, projection: str) -> None:  # type: ignore[no-untyped-def]
    case = golden_spec(GOLDEN / "unitok_attn")
    config = {**case.options["config"], "quant_proj": projection}
    spec = replace(
        entry.variant.spec,
        codebooks=config["num_codebooks"],
        vocab=config["vocab_size"] // config["num_codebooks"],
        resolution=64,
        options={"config": config},
    )
    module = adapter_module(entry)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = module.architecture(spec).eval().requires_grad_(False)
    check_tokenizer(module.wrap(spec, network), trained=False).raise_if_failed()


def test_query_tokens_are_refused(entry) -> None:  # type: ignore[no-untyped-def]
    config = {**entry.variant.spec.options["config"], "num_query": 1}
    with pytest.raises(SetupError, match="1 query tokens is not supported"):
        adapter_module(entry).architecture(replace(entry.variant.spec, options={"config": config}))
