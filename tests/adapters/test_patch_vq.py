"""The vector quantisers: the same ids everywhere, exact searches, depth that pays, codebooks that add up."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch

from tokbench.bitstream import pack, unpack
from tokbench.errors import UsageError
from tokbench.images.rounding import from_uint8, to_uint8
from tokbench.nn.patches import from_patches, reach, to_patches
from tokbench.tokenizer import Codes, HasCodebook, HasEncoderFeatures, VariableLength, capabilities

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tokbench.catalog import Catalog
    from tokbench.tokenizer import Tokenizer

    Load = Callable[[str], Tokenizer]
    Trip = Callable[[Tokenizer, Tensor], tuple[Tensor, list[int]]]
    Psnr = Callable[[Tensor, Tensor], float]

SIDES = {"vq-patch-8": 8, "vq-patch-4": 4, "rvq-patch-8": 8}
LEVELS = {"vq-patch-8": (), "vq-patch-4": (), "rvq-patch-8": (4,)}


def ids_of(codes: Codes) -> Tensor:
    assert codes.ids is not None
    return codes.ids


@pytest.mark.parametrize("name", SIDES)
def test_headers_pin_weights_and_name_the_training_set(catalog: Catalog, name: str) -> None:
    variant = catalog.tokenizers[name].variant
    assert variant is not None
    assert variant.spec.kind == "discrete"
    assert variant.spec.trained_on == ("tokbench-training-photos",)
    (file,) = variant.weights
    assert len(file.sha256) == 64  # that it is the file's digest is checked on loading
    assert 0 < file.size < 1_000_000


@pytest.mark.parametrize(("name", "side"), SIDES.items())
def test_shape_range_and_cost(load: Load, name: str, side: int, scene: Tensor, through_bytes: Trip) -> None:
    tokenizer = load(name)
    images = scene[:, :, :64, :96].expand(3, -1, -1, -1)
    ids = ids_of(tokenizer.encode(images))
    assert ids.dtype == torch.int64
    assert ids.shape == (3, *LEVELS[name], 64 // side, 96 // side)
    assert 0 <= int(ids.min()) <= int(ids.max()) < 1024
    _, bits = through_bytes(tokenizer, images)
    assert bits == [10 * ids[0].numel()] * 3


@pytest.mark.parametrize("name", SIDES)
def test_batch_size_and_threads_do_not_change_an_id(load: Load, name: str, photos_like: Tensor) -> None:
    tokenizer = load(name)
    whole = ids_of(tokenizer.encode(photos_like))
    for size in (1, 7):
        assert torch.equal(
            torch.cat([ids_of(tokenizer.encode(part)) for part in photos_like.split(size)]), whole
        )
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert torch.equal(ids_of(tokenizer.encode(photos_like)), whole)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("name", "side"), [("vq-patch-8", 8), ("vq-patch-4", 4)])
def test_each_id_is_the_nearest_entry_of_the_codebook(
    load: Load, name: str, side: int, photos_like: Tensor
) -> None:
    tokenizer = load(name)
    assert isinstance(tokenizer, HasCodebook)
    entries = (tokenizer.codebook().double() * 255).round().long()
    assert entries.shape == (1024, 3 * side * side)
    patches = to_patches(to_uint8(photos_like[:4]), side).reshape(-1, entries.shape[1]).long()
    distances = torch.stack([(patches - entry).square().sum(dim=1) for entry in entries], dim=1)
    found = ids_of(tokenizer.encode(photos_like[:4])).reshape(-1, 1)
    assert torch.equal(distances.gather(1, found), distances.min(dim=1, keepdim=True).values)


@pytest.mark.parametrize("name", ["vq-patch-8", "vq-patch-4"])
def test_an_image_made_of_entries_comes_back_exactly(load: Load, name: str, through_bytes: Trip) -> None:
    tokenizer = load(name)
    ids = torch.randint(0, 1024, (2, 6, 5), generator=torch.Generator().manual_seed(1))
    images = tokenizer.decode(Codes(ids=ids))
    output, _ = through_bytes(tokenizer, images)
    assert torch.equal(output, to_uint8(images))
    assert torch.equal(images * 255, (images * 255).round())  # whole levels: rounding is no second loss


def test_the_codebook_of_the_residual_quantiser_adds_up_to_the_image(load: Load, scene: Tensor) -> None:
    tokenizer = load("rvq-patch-8")
    assert isinstance(tokenizer, HasCodebook)
    entries = tokenizer.codebook()
    assert entries.shape == (4, 1024, 192)
    ids = ids_of(tokenizer.encode(scene))
    total = sum(entries[level][ids[:, level]] for level in range(4))
    assert isinstance(total, torch.Tensor)
    # Float32 sums of four terms against integer sums: a few units in the last place.
    assert torch.allclose(total, to_patches(tokenizer.decode(Codes(ids=ids)), 8), atol=1e-6)


def test_depth_pays(load: Load, scene: Tensor, through_bytes: Trip, psnr: Psnr) -> None:
    tokenizer = load("rvq-patch-8")
    assert isinstance(tokenizer, VariableLength)
    assert tokenizer.lengths() == (1, 2, 3, 4)
    codes = tokenizer.encode(scene)
    quality = []
    for length in tokenizer.lengths():
        cut = tokenizer.truncate(codes, length)
        assert ids_of(cut).shape == (1, length, 32, 32)
        packed = pack(cut, tokenizer.spec)
        assert packed[0].bits == length * 32 * 32 * 10
        output = tokenizer.decode(unpack([packed[0].data], tokenizer.spec))
        quality.append(psnr(scene, to_uint8(output)))
    assert all(deeper > shallower + 0.3 for shallower, deeper in pairwise(quality)), quality
    assert quality[-1] > psnr(scene, through_bytes(load("vq-patch-8"), scene)[0]) + 1


def test_the_first_level_is_the_plain_quantiser(load: Load, photos_like: Tensor) -> None:
    deep, plain = load("rvq-patch-8"), load("vq-patch-8")
    assert isinstance(deep, VariableLength)
    ids = ids_of(deep.encode(photos_like))[:, 0]
    assert torch.equal(ids, ids_of(plain.encode(photos_like)))
    first = deep.truncate(Codes(ids=ids[:, None]), 1)
    assert torch.equal(deep.decode(first), plain.decode(Codes(ids=ids)))


@pytest.mark.parametrize("length", [0, 5, -1])
def test_a_depth_that_does_not_exist_is_refused(load: Load, length: int) -> None:
    tokenizer = load("rvq-patch-8")
    assert isinstance(tokenizer, VariableLength)
    with pytest.raises(UsageError, match=f"cannot be cut to {length} levels"):
        tokenizer.truncate(Codes(ids=torch.zeros(1, 4, 2, 2, dtype=torch.int64)), length)


@pytest.mark.parametrize("name", ["vq-patch-8", "vq-patch-4"])
def test_features_are_what_the_quantiser_is_given(load: Load, name: str, photos_like: Tensor) -> None:
    tokenizer = load(name)
    assert isinstance(tokenizer, HasCodebook)
    assert isinstance(tokenizer, HasEncoderFeatures)
    side = SIDES[name]
    features = tokenizer.encoder_features(photos_like[:4])
    assert features.shape == (4, 64 // side, 64 // side, 3 * side * side)
    # Pixels are multiples of 1/255 in float32, subtracted from and added to exactly.
    assert torch.allclose(from_patches(features, side), photos_like[:4], atol=1e-6)
    distances = torch.cdist(features.reshape(-1, features.shape[-1]).double(), tokenizer.codebook().double())
    found = ids_of(tokenizer.encode(photos_like[:4])).reshape(-1, 1)
    assert torch.allclose(distances.gather(1, found), distances.min(dim=1, keepdim=True).values, atol=1e-6)


def test_capabilities(load: Load) -> None:
    assert capabilities(load("vq-patch-8")) == ("codebook", "encoder-features")
    assert capabilities(load("rvq-patch-8")) == ("codebook", "variable-length")


def test_even_the_hardest_image_stays_within_exact_arithmetic(load: Load) -> None:
    tokenizer = load("rvq-patch-8")
    assert isinstance(tokenizer, HasCodebook)
    levels = (tokenizer.codebook() * 255).round()
    levels[0] -= 128
    largest = 128.0  # of a pixel level, centred; each level may add its own largest value to what is left
    for entries in levels:
        assert reach(entries) >= largest
        largest += float(entries.abs().max())
    plain = load("vq-patch-4")
    assert isinstance(plain, HasCodebook)
    assert reach((plain.codebook() * 255).round() - 128) >= 128


def test_finer_patches_keep_more(load: Load, scene: Tensor, through_bytes: Trip, psnr: Psnr) -> None:
    fine, coarse = (psnr(scene, through_bytes(load(name), scene)[0]) for name in ("vq-patch-4", "vq-patch-8"))
    assert fine > coarse + 1


def test_in_between_pixels_are_rounded_first(load: Load, scene: Tensor) -> None:
    nudged = (scene + 0.3 / 255).clamp(0, 1)
    tokenizer = load("vq-patch-8")
    assert torch.equal(
        ids_of(tokenizer.encode(nudged)), ids_of(tokenizer.encode(from_uint8(to_uint8(nudged))))
    )
