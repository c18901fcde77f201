"""The baselines without codebooks: exact where they promise it, ordered where they cannot be."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from tokbench.errors import ContractError, MissingPackageError
from tokbench.header import read_header
from tokbench.images.rounding import from_uint8, to_uint8
from tokbench.shipped import shipped
from tokbench.tokenizer import Codes, capabilities

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tokbench.catalog import Catalog
    from tokbench.tokenizer import Tokenizer

    Load = Callable[[str], Tokenizer]
    Trip = Callable[[Tokenizer, Tensor], tuple[Tensor, list[int]]]
    Psnr = Callable[[Tensor, Tensor], float]

LADDERS = {
    "jpeg": ["jpeg-q10", "jpeg-q25", "jpeg-q50", "jpeg-q75", "jpeg-q95"],
    "webp": ["webp-q5", "webp-q25", "webp-q50", "webp-q75", "webp-q90"],
    "avif": ["avif-q20", "avif-q40", "avif-q60", "avif-q90"],
    "jxl": ["jxl-q20", "jxl-q50", "jxl-q90"],
    "jpeg2000": ["jpeg2000-r128", "jpeg2000-r64", "jpeg2000-r32", "jpeg2000-r16", "jpeg2000-r8"],
}
AREAS = {f"area-{k}": k for k in (2, 4, 8, 16)}
PLAIN = ["identity", *AREAS, *(name for names in LADDERS.values() for name in names)]


@pytest.fixture
def need(request: pytest.FixtureRequest) -> None:
    """Skip what needs the extra when it is not installed."""
    if "jxl" in request.node.callspec.id:
        pytest.importorskip("pillow_jxl", reason="the extra tokbench[jxl] is not installed")


def test_the_headers_offer_these_tokenizers(catalog: Catalog) -> None:
    assert set(PLAIN) <= set(catalog.tokenizers)
    for name in PLAIN:
        entry = catalog.tokenizers[name]
        assert entry.broken == ""
        assert entry.variant is not None
        assert entry.variant.spec.kind == "codec"
        assert entry.variant.spec.license
        assert entry.variant.spec.source
        assert entry.variant.spec.description
        assert not entry.variant.weights


def test_every_file_has_a_header_and_no_package_marker() -> None:
    files = sorted(shipped("adapters").glob("*.py"))
    assert Path("__init__.py") not in {Path(file.name) for file in files}
    for file in files:
        header = read_header(file)
        # A worker brings tokbench along; into its environment it is not installed.
        apart = header.variants[0].environment is not None
        assert apart != header.dependencies[0].startswith("tokbench"), file.name


@pytest.mark.parametrize("shape", [(3, 64, 48), (1, 1, 1), (2, 37, 5)], ids=str)
def test_identity_returns_every_level_exactly(
    load: Load, shape: tuple[int, int, int], through_bytes: Trip
) -> None:
    n, height, width = shape
    pixels = torch.randint(0, 256, (n, 3, height, width), generator=torch.Generator().manual_seed(3))
    pixels.view(-1)[: min(256, pixels.numel())] = torch.arange(min(256, pixels.numel()))
    output, bits = through_bytes(load("identity"), from_uint8(pixels))
    assert torch.equal(output.long(), pixels)
    assert bits == [24 * height * width] * n


@pytest.mark.parametrize(("name", "factor"), AREAS.items())
def test_area_keeps_constants_and_costs_a_kth_squared(
    load: Load, name: str, factor: int, through_bytes: Trip
) -> None:
    levels = torch.tensor([0, 1, 17, 127, 128, 254, 255])
    pixels = levels.reshape(-1, 1, 1, 1).expand(-1, 3, 32, 48).clone()
    pixels[:, 1] = 255 - pixels[:, 1]
    output, bits = through_bytes(load(name), from_uint8(pixels))
    assert torch.equal(output.long(), pixels)
    assert bits == [24 * 32 * 48 // factor**2] * len(levels)


@pytest.mark.parametrize(("name", "factor"), AREAS.items())
def test_area_codes_are_cell_means_rounded_half_up(load: Load, name: str, factor: int, scene: Tensor) -> None:
    ids = load(name).encode(scene).ids
    assert ids is not None
    cells = to_uint8(scene).double().unfold(2, factor, factor).unfold(3, factor, factor)
    means = torch.floor(cells.mean(dim=(-1, -2)) + 0.5)  # exact: sums of 8-bit levels over a power of two
    assert torch.equal(ids.double(), means)


def test_area_loses_more_with_each_factor(load: Load, scene: Tensor, through_bytes: Trip, psnr: Psnr) -> None:
    quality = [psnr(scene, through_bytes(load(name), scene)[0]) for name in AREAS]
    assert all(finer > coarser + 0.5 for finer, coarser in pairwise(quality)), quality


@pytest.mark.usefixtures("need")
@pytest.mark.parametrize("names", LADDERS.values(), ids=LADDERS.keys())
def test_codecs_are_strictly_ordered_in_quality_and_bits(
    load: Load, names: list[str], scene: Tensor, through_bytes: Trip, psnr: Psnr
) -> None:
    quality, bits = [], []
    for name in names:
        output, cost = through_bytes(load(name), scene)
        quality.append(psnr(scene, output))
        bits.append(cost[0])
    # The closest neighbours measured, WebP 50 and 75, are 0.53 dB and 47 % apart.
    assert all(better > worse + 0.25 for worse, better in pairwise(quality)), quality
    assert all(more > less * 1.2 for less, more in pairwise(bits)), bits


MAGIC = {"jpeg-q50": b"\xff\xd8\xff", "webp-q50": b"RIFF", "avif-q60": b"ftypavif", "jxl-q50": b"\xff\x0a"}


@pytest.mark.usefixtures("need")
@pytest.mark.parametrize(("name", "magic"), MAGIC.items(), ids=MAGIC.keys())
def test_payloads_are_whole_files_and_every_byte_is_counted(
    load: Load, name: str, magic: bytes, scene: Tensor, through_bytes: Trip
) -> None:
    tokenizer = load(name)
    payloads = tokenizer.encode(scene).payloads
    assert payloads is not None
    assert magic in payloads[0][:16]
    assert through_bytes(tokenizer, scene)[1] == [8 * len(payloads[0])]


@pytest.mark.usefixtures("need")
@pytest.mark.parametrize("name", ["identity", *AREAS, *MAGIC])
def test_batches_do_not_matter(load: Load, name: str, photos_like: Tensor, through_bytes: Trip) -> None:
    tokenizer = load(name)
    images = photos_like[:8]
    whole, bits = through_bytes(tokenizer, images)
    for size in (1, 3):
        parts = [through_bytes(tokenizer, part) for part in images.split(size)]
        assert torch.equal(torch.cat([output for output, _ in parts]), whole)
        assert [bit for _, cost in parts for bit in cost] == bits


def test_jpeg_halves_chroma_and_fits_its_tables(load: Load, scene: Tensor) -> None:
    import io

    from PIL import Image, JpegImagePlugin

    payloads = load("jpeg-q95").encode(scene).payloads
    assert payloads is not None
    with Image.open(io.BytesIO(payloads[0])) as image:
        assert JpegImagePlugin.get_sampling(image) == 2  # 4:2:0
        assert "progressive" not in image.info
        plain = io.BytesIO()
        image.convert("RGB").save(plain, "JPEG", quality=95)
    assert len(payloads[0]) < len(plain.getvalue())


def test_jpeg_2000_is_a_bare_codestream_with_its_colour_transform(load: Load, scene: Tensor) -> None:
    payloads = load("jpeg2000-r16").encode(scene).payloads
    assert payloads is not None
    # A codestream starts with SOC and SIZ; a JP2 file with a box. COD holds the number of layers and the transform.
    assert payloads[0][:4] == b"\xff\x4f\xff\x51"
    start = payloads[0].index(b"\xff\x52")
    layers, transform = payloads[0][start + 6 : start + 8], payloads[0][start + 8]
    assert (layers, transform) == (b"\x00\x01", 1)
    assert payloads[0][start + 13] == 0  # the 9/7 wavelet
    assert len(payloads[0]) == pytest.approx(256 * 256 * 3 / 16, rel=0.02)


def test_a_codec_refuses_codes_that_are_not_files(load: Load) -> None:
    with pytest.raises(ContractError, match="wanted JPEG files"):
        load("jpeg-q50").decode(Codes(ids=torch.zeros(1, 4, dtype=torch.int64)))


def test_jpeg_xl_without_its_package_says_what_to_install(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(MissingPackageError, match="pillow-jxl-plugin") as caught:
        load("jxl-q50")
    assert caught.value.hint == "pip install 'tokbench[jxl]'"


def test_plain_baselines_claim_no_capability(load: Load) -> None:
    assert capabilities(load("identity")) == ()
    assert capabilities(load("jpeg-q50")) == ()
