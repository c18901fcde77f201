"""Infinity's multi-scale binary tokenizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from tokbench.bitstream import pack
from tokbench.catalog import Catalog, discover
from tokbench.errors import ContractError, SetupError
from tokbench.loading import adapter_module
from tokbench.nn.multiscale_binary import MultiScaleBinary
from tokbench.pretrained import Published, compare_keys, load, published, read_keys, with_random_weights
from tokbench.testing import check_tokenizer

if TYPE_CHECKING:
    from tokbench.header import Variant
    from tokbench.tokenizer import TokenSpec

pytest.importorskip("diffusers")

GOLDEN = Path(__file__).parents[1] / "golden" / "infinity"
CPU = torch.device("cpu")
SMALL = {
    "patch_size": 2,
    "base_ch": 8,
    "num_res_blocks": 1,
    "encoder_ch_mult": [1, 2],
    "decoder_ch_mult": [1, 2],
    "_norm_num_groups": 4,
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return discover()


def _adapter(catalog: Catalog, name: str) -> tuple[Published, Variant]:
    entry = catalog.tokenizer(name)
    adapter = published(adapter_module(entry))
    assert adapter is not None
    assert entry.variant is not None
    return adapter, entry.variant


def _small(spec: TokenSpec) -> TokenSpec:
    options = {**spec.options, "config": {**spec.options["config"], **SMALL}}
    return replace(spec, options=options, resolution=32, stride=2)


@pytest.mark.parametrize(
    ("file", "name"),
    [("d16", "d16"), ("d24", "d24"), ("d32", "d32"), ("d32", "d32reg"), ("d64", "d64")],
)
def test_published_names_and_shapes_are_equal(catalog: Catalog, file: str, name: str) -> None:
    adapter, variant = _adapter(catalog, f"infinity-{name}")
    report = compare_keys(adapter, variant.spec, read_keys(GOLDEN / f"full_keys_infinity_vae_{file}.json"))
    assert report.equal, report


@pytest.mark.parametrize("name", ["infinity-d24", "infinity-d64"])
def test_a_small_one_keeps_the_contract(catalog: Catalog, name: str) -> None:
    adapter, variant = _adapter(catalog, name)
    tokenizer = with_random_weights(adapter, _small(variant.spec), device=CPU, dtype=torch.float32)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    codes = tokenizer.encode(torch.rand(1, 3, 32, 32))
    assert codes.ids is not None
    assert codes.ids.shape == (1, variant.spec.codebooks, 521)
    assert pack(codes, variant.spec)[0].bits == variant.spec.codebooks * 521  # one bit an id, 64 of them too
    features = tokenizer.encoder_features(torch.rand(1, 3, 32, 32))  # type: ignore[attr-defined]  (a capability)
    assert features.shape == (1, 521, variant.spec.codebooks)


def test_scales_are_cut_only_where_one_ends(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "infinity-d16")
    tokenizer = with_random_weights(adapter, _small(variant.spec), device=CPU, dtype=torch.float32)
    codes = tokenizer.encode(torch.rand(1, 3, 32, 32))
    with pytest.raises(ContractError, match="22 positions"):
        tokenizer.truncate(codes, 22)  # type: ignore[attr-defined]  (a capability)


def test_each_scale_is_given_what_the_coarser_ones_left() -> None:
    vectors = torch.randn(2, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    quantize = MultiScaleBinary(8, 16)
    ids, prepared = quantize.ids(vectors), quantize.prepare(vectors)
    left = vectors - quantize.lookup(ids[:, :, :265])
    # Sums in another order: float32 rounding of numbers near 1.
    torch.testing.assert_close(
        prepared[:, :, 265:], torch.nn.functional.normalize(left, dim=1).flatten(2), atol=1e-5, rtol=0
    )
    assert torch.equal(prepared > 0, ids.bool())


def test_a_constant_image_needs_the_first_scale_alone() -> None:
    vectors = torch.tensor([1.0, -1.0, -1.0, 1.0]).div(2)[None, :, None, None].expand(1, 4, 16, 16)
    ids = MultiScaleBinary(4, 16).ids(vectors)
    assert ids[0, :, 0].tolist() == [1, 0, 0, 1]
    assert torch.equal(MultiScaleBinary(4, 16).lookup(ids[:, :, :1]), vectors)


@pytest.mark.parametrize(("side", "total", "scales"), [(16, 521, 7), (32, 2521, 10), (64, 10521, 13)])
def test_the_published_schedules(side: int, total: int, scales: int) -> None:
    quantize = MultiScaleBinary(4, side)
    assert (quantize.lengths[-1], len(quantize.lengths)) == (total, scales)


def test_other_sides_and_lengths_are_refused() -> None:
    with pytest.raises(SetupError, match="24 × 24"):
        MultiScaleBinary(4, 24)
    with pytest.raises(SetupError, match="20 positions"):
        MultiScaleBinary(4, 16).lookup(torch.zeros(1, 4, 20, dtype=torch.long))


def test_levels_that_do_not_fit_the_patch_are_refused(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "infinity-d16")
    config = {**variant.spec.options["config"], "patch_size": 8}
    with pytest.raises(SetupError, match="patch of 8"):
        adapter.architecture(replace(variant.spec, options={"config": config}))


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_published_checkpoint_loads(catalog: Catalog, tmp_path: Path, wrapped: bool) -> None:
    """The authors' loader takes names of their wrapped layers, and plain ones."""
    from safetensors.torch import load_file

    adapter, variant = _adapter(catalog, "infinity-d16")
    spec = replace(_small(variant.spec), resolution=64)
    config = {**spec.options["config"], "patch_size": 4, "codebook_dim": 8, "_norm_num_groups": 8}
    config |= {"encoder_ch_mult": [1, 2, 2], "decoder_ch_mult": [1, 2, 2]}
    spec = replace(spec, options={**spec.options, "config": config})
    state = load_file(GOLDEN / "bsq_ms" / "weights.safetensors")
    if not wrapped:
        state = {_plain(name): value for name, value in state.items()}
    path = tmp_path / "infinity_vae_d16.pth"
    torch.save({"vae": state, "step": 7}, path)
    paths = {variant.weights[0].name: path}
    tokenizer = load(adapter, spec, variant.weights, paths, device=CPU, dtype=torch.float32)
    assert tokenizer.encode(torch.rand(1, 3, 64, 64)).ids is not None


def _plain(name: str) -> str:
    for layer in (
        "conv_in",
        "conv_out",
        "conv1",
        "conv2",
        "nin_shortcut",
        "downsample.conv",
        "upsample.conv",
    ):
        name = name.replace(f".{layer}.conv.", f".{layer}.")
    for layer in ("norm1", "norm2", "norm_out"):
        name = name.replace(f".{layer}.norm.", f".{layer}.")
    return name
