"""Tokenizers of signs: Open-MAGVIT2, BSQ-ViT and WeTok."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tokbench.catalog import Catalog, discover
from tokbench.errors import SetupError
from tokbench.loading import adapter_module
from tokbench.nn.binary import BinaryQuantizer
from tokbench.pretrained import Published, compare_keys, load, published, read_keys, with_random_weights
from tokbench.testing import check_tokenizer

if TYPE_CHECKING:
    from tokbench.header import Variant
    from tokbench.tokenizer import TokenSpec

GOLDEN = Path(__file__).parents[1] / "golden"
CPU = torch.device("cpu")

KEYS = {
    "open_magvit2/full_keys_imagenet_lfqgan_256_L.json": "open-magvit2-256",
    "open_magvit2/full_keys_imagenet_lfqgan_128_L.json": "open-magvit2-128",
    "open_magvit2/full_keys_pretrain_lfqgan_256_16384.json": "open-magvit2-pretrain-16384",
    "open_magvit2/full_keys_pretrain_lfqgan_256_262144.json": "open-magvit2-pretrain-262144",
    "bsq_vit/full_keys_imagenet_256x256_bsqvit_b18g18_stylegan_f8_fp16.json": "bsq-vit-18",
    "bsq_vit/full_keys_imagenet_256x256_bsqvit_b36g36_stylegan_f8_fp16.json": "bsq-vit-36",
    "bsq_vit/full_keys_imagenet_128x128_bsqvit_stylegan_f8_fp16.json": "bsq-vit-18-128",
    "wetok/full_keys_ImageNet_downsample16_imagenet.json": "wetok-ds16",
    "wetok/full_keys_GeneralDomain_compratio24_imagenet.json": "wetok-comp24",
    "wetok/full_keys_GeneralDomain_compratio48_imagenet.json": "wetok-comp48",
    "wetok/full_keys_GeneralDomain_compratio768_imagenet.json": "wetok-comp768",
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


def _small(spec: TokenSpec, **config: Any) -> TokenSpec:
    """The variant with other settings, so that it is quick."""
    return replace(spec, options={"config": {**spec.options["config"], **config}})


def _small_cnn(channels: int, multipliers: tuple[int, ...] = (1, 1, 2)) -> dict[str, Any]:
    return {
        "_norm_num_groups": 4,
        "ddconfig": {"z_channels": channels, "ch": 8, "ch_mult": multipliers, "num_res_blocks": 1},
    }


def test_every_list_of_published_names_is_used() -> None:
    listed = {str(path.relative_to(GOLDEN)) for path in GOLDEN.glob("*/full_keys_*.json")}
    assert {name for name in listed if name.startswith(("open_magvit2/", "bsq_vit/", "wetok/"))} == set(KEYS)


@pytest.mark.parametrize(("file", "name"), KEYS.items())
def test_published_names_and_shapes_are_equal(catalog: Catalog, file: str, name: str) -> None:
    adapter, variant = _adapter(catalog, name)
    report = compare_keys(adapter, variant.spec, read_keys(GOLDEN / file))
    assert report.equal, report


def test_the_first_channel_is_the_lowest_or_the_highest_bit() -> None:
    vector = torch.tensor([1.0, -1.0, -1.0, 0.0])[None, :, None]  # zero counts as negative
    assert BinaryQuantizer(4).ids(vector).tolist() == [[1]]
    assert BinaryQuantizer(4, first="highest").ids(vector).tolist() == [[8]]
    assert BinaryQuantizer(2, groups=2).ids(vector).tolist() == [[[1], [0]]]


@pytest.mark.parametrize(
    ("bits", "groups", "first"), [(18, 1, "lowest"), (36, 1, "highest"), (8, 4, "lowest")]
)
def test_ids_and_signs_are_inverse(bits: int, groups: int, first: Any) -> None:
    quantize = BinaryQuantizer(bits, groups=groups, first=first, scale=0.5)
    shape = (2, 3, 5) if groups == 1 else (2, groups, 3, 5)
    ids = torch.randint(2**bits, shape, generator=torch.Generator().manual_seed(0))
    vectors = quantize.lookup(ids)
    assert vectors.shape == (2, bits * groups, 3, 5)
    assert vectors.unique().tolist() == [-0.5, 0.5]
    assert torch.equal(quantize.ids(vectors), ids)


@pytest.mark.parametrize("name", ["open-magvit2-256", "open-magvit2-128"])
def test_a_small_lookup_free_tokenizer_keeps_the_contract(catalog: Catalog, name: str) -> None:
    adapter, variant = _adapter(catalog, name)
    spec = replace(_small(variant.spec, **_small_cnn(18)), resolution=32, stride=4)
    tokenizer = with_random_weights(adapter, spec, device=CPU, dtype=torch.float32)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    codes = tokenizer.encode(torch.zeros(1, 3, 16, 24))
    assert codes.ids is not None
    assert codes.ids.shape == (1, 4, 6)
    assert tokenizer.decode(codes).shape == (1, 3, 16, 24)


def test_half_precision_comes_out_as_float32(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "open-magvit2-128")
    spec = _small(variant.spec, **_small_cnn(18))
    tokenizer = with_random_weights(adapter, spec, device=CPU, dtype=torch.bfloat16)
    codes = tokenizer.encode(torch.rand(1, 3, 16, 16))
    assert tokenizer.decode(codes).dtype == torch.float32


def test_a_published_checkpoint_gives_its_moving_average(catalog: Catalog, tmp_path: Path) -> None:
    adapter, variant = _adapter(catalog, "open-magvit2-128")
    spec = _small(variant.spec, **_small_cnn(18))
    state = adapter.architecture(spec).state_dict()
    averages = {f"model_ema.{name.replace('.', '')}": value + 1 for name, value in state.items()}
    extra = {
        "loss.discriminator.main.0.weight": torch.zeros(3),
        "model_ema.decay": torch.tensor(0.999),
        "model_ema.num_updates": torch.tensor(-1),
    }
    path = tmp_path / "imagenet_128_L.ckpt"
    torch.save({"state_dict": {**state, **averages, **extra}, "epoch": 3}, path)
    paths = {variant.weights[0].name: path}
    tokenizer = load(adapter, spec, variant.weights, paths, device=CPU, dtype=torch.float32)
    got = tokenizer._network.state_dict()  # type: ignore[attr-defined]  (no other way to see which were taken)
    assert all(torch.equal(got[name], value + 1) for name, value in state.items())


def test_models_of_one_architecture_share_a_list_of_names(catalog: Catalog) -> None:
    configs = {
        name: _adapter(catalog, name)[1].spec.options["config"]
        for name in ("wetok-ds16", "wetok-comp192", "wetok-ds8", "wetok-comp48")
    }
    assert configs["wetok-ds16"] == configs["wetok-comp192"]
    assert configs["wetok-ds8"] == configs["wetok-comp48"]


def test_a_small_grouped_tokenizer_keeps_the_contract(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "wetok-comp24")
    spec = replace(_small(variant.spec, **_small_cnn(64)), resolution=32, stride=4)
    tokenizer = with_random_weights(adapter, spec, device=CPU, dtype=torch.float32)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    images = torch.rand(1, 3, 16, 24)
    codes = tokenizer.encode(images)
    assert codes.ids is not None
    assert codes.ids.shape == (1, 8, 4, 6)
    features = tokenizer.encoder_features(images)  # type: ignore[attr-defined]  (a capability)
    assert features.shape == (1, 4, 6, 8)
    assert torch.equal(BinaryQuantizer(8).ids(features.movedim(-1, 1)), codes.ids[:, 0])


def test_the_generative_decoder_draws_from_the_seeded_generator(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "wetok-comp768")
    assert not variant.spec.deterministic
    spec = replace(_small(variant.spec, **_small_cnn(32)), resolution=32, stride=4)
    tokenizer = with_random_weights(adapter, spec, device=CPU, dtype=torch.float32)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    codes = tokenizer.encode(torch.rand(1, 3, 16, 16))

    def decoded(seed: int) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return tokenizer.decode(codes)

    assert torch.equal(decoded(0), decoded(0))
    assert not torch.allclose(decoded(0), decoded(1))


SMALL_VIT = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "heads": 2, "mlp_ratio": 2}


def test_a_small_spherical_tokenizer_keeps_the_contract(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "bsq-vit-36")
    spec = replace(_small(variant.spec, vitconfig=SMALL_VIT), resolution=32)
    tokenizer = with_random_weights(adapter, spec, device=CPU, dtype=torch.float32)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    codes = tokenizer.encode(torch.rand(2, 3, 32, 32))
    assert codes.ids is not None
    assert codes.ids.shape == (2, 16)
    assert int(codes.ids.max()) >= 2**32  # 36 bits are really used


@pytest.mark.parametrize(
    ("settings", "bias"),
    [({"ln_pre": False}, True), ({"ls_init_value": 0.1}, False), ({"image_size": [16, 32]}, False)],
)
def test_settings_of_other_spherical_models(catalog: Catalog, settings: dict[str, Any], bias: bool) -> None:
    adapter, variant = _adapter(catalog, "bsq-vit-18")
    decoder = {**SMALL_VIT, **settings, "ln_post": False, "use_ffn_output": False, "width": 48}
    spec = _small(variant.spec, vitconfig={**SMALL_VIT, **settings}, dvitconfig=decoder, l2_norm=False)
    network = adapter.architecture(spec)
    names = set(network.state_dict())
    assert ("encoder.conv1.bias" in names) is bias
    assert not names & {"decoder.ffn.0.weight", "decoder.ln_post.weight"}
    assert ("encoder.transformer.resblocks.0.ls_1.gamma" in names) is ("ls_init_value" in settings)
    sides = (16, 32) if "image_size" in settings else (32, 32)
    tokenizer = adapter.wrap(spec, network.eval())
    with torch.inference_mode():
        assert tokenizer.decode(tokenizer.encode(torch.rand(1, 3, *sides))).shape == (1, 3, *sides)


@pytest.mark.parametrize("setting", [{"mask_type": "causal"}, {"num_frames": 4}])
def test_settings_for_video_are_refused(catalog: Catalog, setting: dict[str, Any]) -> None:
    adapter, variant = _adapter(catalog, "bsq-vit-18")
    with pytest.raises(SetupError, match=next(iter(setting))):
        adapter.architecture(_small(variant.spec, vitconfig={**SMALL_VIT, **setting}))


def test_a_variant_without_published_weights_says_so(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "bsq-vit-18-128")
    assert variant.weights == ()
    with pytest.raises(SetupError, match="not published"):
        load(adapter, _small(variant.spec, vitconfig=SMALL_VIT), (), {}, device=CPU, dtype=torch.float32)


def test_a_published_spherical_checkpoint_loads(catalog: Catalog, tmp_path: Path) -> None:
    adapter, variant = _adapter(catalog, "bsq-vit-18")
    spec = _small(variant.spec, vitconfig=SMALL_VIT)
    state = adapter.architecture(spec).state_dict()
    buffers = {"quantize.basis": torch.arange(18), "quantize.group_basis": torch.arange(1)}
    path = tmp_path / "checkpoint.pt"
    torch.save(
        {
            "epoch": 1,
            "state_dict": {f"module.{name}": value for name, value in state.items()},
            "ema_state_dict": {
                f"module.module.{name}": value + 1 for name, value in {**state, **buffers}.items()
            },
        },
        path,
    )
    paths = {variant.weights[0].name: path}
    tokenizer = load(adapter, spec, variant.weights, paths, device=CPU, dtype=torch.float32)
    got = tokenizer._network.state_dict()  # type: ignore[attr-defined]  (no other way to see which were taken)
    assert all(torch.equal(got[name], value + 1) for name, value in state.items())
