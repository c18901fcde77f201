"""TiTok, TA-TiTok, One-D-Piece, MaskGIT's VQGAN and MaskBit beside their golden cases."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tokbench.catalog import Catalog, discover
from tokbench.errors import ContractError, MissingPackageError, SetupError
from tokbench.golden import golden_spec
from tokbench.loading import adapter_module
from tokbench.networks.clip import L14_336
from tokbench.nn.clip_text import TextTower, caption_states
from tokbench.pretrained import Published, compare_keys, load, published, read_keys, with_random_weights
from tokbench.testing import check_tokenizer
from tokbench.tokenizer import Codes, TokenSpec
from tokbench.weights import WeightFile, load_state_dict

if TYPE_CHECKING:
    from tokbench.header import Variant

GOLDEN = Path(__file__).parents[1] / "golden"
CPU = torch.device("cpu")
FAMILIES = ("titok", "ta_titok", "one_d_piece", "maskbit")
KEYS = sorted(path for family in FAMILIES for path in (GOLDEN / family).glob("full_keys_*.json"))
BUFFERS = {"caption"}
"""Tensors that no published file holds: TA-TiTok's caption, which convert() adds."""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return discover()


def _adapter(catalog: Catalog, name: str) -> tuple[Published, Variant]:
    entry = catalog.tokenizer(name)
    adapter = published(adapter_module(entry))
    assert adapter is not None
    assert entry.variant is not None
    return adapter, entry.variant


def _registered(path: Path) -> str:
    name = path.stem.removeprefix("full_keys_").replace("_tokenizer_", "_").removesuffix("_vq8k")
    return name.replace("_", "-")


def _small(spec: TokenSpec, case: str, **changes: Any) -> TokenSpec:
    """The variant with the sizes of a golden case."""
    options = golden_spec(GOLDEN / case).options
    config = options["config"]
    settings = config.get("model", {}).get("vq_model", config)
    side = config["dataset"]["preprocessing"]["crop_size"] if "dataset" in config else 32
    vocab = settings.get("codebook_size") if spec.kind == "discrete" else None
    return replace(
        spec, vocab=vocab, resolution=side, options={**spec.options, **options, **changes}, stride=side
    )


@pytest.mark.parametrize("path", KEYS, ids=lambda path: path.stem.removeprefix("full_keys_"))
def test_full_size_names_shapes_and_settings(catalog: Catalog, path: Path) -> None:
    adapter, variant = _adapter(catalog, _registered(path))
    report = compare_keys(adapter, variant.spec, read_keys(path))
    assert report.equal, report
    theirs = json.loads(path.read_text())
    assert report.parameters == theirs["n_params"]
    assert _within(variant.spec.options["config"], theirs["config"])


def _within(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict):
        return all(name in theirs and _within(value, theirs[name]) for name, value in ours.items())
    return bool(ours == theirs)


def test_every_variant_is_compared_with_a_list(catalog: Catalog) -> None:
    ours = {
        name
        for name, entry in catalog.tokenizers.items()
        if set(entry.families) & set(FAMILIES) and not entry.broken
    }
    assert ours == {_registered(path) for path in KEYS}
    assert len(ours) == 9 + 6 + 3 + 7


def test_maskgit_has_the_decoder_of_titok_and_the_encoder_of_vqgan_plus(catalog: Catalog) -> None:
    titok = read_keys(GOLDEN / "titok" / "full_keys_titok_s128.json")
    plus = read_keys(GOLDEN / "maskbit" / "full_keys_vqgan_plus_10bit.json")
    wanted = {
        name.replace("pixel_decoder.", "decoder.").replace("pixel_quantize.", "quantize."): shape
        for name, shape in titok.items()
        if name.startswith("pixel_")
    }
    for name, shape in plus.items():
        if name.startswith("encoder.") and ".down_conv." not in name:
            wanted[name.replace("mid.res_blocks.", "mid.").replace(".res_blocks.", ".block.")] = shape
    adapter, variant = _adapter(catalog, "maskgit-vqgan")
    assert compare_keys(adapter, variant.spec, wanted).equal


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("titok-bl64-vae", "titok/vae_c16"),
        ("titok-l32", "one_d_piece/stage2_vq"),
        ("one-d-piece-s256", "one_d_piece/stage2_vq"),
        ("tatitok-bl32-vq", "ta_titok/vq"),
        ("maskbit-12bit", "maskbit/maskbit_lfq"),
    ],
)
def test_small_ones_pass_the_contract(catalog: Catalog, name: str, case: str) -> None:
    adapter, variant = _adapter(catalog, name)
    changes = {"lengths": [1, 2, 20]} if name.startswith("one-d-piece") else {}
    spec = _small(variant.spec, case, **changes)

    def build() -> Any:
        return with_random_weights(adapter, spec, device=CPU, dtype=torch.float32)

    check_tokenizer(build(), trained=False, fresh=build).raise_if_failed()


def test_maskgit_passes_the_contract_when_small(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "maskgit-vqgan")
    config = {**variant.spec.options["config"], "hidden_channels": 32, "num_res_blocks": 1, "z_channels": 8}
    config |= {"channel_mult": [1, 2, 1, 1, 1], "num_embeddings": 16, "embedding_dim": 8}
    spec = replace(variant.spec, vocab=16, resolution=64, options={"config": config})
    tokenizer = with_random_weights(adapter, spec, device=CPU, dtype=torch.float32)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    assert spec.any_size
    codes = tokenizer.encode(torch.rand(1, 3, 48, 80))
    assert codes.ids is not None
    assert codes.ids.shape == (1, 3, 5)
    assert tokenizer.decode(codes).shape == (1, 3, 48, 80)


def test_half_precision_takes_and_gives_float32(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "titok-bl64-vae")
    tokenizer = with_random_weights(
        adapter, _small(variant.spec, "titok/vae_c16"), device=CPU, dtype=torch.bfloat16
    )
    codes = tokenizer.encode(torch.rand(1, 3, 64, 64))
    assert codes.latents is not None
    assert (codes.latents.dtype, codes.latents.shape) == (torch.bfloat16, (1, 16, 16))
    assert tokenizer.decode(codes).dtype == torch.float32


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
def test_the_published_layout_loads_from_a_file(catalog: Catalog, tmp_path: Path, suffix: str) -> None:
    adapter, variant = _adapter(catalog, "one-d-piece-s256")
    spec = _small(variant.spec, "one_d_piece/stage2_vq")
    state = load_state_dict(GOLDEN / "one_d_piece" / "stage2_vq" / "weights.safetensors")
    path = tmp_path / f"weights{suffix}"
    _save(state, path)
    files = (WeightFile("it", "https://example.org/weights"),)
    tokenizer = load(adapter, spec, files, {"it": path}, device=CPU, dtype=torch.float32)
    recorded = load_state_dict(GOLDEN / "one_d_piece" / "stage2_vq" / "io.safetensors")
    codes = tokenizer.encode(recorded["images"])
    assert codes.ids is not None
    assert codes.ids.tolist() == recorded["tokens"][:, 0].tolist()
    six = tokenizer.decode(tokenizer.truncate(codes, 6))  # type: ignore[attr-defined]
    assert float((six - recorded["decoded_len6"]).abs().max()) <= 1e-4  # float32 against float64: 1e-5
    with pytest.raises(ContractError, match="cannot cut 20 ids to 21"):
        tokenizer.truncate(codes, 21)  # type: ignore[attr-defined]
    del state["pixel_decoder.conv_in.bias"]
    _save(state, path)
    with pytest.raises(SetupError, match="1 missing"):
        load(adapter, spec, files, {"it": path}, device=CPU, dtype=torch.float32)


def _save(state: dict[str, torch.Tensor], path: Path) -> None:
    if path.suffix == ".bin":
        torch.save(state, path)
    else:
        from safetensors.torch import save_file

        save_file(state, path)


def test_the_first_of_two_stages_is_no_tokenizer(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "titok-s128")
    spec = _small(variant.spec, "one_d_piece/stage2_vq")
    spec.options["config"]["model"]["vq_model"]["finetune_decoder"] = False
    with pytest.raises(SetupError, match="not in images"):
        adapter.wrap(spec, adapter.architecture(spec))


def test_another_size_is_refused(catalog: Catalog) -> None:
    adapter, variant = _adapter(catalog, "titok-bl64-vae")
    tokenizer = with_random_weights(
        adapter, _small(variant.spec, "titok/vae_c16"), device=CPU, dtype=torch.float32
    )
    with pytest.raises(ContractError, match="48×64 pixels are 12 patches, wanted 16"):
        tokenizer.encode(torch.rand(1, 3, 48, 64))


def test_the_caption_is_read_by_clip_and_is_the_same_for_every_image(
    catalog: Catalog, tmp_path: Path
) -> None:
    adapter, variant = _adapter(catalog, "tatitok-bl32-vq")
    assert variant.spec.options["caption"] == ""
    spec = _small(variant.spec, "ta_titok/vq")
    settings = spec.options["config"]["model"]["vq_model"]
    # The golden case has 7 tokens of 20 channels; CLIP's heads are 64 wide.
    settings["text_embed_dim"] = 64
    tower = {f"clip.{name}": value for name, value in _tower(settings["text_context_length"]).items()}
    network = adapter.architecture(spec)
    own = {name: value for name, value in network.state_dict().items() if name not in BUFFERS}
    paths = {"own": tmp_path / "own.bin", "clip-l14-336": tmp_path / "clip.bin"}
    _save(own, paths["own"])
    _save({name.removeprefix("clip."): value for name, value in tower.items()}, paths["clip-l14-336"])
    clip = next(file for file in variant.weights if file.name == "clip-l14-336")
    assert clip.source == L14_336.source  # one file in the cache for both
    files = (WeightFile("own", "https://example.org/own"), clip)
    built = load(adapter, spec, files, paths, device=CPU, dtype=torch.float32)
    images = built.decode(Codes(ids=torch.tensor([[1] * 16, [1] * 16])))
    assert bool(images.isfinite().all())
    # Not bit by bit: a sum's order may depend on the place in the batch.
    assert torch.allclose(images[0], images[1], atol=1e-5)
    published_alone = adapter.convert(own, spec)  # type: ignore[attr-defined]
    assert bool(published_alone["caption"].isnan().all())


def _tower(context: int, layers: int = 2) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        tower = TextTower(49408, context, 64, layers, 1)
        torch.nn.init.normal_(tower.positional_embedding)
        return {**tower.state_dict(), "visual.proj": torch.zeros(1), "logit_scale": torch.zeros(())}


def test_hidden_states_are_those_of_open_clip() -> None:
    open_clip = pytest.importorskip("open_clip")
    model = open_clip.CLIP(
        embed_dim=8,
        vision_cfg={"layers": 1, "width": 64, "patch_size": 16, "image_size": 32},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 2},
        quick_gelu=True,
    ).eval()
    for caption in ("", "A photo of a jay."):
        with torch.inference_mode():
            x = model.token_embedding(open_clip.tokenize([caption])) + model.positional_embedding
            wanted = model.ln_final(model.transformer(x, attn_mask=model.attn_mask))[0]
        got = caption_states(model.state_dict(), caption)
        assert float((got - wanted).abs().max()) < 1e-5  # float32; states have deviation one


def test_a_caption_without_its_words_or_its_tower_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    state = _tower(7)
    assert caption_states(state, "").shape == (7, 64)
    with pytest.raises(MissingPackageError, match="needs the package `open_clip`"):
        caption_states(state, "a jay")
    del state["ln_final.weight"]
    with pytest.raises(SetupError, match="CLIP's text tower do not fit"):
        caption_states(state, "")
