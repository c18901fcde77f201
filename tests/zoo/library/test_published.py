"""What headers say of published tokenizers: sizes, tokens, names; and settings files that come with weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from tokbench.catalog import discover
from tokbench.errors import SetupError, WeightsMissingError
from tokbench.loading import adapter_module, build_tokenizer
from tokbench.pretrained import compare_keys, published, read_keys, shapes_only
from tokbench.testing import check_tokenizer

if TYPE_CHECKING:
    from tokbench.catalog import TokenizerEntry

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

CPU = torch.device("cpu")
GOLDEN = Path(__file__).parents[2] / "golden"
CATALOG = discover()
ADAPTERS = {
    "consistency_decoder.py",
    "cosmos.py",
    "diffusers_dc.py",
    "diffusers_kl.py",
    "diffusers_rae.py",
    "diffusers_tiny.py",
    "diffusers_video.py",
    "diffusers_vq.py",
    "imagegpt.py",
    "transformers_vq.py",
    "vidtok.py",
}
OURS = {name: entry for name, entry in CATALOG.tokenizers.items() if entry.path.name in ADAPTERS}

# Millions of parameters, as many digits as are published: model cards, papers, or counted on the authors' own code.
MILLIONS = {
    "amused-vq-256": "146.2",
    "cogvideox-vae": "216",
    "consistency-decoder": "655",
    "emu3-vq": "270.7",
    "flux1-vae": "83.8",
    "flux2-vae": "84.0",
    "hunyuanvideo-vae": "246",  # 246.48; some round it up
    "hunyuanvideo15-vae": "1261",
    "janus-pro-vq": "71.9",
    "kandinsky22-movq": "67.8",
    "kvae-2d": "217",
    "ldm-superres-vq": "55.3",
    "ltx-video-vae": "419",
    "mochi-vae": "460",
    "qwenimage-vae": "127",
    "qwenimage21-vae": "338",
    "rae-dinov2-base": "502",
    "sd15-vae": "83.7",
    "sd3-vae": "83.8",
    "sdxl-vae": "83.7",
    "taesd-diffusers": "2.45",
    "vidtok-fsq-488": "157",
    "wan21-vae": "127",
}


def architecture(name: str) -> torch.nn.Module:
    entry = CATALOG.tokenizer(name)
    adapter = published(adapter_module(entry))
    assert adapter is not None
    assert entry.variant is not None
    with shapes_only():
        return adapter.architecture(entry.variant.spec)


@pytest.mark.parametrize("name", MILLIONS)
def test_sizes_are_the_published_ones(name: str) -> None:
    digits = len(MILLIONS[name].partition(".")[2])
    count = sum(each.numel() for each in architecture(name).parameters())
    assert f"{count / 1e6:.{digits}f}" == MILLIONS[name]


def test_tokens_are_what_resolution_and_stride_make_of_them() -> None:
    frames = {"allegro-vae": 6, "minimax-h3-vae": 7}
    inner = {"allegro-vae": 8} | {name: 16 for name in OURS if name.startswith("rae-")}
    assert len(OURS) > 60
    for name, entry in OURS.items():
        assert entry.variant is not None
        spec = entry.variant.spec
        assert spec.resolution is not None
        side = spec.resolution // inner.get(name, spec.stride)
        assert spec.tokens == frames.get(name, 1) * side * side, name
        assert spec.any_size == (spec.stride < 256), name
        assert (spec.kind == "continuous") == (spec.channels is not None) == (spec.vocab is None), name


def test_names_of_emu3_are_those_of_its_authors() -> None:
    entry = CATALOG.tokenizer("emu3-vq")
    adapter = published(adapter_module(entry))
    assert adapter is not None
    assert entry.variant is not None
    shapes = read_keys(GOLDEN / "emu3" / "full_keys_emu3_vq.json")
    report = compare_keys(adapter, entry.variant.spec, shapes)
    assert report.equal, report
    assert report.published == 495


SMALL = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.4.2",
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
}
FORMER = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}


def build(entry: TokenizerEntry, overrides: dict[str, Path]) -> Any:
    return build_tokenizer(entry, device=CPU, dtype=torch.float32, overrides=overrides)


def test_a_settings_file_wins_and_can_be_absent(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKBENCH_CACHE", str(tmp_path / "cache"))
    small = tiny("sd15-vae", SMALL)
    state = small.network.state_dict()
    for present, former in FORMER.items():
        state = {name.replace(present, former): value for name, value in state.items()}
    assert any(".query." in name for name in state)
    weights, settings = tmp_path / "vae.safetensors", tmp_path / "config.json"
    save_file(state, weights)
    settings.write_text(json.dumps(SMALL))
    entry = CATALOG.tokenizer("sd15-vae")
    loaded = build(entry, {"sd15-vae": weights, "sd15-vae-config": settings})
    images = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(loaded.encode(images).latents, small.encode(images).latents)
    assert entry.variant is not None
    assert loaded.spec == entry.variant.spec
    with pytest.raises(
        SetupError, match="do not fit `sd15-vae`"
    ):  # those of the header are for the real file
        build(entry, {"sd15-vae": weights})
    with pytest.raises(WeightsMissingError, match="sd15-vae-config"):  # asked for by name, it has to be there
        build(entry, {"sd15-vae": weights, "sd15-vae-config": tmp_path / "absent.json"})
    settings.write_text("[1]")
    with pytest.raises(SetupError, match="wanted a JSON object"):
        build(entry, {"sd15-vae": weights, "sd15-vae-config": settings})
    settings.write_text("{")
    with pytest.raises(SetupError, match="cannot be read"):
        build(entry, {"sd15-vae": weights, "sd15-vae-config": settings})


def test_a_library_without_the_class_is_named(tiny: Any) -> None:
    with pytest.raises(SetupError, match="has no AutoencoderOfTomorrow"):
        tiny("sd15-vae", SMALL, options={"class": "AutoencoderOfTomorrow"})


def test_imagegpt_takes_its_colours_from_a_settings_file(tmp_path: Path) -> None:
    entry = CATALOG.tokenizer("imagegpt-colours")
    colours = torch.rand(512, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({"clusters": colours.tolist(), "do_normalize": True}))
    tokenizer = build(entry, {"imagegpt-colours": path})
    check_tokenizer(tokenizer).raise_if_failed()
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    pixels = (images * 2 - 1).movedim(1, -1).double()
    wanted = torch.cdist(pixels.reshape(-1, 3), colours.double()).argmin(dim=1).view(2, 4, 4)
    codes = tokenizer.encode(images)
    assert torch.equal(codes.ids, wanted)
    assert torch.allclose(tokenizer.decode(codes), (colours[wanted].movedim(-1, 1) + 1) / 2)
    path.write_text("{}")
    with pytest.raises(SetupError, match="no `clusters`"):
        build(entry, {"imagegpt-colours": path})


def test_a_network_of_shapes_alone_leaves_no_constant_without_numbers_behind() -> None:
    code = (
        "import torch\n"
        "from tokbench.pretrained import shapes_only\n"
        "with shapes_only():\n"
        "    from diffusers.models.autoencoders import AutoencoderKL\n"
        "from diffusers import AutoencoderKLCosmos\n"
        "AutoencoderKLCosmos().to('cpu')\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
