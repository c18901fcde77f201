"""Official checkpoints renamed onto library blocks: names, silent traps, and other libraries' classes as witnesses."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from tokbench.catalog import Catalog, discover
from tokbench.errors import SetupError, UsageError
from tokbench.loading import adapter_module
from tokbench.pretrained import compare_keys, load, published, read_keys, shapes_only
from tokbench.testing import check_tokenizer
from tokbench.tokenizer import Codes, TokenSpec
from tokbench.weights import WeightFile, load_state_dict, load_tensors

if TYPE_CHECKING:
    from types import ModuleType

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

GOLDEN = Path(__file__).parents[1] / "golden"
KEYS = {
    "taming/full_keys_vqgan_imagenet_f16_1024": ["vqgan-f16-1024"],
    "taming/full_keys_vqgan_imagenet_f16_16384": ["vqgan-f16-16384"],
    "taming/full_keys_vqgan_gumbel_f8_8192": ["vqgan-gumbel-f8"],
    "llamagen/full_keys_vq16": ["llamagen-vq16", "llamagen-vq16-t2i"],
    "llamagen/full_keys_vq8": ["llamagen-vq8"],
    "ibq/full_keys_ibqgan_1024": ["ibq-1024"],
    "ibq/full_keys_ibqgan_8192": ["ibq-8192"],
    "ibq/full_keys_ibqgan_16384": ["ibq-16384"],
    "ibq/full_keys_ibqgan_262144": ["ibq-262144"],
    "tokenbridge/full_keys_kl16_mar_vae": ["mar-kl16", "xar-kl16", "tokenbridge"],
    "var/full_keys_vae_ch160v4096z32": ["var-vae-256"],
    "var/full_keys_vae_ch160v4096z32_512": ["var-vae-512"],
}
DETAILS: dict[str, Any] = {
    "double_z": False,
    "z_channels": 4,
    "resolution": 32,
    "ch": 8,
    "ch_mult": [1, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [16],
}
SMALL = {"ddconfig": DETAILS, "n_embed": 32, "embed_dim": 4, "_norm_num_groups": 8}
GROUPS_32 = {**SMALL, "ddconfig": {**DETAILS, "ch": 32}, "_norm_num_groups": 32}
MAR = {"embed_dim": 4, "ch": 8, "ch_mult": [1, 2], "num_res_blocks": 1, "_norm_num_groups": 8}
LLAMAGEN = {
    "codebook_size": 32,
    "codebook_embed_dim": 4,
    "codebook_l2_norm": True,
    "encoder_ch_mult": [1, 2],
    "decoder_ch_mult": [1, 2],
    "z_channels": 8,
    "ch": 8,
    "num_res_blocks": 1,
    "_norm_num_groups": 8,
}
BRIDGE = {**MAR, "quant_bits": 6, "quant_min": -5.0, "quant_max": 5.0, "std_range": 3.0}
VAR = {
    "vocab_size": 32,
    "z_channels": 4,
    "ch": 8,
    "ch_mult": [1, 2],
    "num_res_blocks": 1,
    "v_patch_nums": [1, 2, 16],
    "share_quant_resi": 2,
    "_norm_num_groups": 8,
}
DALL_E = {"n_init": 8, "n_hid": 8, "n_blk_per_group": 1, "vocab_size": 32}
# A tiny network of each adapter: the variant whose header it stands for, what of the spec differs, and its config.
TINY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "vqgan-f16-1024": ({"vocab": 32}, SMALL),
    "vqgan-gumbel-f8": ({"vocab": 32}, {**SMALL, "temperature_scheduler_config": {}}),
    "ldm-vq-f4": ({"vocab": 32}, SMALL),
    "chameleon-vqgan": ({"vocab": 32}, SMALL),
    "ibq-1024": ({"vocab": 32}, SMALL),
    "movqgan-67m": ({"vocab": 32}, GROUPS_32),
    "va-vae-f16d32": ({}, {**SMALL, "ddconfig": {**DETAILS, "double_z": True}}),
    "mar-kl16": ({}, MAR),
    "tokenbridge": ({"codebooks": 4}, BRIDGE),
    "llamagen-vq16": ({"vocab": 32}, LLAMAGEN),
    "var-vae-256": ({"vocab": 32}, VAR),
    "dall-e": ({"vocab": 32}, DALL_E),
    "taesd": ({}, {"latent_channels": 4}),
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return discover()


def _module(catalog: Catalog, name: str) -> ModuleType:
    return adapter_module(catalog.tokenizer(name))


def _spec(catalog: Catalog, name: str, config: dict[str, Any], **changes: Any) -> TokenSpec:
    variant = catalog.tokenizer(name).variant
    assert variant is not None
    options = {**variant.spec.options, "config": config}
    return replace(variant.spec, options=options, **changes)


def _tiny(catalog: Catalog, name: str) -> tuple[ModuleType, TokenSpec, Any]:
    changes, config = TINY[name]
    spec = _spec(catalog, name, config, resolution=32, **changes)
    if name.startswith("var"):
        spec = replace(spec, options={**spec.options, "lengths": [1, 5, 261]})
    module = _module(catalog, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = module.architecture(spec).eval().requires_grad_(False)
    return module, spec, network


def _golden(case: str) -> tuple[dict[str, Any], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    folder = GOLDEN / case
    config = json.loads((folder / "config.json").read_text())
    return (
        config,
        load_state_dict(folder / "weights.safetensors"),
        load_state_dict(folder / "io.safetensors"),
    )


@pytest.mark.parametrize("file", sorted(KEYS))
def test_full_size_names_and_shapes(catalog: Catalog, file: str) -> None:
    shapes = read_keys(GOLDEN / f"{file}.json")
    for name in KEYS[file]:
        adapter, variant = published(_module(catalog, name)), catalog.tokenizer(name).variant
        assert adapter is not None
        assert variant is not None
        report = compare_keys(adapter, variant.spec, shapes)
        assert report.equal, report


@pytest.mark.parametrize("name", sorted(TINY))
def test_the_contract(catalog: Catalog, name: str) -> None:
    module, spec, network = _tiny(catalog, name)
    check_tokenizer(module.wrap(spec, network), trained=False).raise_if_failed()


@pytest.mark.parametrize("name", sorted(TINY))
def test_half_precision_gives_float32_images(catalog: Catalog, name: str) -> None:
    module, spec, network = _tiny(catalog, name)
    tokenizer = module.wrap(spec, network.bfloat16())
    with torch.inference_mode():
        images = tokenizer.decode(tokenizer.encode(torch.rand(1, 3, 32, 32)))
    assert images.dtype == torch.float32
    assert images.isfinite().all()


@pytest.mark.parametrize("name", sorted(TINY.keys() - {"var-vae-256"}))
def test_images_need_not_be_square(catalog: Catalog, name: str) -> None:
    module, spec, network = _tiny(catalog, name)
    tokenizer = module.wrap(spec, network)
    images = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    assert tokenizer.decode(tokenizer.encode(images)).shape == images.shape


def test_parameters_of_the_variants_without_a_key_file(catalog: Catalog) -> None:
    """Counts in millions of the library's table of tokenizers, by which the settings are recognised."""
    wanted = {
        "ldm-vq-f4": 55.3,
        "ldm-vq-f8": 67.7,
        "chameleon-vqgan": 68.7,
        "movqgan-67m": 67.8,
        "movqgan-102m": 101.6,
        "movqgan-270m": 270.7,
        "va-vae-f16d32": 69.8,
        "taesd": 2.45,
    }
    for name, millions in wanted.items():
        variant = catalog.tokenizer(name).variant
        assert variant is not None
        with shapes_only():
            network = _module(catalog, name).architecture(variant.spec)
        count = sum(each.numel() for each in network.parameters()) / 1e6
        assert count == pytest.approx(millions, abs=0.06), name


# --- silent traps ---------------------------------------------------------------------------------------------------


def _janus(config: dict[str, Any], state: dict[str, torch.Tensor]) -> Any:
    from transformers import JanusVQVAEConfig
    from transformers.models.janus.modeling_janus import JanusVQVAE

    from tokbench.nn.taming_names import llamagen_to_taming

    janus = JanusVQVAE(
        JanusVQVAEConfig(
            base_channels=config["ch"],
            channel_multiplier=config["encoder_ch_mult"],
            num_res_blocks=config["num_res_blocks"],
            latent_channels=config["z_channels"],
            embed_dim=config["codebook_embed_dim"],
            num_embeddings=config["codebook_size"],
            num_patches=8,
        )
    ).eval()
    taming = llamagen_to_taming(state)
    missing, unexpected = janus.load_state_dict(taming, strict=False)
    # The decoder of transformers counts its levels the other way round; ids need the encoder alone.
    assert not [name for name in (*missing, *unexpected) if not name.startswith("decoder.")]
    return janus


def test_janus_compares_the_codebook_of_llamagen_as_it_is_stored(catalog: Catalog) -> None:
    config, state, recorded = _golden("llamagen/vq_l2")
    lengths = torch.linspace(0.2, 5, config["codebook_size"])[:, None]
    rows = torch.nn.functional.normalize(state["quantize.embedding.weight"], dim=1)
    state["quantize.embedding.weight"] = rows * lengths
    module = _module(catalog, "llamagen-vq16")
    spec = _spec(catalog, "llamagen-vq16", config)
    network = module.architecture(spec)
    network.load_state_dict(module.convert(state, spec))
    janus = _janus(config, state)
    with torch.inference_mode():
        ours = network.quantize.ids(network.features((recorded["images"] + 1) / 2)).flatten()
        raw = janus.encode(recorded["images"]).image_tokens.flatten()
        janus.quantize.embedding.weight.copy_(rows)
        normalised = janus.encode(recorded["images"]).image_tokens.flatten()
    assert torch.equal(ours, recorded["tokens"].flatten())  # the length of a row decides nothing
    assert (raw == ours).float().mean() < 0.9
    assert torch.equal(normalised, ours)
    # What enters the decoder has length 1 too.
    assert torch.allclose(network.quantize.entries(), rows, atol=1e-6)


def test_ibq_takes_the_largest_product_and_not_the_nearest_entry(catalog: Catalog) -> None:
    from tokbench.nn.quantize import VectorQuantizer

    config, state, recorded = _golden("ibq/ibq")
    module = _module(catalog, "ibq-1024")
    spec = _spec(catalog, "ibq-1024", config)
    network = module.architecture(spec)
    network.load_state_dict(module.convert(state, spec))
    nearest = VectorQuantizer(config["n_embed"], config["embed_dim"])
    nearest.load_state_dict(network.quantize.state_dict())
    with torch.inference_mode():
        features = recorded["pre_quant"]
        assert torch.equal(network.quantize.ids(features).flatten(), recorded["tokens"].flatten())
        agreement = (nearest.ids(features).flatten() == recorded["tokens"].flatten()).float().mean()
    assert agreement < 0.95


def test_ibq_evaluates_its_moving_averages(catalog: Catalog) -> None:
    module = _module(catalog, "ibq-1024")
    state = {
        "quant_conv.weight": torch.zeros(4, 4, 1, 1),
        "quant_conv.bias": torch.zeros(4),
        "model_ema.quant_convweight": torch.ones(4, 4, 1, 1),
        "model_ema.decay": torch.tensor(0.999),
        "loss.logvar": torch.zeros(()),
    }
    averaged = module.convert(state, _spec(catalog, "ibq-1024", {**SMALL, "use_ema": True}))
    assert averaged.keys() == {"quant_conv.weight", "quant_conv.bias"}
    assert averaged["quant_conv.weight"].min() == 1
    trained = module.convert(state, _spec(catalog, "ibq-1024", SMALL))
    assert trained["quant_conv.weight"].max() == 0


# --- other libraries' classes as witnesses ---------------------------------------------------------------------------


def test_chameleon_has_the_ids_of_transformers(catalog: Catalog) -> None:
    from transformers import ChameleonVQVAE, ChameleonVQVAEConfig

    torch.manual_seed(0)
    witness = ChameleonVQVAE(
        ChameleonVQVAEConfig(
            base_channels=32,
            channel_multiplier=[1, 2, 2],
            num_res_blocks=1,
            latent_channels=8,
            embed_dim=8,
            num_embeddings=64,
            resolution=32,
        )
    ).eval()
    details = {**DETAILS, "ch": 32, "ch_mult": [1, 2, 2], "z_channels": 8, "attn_resolutions": []}
    spec = _spec(catalog, "chameleon-vqgan", {"ddconfig": details, "n_embed": 64, "embed_dim": 8})
    module = _module(catalog, "chameleon-vqgan")
    network = module.architecture(spec).eval()
    missing, unexpected = network.load_state_dict(module.convert(witness.state_dict(), spec), strict=False)
    assert not unexpected
    assert all(name.startswith("decoder.") for name in missing)
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        ids = module.wrap(spec, network).encode(images).ids
        assert torch.equal(ids.flatten(), witness.encode(images * 2 - 1).image_tokens.flatten())
    assert len(ids.unique()) > 4


def test_movqgan_is_the_spatial_vq_of_diffusers(catalog: Catalog) -> None:
    from diffusers import VQModel

    _, _, network = _tiny(catalog, "movqgan-67m")
    witness = VQModel(
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        latent_channels=4,
        num_vq_embeddings=32,
        vq_embed_dim=4,
        norm_type="spatial",
        lookup_from_codebook=True,
    ).eval()
    witness.load_state_dict(network.state_dict())
    images = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        latents = witness.encode(images * 2 - 1).latents
        features = network.features(images)
        assert torch.allclose(features, latents, atol=1e-5)
        ids = network.quantize.ids(features)
        assert torch.equal(ids.flatten(), witness.quantize(latents)[2][2].flatten())
        wanted = witness.decode(ids, force_not_quantize=True, shape=(*ids.shape, 4)).sample
        assert torch.allclose(network.pixels(network.quantize.lookup(ids)) * 2 - 1, wanted, atol=1e-4)


def test_spatial_norms_of_movqgan_are_renamed(catalog: Catalog) -> None:
    names = {
        "decoder.up.0.block.1.norm1.conv_y.weight": "decoder.up_blocks.1.resnets.1.norm1.conv_y.weight",
        "decoder.up.1.attn.0.norm.norm_layer.bias": "decoder.up_blocks.0.attentions.0.spatial_norm.norm_layer.bias",
        "decoder.mid.attn_1.norm.conv_b.weight": "decoder.mid_block.attentions.0.spatial_norm.conv_b.weight",
        "decoder.norm_out.conv_y.weight": "decoder.conv_norm_out.conv_y.weight",
        "encoder.mid.attn_1.norm.weight": "encoder.mid_block.attentions.0.group_norm.weight",
        "encoder.mid.attn_1.proj_out.weight": "encoder.mid_block.attentions.0.to_out.0.weight",
    }
    module = _module(catalog, "movqgan-67m")
    state = {name: torch.zeros(4, 4, 1, 1) for name in [*names, "encoder.down.1.block.0.conv1.weight"]}
    converted = module.convert(state, _spec(catalog, "movqgan-67m", GROUPS_32))
    assert set(names.values()) <= converted.keys()
    assert converted[names["decoder.mid.attn_1.norm.conv_b.weight"]].ndim == 4
    assert converted[names["encoder.mid.attn_1.proj_out.weight"]].ndim == 2


def test_attention_is_where_the_authors_have_it(catalog: Catalog) -> None:
    def attended(name: str) -> tuple[bool, bool]:
        variant = catalog.tokenizer(name).variant
        assert variant is not None
        with shapes_only():
            names = _module(catalog, name).architecture(variant.spec).state_dict()
        return tuple(
            any(f"{part}_blocks" in n and "attentions" in n for n in names) for part in ("down", "up")
        )

    assert attended("mar-kl16") == (True, False)
    assert attended("va-vae-f16d32") == (True, True)
    assert attended("chameleon-vqgan") == (False, False)


class _TaesdBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x) + x)


class _SoftClamp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x / 3) * 3


def _conv(inputs: int = 64, outputs: int = 64, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **more)


def test_taesd_is_what_its_author_describes(catalog: Catalog) -> None:
    torch.manual_seed(0)
    down = [[_conv(stride=2, bias=False), *(_TaesdBlock() for _ in range(3))] for _ in range(3)]
    up = [
        [*(_TaesdBlock() for _ in range(3)), nn.Upsample(scale_factor=2), _conv(bias=False)] for _ in range(3)
    ]
    encoder = nn.Sequential(_conv(3), _TaesdBlock(), *itertools.chain(*down), _conv(64, 16))
    decoder = nn.Sequential(
        _SoftClamp(), _conv(16), nn.ReLU(), *itertools.chain(*up), _TaesdBlock(), _conv(64, 3)
    )
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    state |= {f"decoder.{name}": value for name, value in decoder.state_dict().items()}
    spec = _spec(catalog, "taesd3", {"latent_channels": 16})
    module = _module(catalog, "taesd3")
    network = module.architecture(spec)
    network.load_state_dict(module.convert(state, spec))
    tokenizer = module.wrap(spec, network.eval())
    images = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        latents = encoder(images)
        assert torch.allclose(tokenizer.encode(images).latents, latents, atol=1e-5)
        assert torch.allclose(tokenizer.decode(Codes(latents=latents * 9)), decoder(latents * 9), atol=1e-5)


def test_dall_e_decodes_ids_as_one_hot_maps(catalog: Catalog) -> None:
    module, spec, network = _tiny(catalog, "dall-e")
    ids = torch.randint(0, 32, (1, 2, 3))
    one_hot = torch.nn.functional.one_hot(ids, 32).movedim(-1, 1).float()
    with torch.inference_mode():
        six = network.decoder.blocks(one_hot)
        wanted = (torch.sigmoid(six[:, :3]) - 0.1) / 0.8
        assert torch.allclose(module.wrap(spec, network).decode(Codes(ids=ids)), wanted, atol=1e-6)
    published_names = {
        "encoder.blocks.group_2.block_1.res_path.conv_1.w",
        "encoder.blocks.group_2.block_1.id_path.b",
        "encoder.blocks.output.conv.w",
        "decoder.blocks.group_1.block_1.res_path.conv_4.b",
        "decoder.blocks.input.w",
    }
    renamed = module.convert({name: torch.zeros(1) for name in published_names}, spec)
    assert renamed.keys() <= network.state_dict().keys()
    assert len(renamed) == len(published_names)


def test_levels_of_tokenbridge_are_means_of_a_normal_variable(catalog: Catalog) -> None:
    module = _module(catalog, "tokenbridge")
    levels = module.NormalLevels(6, -5.0, 5.0, 3.0, 0.2325)
    edges = np.clip(stats.norm.ppf(np.linspace(0, 1, 65)), -3, 3)
    means = [stats.truncnorm(low, high).mean() for low, high in itertools.pairwise(edges)]
    assert np.allclose(levels.means, means, atol=1e-5)
    assert np.allclose(levels.levels(), np.array(means) / 3 * 5 / 0.2325, atol=1e-4)
    values = levels.levels()[None, :, None, None]
    assert torch.equal(levels.ids(values).flatten(), torch.arange(64))
    assert levels.ids(torch.tensor([[-1e3, 1e3]])).tolist() == [[0, 63]]


def test_mar_gives_the_mean_that_tokenbridge_rounds(catalog: Catalog) -> None:
    config, state, recorded = _golden("tokenbridge/tokenbridge")
    module = _module(catalog, "mar-kl16")
    spec = _spec(catalog, "mar-kl16", config)
    network = module.architecture(spec).eval()
    network.load_state_dict(module.convert(state, spec))
    with torch.inference_mode():
        got = module.golden(spec, network, {"images": recorded["images"]})
        latents = module.wrap(spec, network).encode((recorded["images"] + 1) / 2).latents
    for name in ("mean", "logvar", "decoded"):
        assert torch.allclose(got[name], recorded[name], atol=5e-5), name
    assert torch.allclose(latents.movedim(-1, 1), recorded["mean"], atol=5e-5)


def test_var_codes_are_cut_after_a_scale(catalog: Catalog) -> None:
    for name in ("var-vae-256", "var-vae-512"):
        variant = catalog.tokenizer(name).variant
        assert variant is not None
        sides = variant.spec.options["config"]["v_patch_nums"]
        assert variant.spec.options["lengths"] == np.cumsum(np.square(sides)).tolist()
        assert variant.spec.options["lengths"][-1] == variant.spec.tokens
    module, spec, network = _tiny(catalog, "var-vae-256")
    tokenizer = module.wrap(spec, network)
    with pytest.raises(UsageError, match="32×32, got 32×64"):
        tokenizer.encode(torch.zeros(1, 3, 32, 64))
    with pytest.raises(UsageError, match="cannot be cut to 7"):
        tokenizer.truncate(Codes(ids=torch.zeros(1, 261, dtype=torch.long)), 7)


@pytest.mark.parametrize(
    ("shared", "names"), [(0, ["0", "1", "2"]), (1, ["qresi"]), (2, ["qresi_ls.0", "qresi_ls.1"])]
)
def test_var_shares_its_refinements(catalog: Catalog, shared: int, names: list[str]) -> None:
    module = _module(catalog, "var-vae-256")
    spec = _spec(catalog, "var-vae-256", {**VAR, "share_quant_resi": shared})
    published_names = {f"quantize.quant_resi.{name}.weight": torch.zeros(4, 4, 3, 3) for name in names}
    wanted = {name for name in module.architecture(spec).state_dict() if "phi" in name and "weight" in name}
    assert module.convert(published_names, spec).keys() == wanted


# --- files and refusals ----------------------------------------------------------------------------------------------


def test_a_lightning_checkpoint_loads(catalog: Catalog, tmp_path: Path) -> None:
    config, state, recorded = _golden("taming/gumbel")
    path = tmp_path / "last.ckpt"
    torch.save({"epoch": 3, "state_dict": {**state, "loss.logvar": torch.zeros(())}}, path)
    adapter = published(_module(catalog, "vqgan-gumbel-f8"))
    variant = catalog.tokenizer("vqgan-gumbel-f8").variant
    assert adapter is not None
    assert variant is not None
    spec = _spec(catalog, "vqgan-gumbel-f8", config, vocab=config["n_embed"])
    paths = {variant.weights[0].name: path}
    tokenizer = load(adapter, spec, variant.weights, paths, device=torch.device("cpu"), dtype=torch.float32)
    with torch.inference_mode():
        ids = tokenizer.encode((recorded["images"] + 1) / 2).ids
    assert torch.equal(ids, recorded["tokens"])


def test_the_pickled_modules_of_dall_e_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "encoder.pkl"
    torch.save(nn.Conv2d(1, 1, 1), path)
    with pytest.raises(SetupError, match="refused") as caught:
        load_tensors(WeightFile("dall-e-encoder", "https://cdn.openai.com/dall-e/encoder.pkl"), path)
    assert "safetensors where you trust the file" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("details", "config", "reason"),
    [
        ({"resamp_with_conv": False}, {}, "ddconfig.resamp_with_conv"),
        ({"attn_type": "linear"}, {}, "ddconfig.attn_type"),
        ({}, {"remap": "ids.npy"}, "remap"),
        ({"ch": 12}, {}, "12 channels cannot be divided into 8 groups"),
    ],
)
def test_settings_that_the_library_lacks_are_refused(
    catalog: Catalog, details: dict[str, Any], config: dict[str, Any], reason: str
) -> None:
    settings = {**SMALL, **config, "ddconfig": {**DETAILS, **details}}
    with pytest.raises(SetupError, match=reason):
        _module(catalog, "ldm-vq-f4").architecture(_spec(catalog, "ldm-vq-f4", settings))


def test_the_first_level_may_widen_and_attention_may_lie_anywhere(catalog: Catalog) -> None:
    details = {**DETAILS, "ch_mult": [2, 2, 4], "attn_resolutions": [32, 8]}
    spec = _spec(catalog, "ldm-vq-f4", {**SMALL, "ddconfig": details, "embed_dim": 6})
    network = _module(catalog, "ldm-vq-f4").architecture(spec)
    assert network.encoder.conv_in.out_channels == 8
    assert [hasattr(block, "attentions") for block in network.encoder.down_blocks] == [True, False, True]
    features = network.features(torch.rand(1, 3, 16, 24))
    assert features.shape == (1, 6, 4, 6)
    assert network.pixels(features).shape == (1, 3, 16, 24)
