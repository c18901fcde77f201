"""The learned tokenizer in the box: shapes, ids under any batching, its weights file, and that its script trains."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from safetensors import safe_open

from tokbench.catalog import discover
from tokbench.errors import BrokenPluginError
from tokbench.images.rounding import from_uint8, to_uint8
from tokbench.loading import build_tokenizer
from tokbench.nn.conv_vq import ConvVQ, ConvVQConfig, load_conv_vq, save_conv_vq
from tokbench.tokenizer import Codes, HasCodebook

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "adapters" / "weights" / "vq-conv-f8.safetensors"
TINY = ConvVQConfig(
    vocab=64, dim=8, coarse=32, middle=16, fine=8, encoder_blocks=(1, 1), decoder_blocks=(1, 1, 1)
)


@pytest.fixture(scope="module")
def tokenizer():
    entry = discover().tokenizer("vq-conv-f8")
    return build_tokenizer(entry, device=torch.device("cpu"), dtype=torch.float32, overrides={})


@pytest.fixture(scope="module")
def scenes():
    """Thirty-two images of 64×64 with structure from 4 to 64 pixels, as the harness hands them over."""
    draw = torch.Generator().manual_seed(5)
    total = torch.zeros(32, 3, 64, 64)
    for cells, weight in ((2, 0.5), (5, 0.3), (16, 0.2)):
        coarse = torch.rand(32, 3, cells, cells, generator=draw)
        total += weight * F.interpolate(coarse, size=(64, 64), mode="bilinear")
    return from_uint8(to_uint8(total))


def psnr(images, tokenizer) -> float:
    output = tokenizer.decode(tokenizer.encode(images))
    return float(-10 * torch.log10((from_uint8(to_uint8(output)) - images).square().mean()))


@pytest.mark.parametrize(("height", "width"), [(256, 256), (128, 192), (8, 8)])
def test_shapes_and_range(tokenizer, height, width):
    images = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    codes = tokenizer.encode(images)
    assert codes.ids.dtype == torch.int64
    assert codes.ids.shape == (1, height // 8, width // 8)
    assert 0 <= int(codes.ids.min()) <= int(codes.ids.max()) < 1024
    output = tokenizer.decode(codes)
    assert output.dtype == torch.float32
    assert output.shape == images.shape
    assert 0 <= float(output.min()) <= float(output.max()) <= 1


def test_a_side_that_is_no_multiple_of_the_stride_is_refused(tokenizer):
    assert tokenizer.spec.stride == 8
    with pytest.raises(RuntimeError, match="divisible"):
        tokenizer.encode(torch.zeros(1, 3, 36, 64))


def test_ids_do_not_depend_on_batch_or_threads(tokenizer, scenes):
    whole = tokenizer.encode(scenes).ids
    for size in (1, 8):
        assert torch.equal(torch.cat([tokenizer.encode(part).ids for part in scenes.split(size)]), whole)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert torch.equal(tokenizer.encode(scenes).ids, whole)
    finally:
        torch.set_num_threads(threads)


def test_pixels_do_not_depend_on_batch_or_threads(tokenizer, scenes):
    codes = tokenizer.encode(scenes[:8])
    whole = tokenizer.decode(codes)
    assert torch.equal(torch.cat([tokenizer.decode(Codes(ids=one)) for one in codes.ids.split(1)]), whole)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert torch.equal(tokenizer.decode(codes), whole)
    finally:
        torch.set_num_threads(threads)
    assert torch.get_num_threads() == threads


def test_the_same_image_gives_the_same_ids_and_pixels(tokenizer, scenes):
    first, second = tokenizer.encode(scenes[:2]), tokenizer.encode(scenes[:2].clone())
    assert torch.equal(first.ids, second.ids)
    assert torch.equal(tokenizer.decode(first), tokenizer.decode(second))


def test_decode_needs_nothing_but_ids(tokenizer, scenes):
    codes = tokenizer.encode(scenes[:1])
    wanted = tokenizer.decode(codes)
    fresh = load_conv_vq(WEIGHTS)  # has never encoded anything
    assert torch.equal(fresh.decode(torch.tensor(codes.ids.tolist())), wanted)


def test_codebook_entries_are_distinct_unit_vectors(tokenizer):
    assert isinstance(tokenizer, HasCodebook)
    entries = tokenizer.codebook()
    assert entries.shape == (1024, 16)
    torch.testing.assert_close(entries.norm(dim=1), torch.ones(1024), atol=1e-5, rtol=0)
    assert len(torch.unique(entries, dim=0)) == 1024


def test_weights_are_small_safetensors_that_say_where_they_come_from():
    assert WEIGHTS.stat().st_size <= 4_000_000
    with safe_open(WEIGHTS, framework="pt") as file:
        header = file.metadata()
    assert header["trained_on"] == "tokbench-training-photos"
    assert int(header["steps"]) > 0
    assert len(header["training_photos_sha256"]) == 64


def test_another_file_is_refused(tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"not weights at all")
    with pytest.raises(BrokenPluginError, match="not a safetensors file"):
        load_conv_vq(other)


def test_saved_and_loaded_models_agree(tmp_path):
    torch.manual_seed(1)
    model = ConvVQ(TINY).eval()
    save_conv_vq(model, tmp_path / "tiny.safetensors", {"steps": "0"})
    again = load_conv_vq(tmp_path / "tiny.safetensors")
    assert again.config == TINY
    ids = torch.arange(16).reshape(1, 4, 4)
    # float16 keeps 11 bits of each weight: a relative 5e-4, on outputs of order 1.
    torch.testing.assert_close(again.decode(ids), model.decode(ids), atol=3e-3, rtol=0)


def test_a_generated_image_comes_back_far_better_than_its_mean_colour(tokenizer, scenes):
    images = scenes[:8]
    flat = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    baseline = float(-10 * torch.log10((flat - images).square().mean()))
    assert psnr(images, tokenizer) > baseline + 3


def test_photographs_come_back_far_better_than_their_mean_colour_and_than_eight_by_eight_blocks(tokenizer):
    paths = sorted((ROOT / "datasets").glob("photos-mini/*.webp"))[::40]
    assert paths
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").resize((128, 128))).transpose(2, 0, 1)
        images = from_uint8(torch.from_numpy(pixels.copy()))[None]
        blocks = F.avg_pool2d(images, 8).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
        assert psnr(images, tokenizer) > float(-10 * torch.log10((blocks - images).square().mean()))


def test_unknown_codes_differ_from_each_other(tokenizer):
    ids = torch.arange(4).reshape(4, 1, 1).expand(4, 2, 2)
    assert len({tuple(image.flatten().tolist()) for image in tokenizer.decode(Codes(ids=ids))}) == 4


def test_the_training_step_learns(monkeypatch):
    """Forty steps on one toy batch, through every phase: free latents, the codebook, the adversary."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    for name in ("_vq_losses", "_vq_muon", "_vq_trainer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from _vq_trainer import Recipe, Trainer

    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(3)
    batch = F.interpolate(torch.rand(4, 3, 8, 8, generator=draw), size=(32, 32), mode="bilinear")
    recipe = Recipe(warm_up=0.2, adversary_from=0.7)
    trainer = Trainer(ConvVQ(TINY), None, seed=0, recipe=recipe, bf16=False)
    losses = [trainer.step(batch, step / 40) for step in range(40)]
    assert losses[25]["l1"] < 0.8 * losses[0]["l1"]
    assert trainer.quantised
    assert losses[-1]["commitment"] > 0
    assert "adversary" in losses[-1]
    assert "adversary" not in losses[25]
    assert trainer.model.codebook.entries.norm(dim=1).sub(1).abs().max() < 1e-5
    assert not torch.equal(trainer.average.decoder.out.weight, ConvVQ(TINY).decoder.out.weight)
