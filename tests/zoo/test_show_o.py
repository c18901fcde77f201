"""Show-o's lookup-free tokenizer on the blocks of diffusers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

from tokbench.catalog import Catalog, discover
from tokbench.loading import adapter_module
from tokbench.pretrained import Published, compare_keys, load, published, read_keys, with_random_weights
from tokbench.testing import check_tokenizer

if TYPE_CHECKING:
    from tokbench.header import Variant

pytest.importorskip("diffusers")

GOLDEN = Path(__file__).parents[1] / "golden" / "show_o"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return discover()


def _adapter(catalog: Catalog) -> tuple[Published, Variant]:
    entry = catalog.tokenizer("show-o-magvitv2")
    adapter = published(adapter_module(entry))
    assert adapter is not None
    assert entry.variant is not None
    return adapter, entry.variant


def test_published_names_and_shapes_are_equal(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog)
    report = compare_keys(adapter, variant.spec, read_keys(GOLDEN / "full_keys_magvitv2.json"))
    assert report.equal, report


def test_a_small_one_keeps_the_contract(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog)
    config = {
        "ch": 8,
        "z_channels": 13,
        "encoder": {"ch_mult": [1, 2], "num_res_blocks": [2, 1]},
        "decoder": {"ch_mult": [1, 1], "num_res_blocks": [1, 3]},
        "_norm_num_groups": 4,
    }
    spec = replace(variant.spec, options={"config": config}, resolution=16, stride=2)
    network = adapter.architecture(spec)
    names = set(network.state_dict())
    for part, blocks in (("encoder.down_blocks.0", 2), ("encoder.down_blocks.1", 1)):
        assert f"{part}.resnets.{blocks - 1}.conv1.weight" in names
        assert f"{part}.resnets.{blocks}.conv1.weight" not in names
    # The decoder's levels are listed fine to coarse and built coarse to fine.
    assert "decoder.up_blocks.0.resnets.2.conv1.weight" in names
    assert "decoder.up_blocks.1.resnets.1.conv1.weight" not in names
    tokenizer = with_random_weights(adapter, spec, device=CPU, dtype=torch.float32)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    codes = tokenizer.encode(torch.rand(1, 3, 16, 24))
    assert codes.ids is not None
    assert codes.ids.shape == (1, 8, 12)


def test_a_published_checkpoint_loads(catalog: Catalog, tmp_path: Path) -> None:
    adapter, variant = _adapter(catalog)
    config = json.loads((GOLDEN / "lfq" / "config.json").read_text())
    path = tmp_path / "pytorch_model.bin"
    torch.save(load_file(GOLDEN / "lfq" / "weights.safetensors"), path)
    spec = replace(variant.spec, options={"config": config})
    paths = {variant.weights[0].name: path}
    tokenizer = load(adapter, spec, variant.weights, paths, device=CPU, dtype=torch.float32)
    codes = tokenizer.encode(torch.rand(1, 3, 16, 16))
    assert tokenizer.decode(codes).shape == (1, 3, 16, 16)
