"""What goes wrong silently when a library's class is called as it stands: each of these is put right by an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from tokbench.catalog import discover
from tokbench.errors import SetupError, UsageError
from tokbench.loading import adapter_module, build_tokenizer
from tokbench.pretrained import load, published
from tokbench.testing import check_tokenizer
from tokbench.tokenizer import Codes
from tokbench.weights import WeightFile

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

CPU = torch.device("cpu")
VIDTOK = {
    "ch": 16,
    "ch_mult": [1, 1, 1, 1],
    "z_channels": 4,
    "double_z": False,
    "num_res_blocks": 1,
    "regularizer": "fsq",
    "codebook_size": 4096,
}


def pictures(n: int, side: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(n))


@torch.inference_mode()
def test_vidtok_is_padded_with_copies_of_the_picture(tiny: Any) -> None:
    tokenizer = tiny("vidtok-fsq-488", VIDTOK, vocab=4096)
    images = pictures(2)
    # The library's forward() pads in front by itself, its encode() does not.
    _, wanted = tokenizer.network((images * 2 - 1).unsqueeze(2), encoder_mode=True)
    assert torch.equal(tokenizer.encode(images).ids, wanted[:, 0].long())


@pytest.mark.parametrize("name", ["vidtok_fsq_causal_488_32768.ckpt", "model.ckpt"])
def test_files_of_vidtok_1_0_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    torch.save({"state_dict": {}}, path)
    entry = discover().tokenizer("vidtok-fsq-488")
    with pytest.raises(SetupError, match="v1_1"):
        build_tokenizer(entry, device=CPU, dtype=torch.float32, overrides={"vidtok-fsq-488": path})


def test_vidtok_1_1_loads_from_the_authors_layout(tiny: Any, tmp_path: Path) -> None:
    tokenizer = tiny("vidtok-fsq-488", VIDTOK, vocab=4096)
    path = tmp_path / "vidtok_fsq_causal_488_32768_v1_1.ckpt"
    state = tokenizer.network.state_dict()
    torch.save({"state_dict": {**state, "loss.logvar": torch.zeros(1)}, "global_step": 1}, path)
    adapter = published(adapter_module(discover().tokenizer("vidtok-fsq-488")))
    assert adapter is not None
    file = WeightFile("vidtok", "https://example.org/v1_1.ckpt", inside="state_dict")
    again = load(adapter, tokenizer.spec, [file], {"vidtok": path}, device=CPU, dtype=torch.float32)
    images = pictures(1)
    assert torch.equal(again.encode(images).ids, tokenizer.encode(images).ids)  # type: ignore[arg-type]


@torch.inference_mode()
def test_hunyuanvideo15_takes_one_picture_a_call(tiny: Any) -> None:
    config = {"latent_channels": 4, "block_out_channels": [32] * 5, "layers_per_block": 1}
    together = tiny("hunyuanvideo15-vae", config, options={"one_by_one": False})
    with pytest.raises(RuntimeError, match="broadcast shape"):
        together.encode(pictures(2))
    assert tiny("hunyuanvideo15-vae", config).encode(pictures(2)).latents.shape == (2, 4, 2, 2)


@torch.inference_mode()
def test_janus_compares_directions(tiny: Any) -> None:
    from transformers import JanusVQVAEConfig
    from transformers.models.janus.modeling_janus import JanusVQVAE

    config = {"base_channels": 32, "latent_channels": 32, "num_embeddings": 64, "num_res_blocks": 1}
    tokenizer = tiny("janus-pro-vq", config, vocab=64)
    plain = JanusVQVAE(JanusVQVAEConfig(**config)).eval()
    lengths = torch.linspace(0.1, 3, 64).unsqueeze(1)
    directions = tokenizer.codebook()
    plain.load_state_dict(
        {**tokenizer.network.state_dict(), "quantize.embedding.weight": directions * lengths}
    )
    images = pictures(2, 64)
    features = plain.quant_conv(plain.encoder(images * 2 - 1)).movedim(1, -1)
    wanted = (features @ directions.T).argmax(dim=-1)  # what the authors compute
    assert torch.equal(tokenizer.encode(images).ids, wanted)
    assert not torch.equal(plain.encode(images * 2 - 1).image_tokens.view_as(wanted), wanted)
    wrapped = adapter_module(discover().tokenizer("janus-pro-vq")).wrap(tokenizer.spec, plain)
    assert torch.equal(wrapped.encode(images).ids, wanted)
    assert torch.allclose(tokenizer.encoder_features(images).norm(dim=-1), torch.tensor(1.0))


def test_qwenimage21_gets_an_opaque_alpha(tiny: Any) -> None:
    config = {"base_dim": 8, "decoder_base_dim": 8, "dim_mult": [1] * 5, "num_res_blocks": 1}
    tokenizer = tiny("qwenimage21-vae", config)
    seen: list[torch.Tensor] = []
    tokenizer.network.encoder.conv_in.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        codes = tokenizer.encode(pictures(1))
        assert tokenizer.decode(codes).shape == (1, 3, 32, 32)
    assert seen[0].shape[1] == 4
    assert bool((seen[0][:, 3] == 1).all())


@torch.inference_mode()
def test_kandinsky6_is_given_levels_over_128(tiny: Any) -> None:
    config = {
        "latent_channels": 8,
        "encoder_block_out_channels": [16, 32],
        "decoder_block_out_channels": [16, 32],
        "layers_per_block": 1,
    }
    tokenizer = tiny("kandinsky6-sr-vae", config)
    levels = torch.tensor([0.0, 128.0, 255.0])
    assert torch.allclose(tokenizer.pixels(levels / 255), levels / 128 - 1, atol=1e-6)
    assert torch.allclose(tokenizer.images(tokenizer.pixels(levels / 255)), levels / 255, atol=1e-6)


RAE = {
    "encoder_hidden_size": 64,
    "encoder_num_hidden_layers": 1,
    "encoder_input_size": 28,
    "decoder_hidden_size": 32,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 4,
    "decoder_intermediate_size": 64,
}


def test_rae_takes_its_own_size_alone(tiny: Any) -> None:
    tokenizer = tiny("rae-dinov2-base", RAE, stride=32)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    with torch.inference_mode():
        codes = tokenizer.encode(pictures(1))
        assert codes.latents.shape == (1, 64, 2, 2)
        # The library shrinks 64×64 without a word and gives 32×32 back.
        latents = tokenizer.network.encode(pictures(1, 64)).latent
        assert tokenizer.decode(Codes(latents=latents)).shape == (1, 3, 32, 32)
        with pytest.raises(UsageError, match="takes 32×32, got 64×64"):
            tokenizer.encode(pictures(1, 64))
        black = tokenizer.pixels(torch.zeros(1, 3, 2, 2))
    assert bool((black == 0).all())


MINIMAX = {
    "latent_channels": 4,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "spatial_downsample_factors": [2, 2],
    "temporal_downsample_factors": [2, 2],
    "norm_num_groups": 8,
    "decoder_num_layers": 1,
    "decoder_num_attention_heads": 2,
    "decoder_attention_head_dim": 8,
    "decoder_ffn_mult": 2,
    "latents_mean": [0.0] * 4,
    "latents_std": [1.0] * 4,
}


@torch.inference_mode()
def test_minimax_h3_cannot_decode_one_frame_and_gets_22(tiny: Any) -> None:
    single = tiny("minimax-h3-vae", MINIMAX, options={"frames": 1})
    with pytest.raises(ValueError, match="empty list"):
        single.decode(single.encode(pictures(1, 16)))
    tokenizer = tiny("minimax-h3-vae", MINIMAX)
    codes = tokenizer.encode(pictures(2, 16))
    assert codes.latents.shape == (2, 4, 7, 4, 4)  # all frames are paid for
    assert tokenizer.decode(codes).shape == (2, 3, 16, 16)


@torch.inference_mode()
def test_allegro_works_by_tiles_of_24_frames(tiny: Any) -> None:
    config = {"block_out_channels": [4] * 4, "layers_per_block": 1, "norm_num_groups": 2, "sample_size": 64}
    untiled = tiny("allegro-vae", config, options={"tiling": False})
    with pytest.raises(NotImplementedError):
        untiled.encode(pictures(1, 64))
    tokenizer = tiny("allegro-vae", config)
    codes = tokenizer.encode(pictures(1, 64))
    assert codes.latents.shape == (1, 4, 6, 8, 8)
    frames = tokenizer.network.decode(codes.latents).sample
    assert frames.shape == (1, 24, 3, 64, 64)  # all others give channels before frames
    assert torch.equal(tokenizer.decode(codes), (frames[:, 0] + 1) / 2)


CONSISTENCY = {
    "encoder_block_out_channels": [8, 16],
    "encoder_down_block_types": ["DownEncoderBlock2D"] * 2,
    "encoder_norm_num_groups": 4,
    "decoder_block_out_channels": [8, 16],
    "decoder_down_block_types": ["ResnetDownsampleBlock2D"] * 2,
    "decoder_up_block_types": ["ResnetUpsampleBlock2D"] * 2,
    "decoder_layers_per_block": 1,
    "decoder_norm_num_groups": 4,
}


@torch.inference_mode()
def test_the_consistency_decoder_draws_by_seed(tiny: Any) -> None:
    tokenizer = tiny("consistency-decoder", CONSISTENCY)
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    codes = tokenizer.encode(pictures(2))

    def decode(seed: int, part: Codes = codes) -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = torch.get_rng_state()
            images: torch.Tensor = tokenizer.decode(part)
            assert torch.equal(torch.get_rng_state(), state)
        return images

    assert torch.equal(decode(1), decode(1))
    assert not torch.equal(decode(1), decode(2))
    alone = decode(1, Codes(latents=codes.latents[1:]))
    # float32 sums in another order: rounding, not another draw
    assert torch.allclose(decode(1)[1:], alone, atol=1e-4)


class Encoder(torch.nn.Module):
    """Stands for a published encoder.jit: ids or latents first, something else after them."""

    def __init__(self, discrete: bool) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 8, 8)
        self.discrete = discrete

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        latents = self.conv(images)
        return (latents.argmax(dim=1).to(torch.int32) if self.discrete else latents), latents


class Decoder(torch.nn.Module):
    """Stands for a published decoder.jit."""

    def __init__(self, discrete: bool) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(4, 4)
        self.conv = torch.nn.ConvTranspose2d(4, 3, 8, 8)
        self.discrete = discrete

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return self.conv(self.table(codes).permute(0, 3, 1, 2) if self.discrete else codes)


@pytest.mark.parametrize("name", ["cosmos-ci8x8", "cosmos-di8x8"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_torchscript_files_are_loaded_without_a_warning(
    name: str, dtype: torch.dtype, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    discrete = name == "cosmos-di8x8"
    paths = {part: tmp_path / f"{part}.jit" for part in ("encoder", "decoder")}
    torch.manual_seed(0)
    latents = torch.zeros(1, 4, 4, dtype=torch.int32) if discrete else torch.zeros(1, 4, 4, 4)
    torch.jit.save(torch.jit.trace(Encoder(discrete), pictures(1)), str(paths["encoder"]))
    torch.jit.save(torch.jit.trace(Decoder(discrete), latents), str(paths["decoder"]))
    recwarn.clear()
    tokenizer = build_tokenizer(
        discover().tokenizer(name),
        device=CPU,
        dtype=dtype,
        overrides={f"{name}-{part}": path for part, path in paths.items()},
    )
    check_tokenizer(tokenizer, trained=False).raise_if_failed()
    assert not [str(each.message) for each in recwarn.list]
    paths["decoder"].write_bytes(b"no archive")
    with pytest.raises(SetupError, match=r"decoder\.jit cannot be read"):
        build_tokenizer(
            discover().tokenizer(name),
            device=CPU,
            dtype=dtype,
            overrides={f"{name}-{part}": path for part, path in paths.items()},
        )
