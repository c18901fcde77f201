"""Tasks `detail` and `tokens` through the engine: perfection, order, and numbers that batches do not change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from torch.nn import functional

from tokbench import Results, evaluate
from tokbench.tokenizer import Codes, TokenSpec

if TYPE_CHECKING:
    from pathlib import Path

    import torch

PERFECT = {
    **dict.fromkeys(("gmsd", "detail_loss", "band_1", "band_2", "band_3", "band_4", "texture_lite0"), 0.0),
    "edge_f1": 1.0,
    "region_psnr": math.inf,
    "psnr_ink": math.inf,
    "psnr_pattern": math.inf,
    "psnr_drawing": math.inf,
    "psnr_texture": math.inf,
}


class Pooled:
    """Cell means as float latents: a continuous tokenizer without weights."""

    spec = TokenSpec("pooled", "continuous", stride=8)

    def encode(self, images: torch.Tensor) -> Codes:
        return Codes(latents=functional.avg_pool2d(images, 8))

    def decode(self, codes: Codes) -> torch.Tensor:
        assert codes.latents is not None
        return functional.interpolate(codes.latents, scale_factor=8)


@pytest.fixture(scope="module")
def detail(tmp_path_factory: pytest.TempPathFactory) -> Results:
    names = ["identity", "jpeg-q95", "jpeg-q50", "jpeg-q10"]
    out = tmp_path_factory.mktemp("runs") / "out"
    # Every sixth of 46 images: charts, gratings, small print and photographs take part.
    return evaluate(names, "detail-mini", "detail", limit=8, out=out)


@pytest.mark.parametrize("metric", PERFECT)
def test_identity_keeps_every_detail(detail: Results, metric: str) -> None:
    # Equal images give equal sums; 1e-9 leaves room for a network on another number of threads.
    assert detail.value("identity", metric) == pytest.approx(PERFECT[metric], abs=1e-9)


@pytest.mark.parametrize("metric", PERFECT)
def test_jpeg_loses_detail_in_order(detail: Results, metric: str) -> None:
    values = [detail.value(f"jpeg-q{quality}", metric) for quality in (95, 50, 10)]
    higher = next(row.higher_is_better for row in detail.rows if row.metric == metric)
    assert values == sorted(values, reverse=bool(higher))
    assert values[0] != values[2]


def test_images_without_boxes_are_counted_as_such(detail: Results) -> None:
    row = next(row for row in detail.rows if (row.tokenizer, row.metric) == ("jpeg-q50", "region_psnr"))
    assert 0 < row.n < 8
    assert row.reason == f"not measurable on {8 - row.n} of the images"


def same(one: Results, other: Results) -> int:
    compared = 0
    for a, b in zip(one.rows, other.rows, strict=True):
        assert (a.tokenizer, a.metric) == (b.tokenizer, b.metric)
        assert (math.isnan(a.value) and math.isnan(b.value)) or math.isclose(
            a.value, b.value, rel_tol=1e-9
        ), a
        assert a.reason == b.reason
        compared += not math.isnan(a.value)
    return compared


def test_tokens_do_not_depend_on_batches(images: Path, tmp_path: Path) -> None:
    tokenizers = ["vq-patch-8", "rvq-patch-8", Pooled()]
    whole, single = (
        evaluate(
            tokenizers,
            images,
            "tokens",
            protocol="adm-64",
            limit=20,
            out=tmp_path / str(size),
            batch_size=size,
        )
        for size in (16, 3)
    )
    assert same(whole, single) >= 2 * 15 + 4
    assert 1 <= whole.value("pooled", "effective_dimension") <= 3
    assert whole.value("vq-patch-8", "lzma_share") > 0
    assert whole.value("vq-patch-8", "order0_share") <= whole.value("vq-patch-8", "huffman_share")
    reasons = {row.metric: row.reason for row in whole.rows if row.tokenizer == "pooled"}
    assert reasons["token_entropy"] == "needs a codebook"
