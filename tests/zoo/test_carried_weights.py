"""The two pretrained tokenizers that can be had without a model hub: TAEF2 and tuimg."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from tokbench.catalog import discover
from tokbench.images.rounding import to_uint8
from tokbench.loading import adapter_module, build_tokenizer
from tokbench.testing import check_tokenizer

if TYPE_CHECKING:
    from tokbench.tokenizer import Tokenizer

SHARED = Path(__file__).parents[3] / "shared" / "data"
WEIGHTS = {f"taef2-{part}": SHARED / "taef2" / f"taef2_{part}.pth" for part in ("encoder", "decoder")}
CPU = torch.device("cpu")


@pytest.mark.parametrize(("name", "parameters"), [("taef2", 2_680_000), ("taesana", None)])
def test_the_architecture_passes_the_contract(name: str, parameters: int | None) -> None:
    entry = discover().tokenizer(name)
    built = build_tokenizer(entry, device=CPU, dtype=torch.float32, overrides={}, random_weights=True)
    check_tokenizer(built, trained=False).raise_if_failed()
    if parameters is not None:
        assert entry.variant is not None
        network = adapter_module(entry).architecture(entry.variant.spec)
        assert sum(each.numel() for each in network.parameters()) == pytest.approx(parameters, rel=2e-3)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder with TAEF2's weights is not here")
def test_taef2_on_kodak() -> None:
    # zoo.md measured 31.1 dB at full size; half a tenth is what its one digit leaves open.
    entry = discover().tokenizer("taef2")
    assert psnr(build_tokenizer(entry, device=CPU, dtype=torch.float32, overrides=WEIGHTS)) == pytest.approx(
        31.1, abs=0.05
    )


def test_tuimg_is_the_package(photo: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]) -> None:
    match = pytest.importorskip("tuimg.match", reason="tuimg is not installed: pip install 'tokbench[zoo]'")
    from tuimg.config import GLYPH_MASKS_PATH

    masks = np.load(GLYPH_MASKS_PATH, allow_pickle=False)
    glyphs, inks, papers, _ = match.quantize_blocks(photo, masks)
    rows = [
        np.concatenate(
            [np.where(masks[g][..., None], ink, paper) for g, ink, paper in zip(*row, strict=True)],
            1,
        )
        for row in zip(glyphs, inks, papers, strict=True)
    ]
    wanted = torch.from_numpy(np.concatenate(rows)).permute(2, 0, 1)
    built = build_tokenizer(discover().tokenizer("tuimg-16"), device=CPU, dtype=torch.float32, overrides={})
    images = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None] / 255
    codes = built.encode(images)
    assert codes.ids is not None
    assert torch.equal(codes.ids[0, 0], torch.from_numpy(glyphs).long())
    assert torch.equal((built.decode(codes)[0] * 255).round().byte(), wanted)


@pytest.mark.parametrize(("name", "wanted"), [("tuimg-16", 25.9), ("tuimg-4", 32.7)])
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder with the Kodak pictures is not here")
def test_tuimg_on_kodak(name: str, wanted: float) -> None:
    pytest.importorskip("tuimg", reason="tuimg is not installed: pip install 'tokbench[zoo]'")
    built = build_tokenizer(discover().tokenizer(name), device=CPU, dtype=torch.float32, overrides={})
    assert psnr(built) == pytest.approx(wanted, abs=0.05)


def psnr(tokenizer: Tokenizer) -> float:
    """Return what is left of kodim15 at full size, in decibels."""
    picture = np.asarray(Image.open(SHARED / "kodak" / "kodim15.png").convert("RGB"))
    images = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        back = to_uint8(tokenizer.decode(tokenizer.encode(images)))
    error = (back.double() - images.double() * 255).square().mean()
    return float(10 * torch.log10(255**2 / error))


@pytest.fixture
def photo() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    path = next(iter(sorted((Path(__file__).parents[2] / "datasets" / "photos-mini").glob("*.webp"))))
    return np.asarray(Image.open(path).convert("RGB"))[:64, :96]
