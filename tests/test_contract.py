"""Every clause of the contract: the error shows got against wanted."""

from __future__ import annotations

import pytest
import torch

from tokbench import Codes, TokenSpec
from tokbench.contract import check_codes, check_images, check_same_codes, check_same_images
from tokbench.errors import ContractError
from tokbench.testing import check_tokenizer

SPEC = TokenSpec("t", "discrete", vocab=8)
TWO = TokenSpec("t", "discrete", vocab=8, codebooks=2)
SHAPE = (2, 3, 4, 4)


@pytest.mark.parametrize(
    ("codes", "spec", "complaint"),
    [
        ([1, 2], SPEC, "returned a list; wanted tokbench.Codes"),
        (Codes(), SPEC, "Codes with nothing; wanted exactly one"),
        (Codes(ids=torch.zeros(2, 4, dtype=torch.long), payloads=(b"", b"")), SPEC, "ids and payloads"),
        (Codes(ids=torch.zeros(3, 4, dtype=torch.long)), SPEC, "ids for 3 images; wanted 2"),
        (Codes(ids=torch.zeros(2, 4)), SPEC, "ids of torch.float32; wanted an integer dtype"),
        (Codes(ids=torch.full((2, 4), 8)), SPEC, "ids from 8 to 8; wanted 0 to 7"),
        (Codes(ids=torch.full((2, 4), -1)), SPEC, "ids from -1 to -1"),
        (Codes(ids=torch.zeros(2, 3, 4, dtype=torch.long)), TWO, "[n, up to 2 codebooks, …]"),
        (Codes(latents=torch.zeros(2, 4, dtype=torch.long)), SPEC, "latents of torch.int64"),
        (Codes(latents=torch.full((2, 4), float("inf"))), SPEC, "8 latents that are NaN or infinite"),
        (Codes(payloads=(b"x",)), SPEC, "payloads for 1 images; wanted 2"),
    ],
)
def test_codes(codes: object, spec: TokenSpec, complaint: str) -> None:
    with pytest.raises(ContractError) as caught:
        check_codes(codes, spec, 2)
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (None, "returned a NoneType; wanted a tensor"),
        (torch.zeros(2, 3, 4, 5), "shape (2, 3, 4, 5); wanted (2, 3, 4, 4)"),
        (torch.zeros(SHAPE, dtype=torch.uint8), "dtype torch.uint8; wanted a floating dtype"),
        (torch.full(SHAPE, float("nan")), "NaN in 96 of 96 samples"),
        (torch.linspace(-0.9, 0.9, 96).reshape(SHAPE), "values from -0.9 to 0.9; wanted values in [0, 1]"),
        (torch.full(SHAPE, 255.0), "values from 255 to 255"),
        (torch.full(SHAPE, float("inf")), "values from inf to inf"),
    ],
)
def test_images(images: object, complaint: str) -> None:
    with pytest.raises(ContractError) as caught:
        check_images(images, SPEC, SHAPE)
    assert complaint in caught.value.message


def test_what_is_within_the_contract_passes() -> None:
    check_codes(Codes(ids=torch.full((2, 4), 7)), SPEC, 2)
    check_codes(Codes(ids=torch.zeros(2, 1, 4, dtype=torch.long)), TWO, 2)
    check_codes(Codes(latents=torch.zeros(2, 4)), SPEC, 2)
    check_codes(Codes(payloads=(b"", b"x")), SPEC, 2)
    overshooting = torch.linspace(-0.6, 1.6, 96).reshape(SHAPE)
    check_images(overshooting, SPEC, SHAPE)


def test_differing_calls_are_told_apart() -> None:
    same = Codes(ids=torch.zeros(2, 4, dtype=torch.long))
    check_same_codes(same, same, SPEC)
    check_same_images(torch.zeros(SHAPE), torch.zeros(SHAPE), SPEC)
    with pytest.raises(ContractError, match="3 of 8 ids differ"):
        check_same_codes(same, Codes(ids=torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0]])), SPEC)
    with pytest.raises(ContractError, match="payloads differ"):
        check_same_codes(Codes(payloads=(b"a",)), Codes(payloads=(b"b",)), SPEC)
    with pytest.raises(ContractError, match=r"differ by up to 0\.5"):
        check_same_images(torch.zeros(SHAPE), torch.full(SHAPE, 0.5), SPEC)


class Average:
    """Subtracts the mean of the batch: forbidden, since images must not know each other."""

    spec = TokenSpec("average", "continuous")

    def encode(self, images: torch.Tensor) -> Codes:
        return Codes(latents=images - images.mean())

    def decode(self, codes: Codes) -> torch.Tensor:
        assert codes.latents is not None
        return codes.latents + 0.5


def test_an_image_must_not_know_its_neighbours() -> None:
    report = check_tokenizer(Average())
    failed = [check.name for check in report.checks if not check.passed]
    assert failed == ["batch independence"]
    with pytest.raises(ContractError, match="batch independence: latents differ"):
        report.raise_if_failed()


class Smuggler:
    """Keeps the images instead of coding them; the codes alone carry nothing."""

    spec = TokenSpec("smuggler", "discrete", vocab=2)

    def encode(self, images: torch.Tensor) -> Codes:
        codes = Codes(ids=torch.zeros(len(images), 1, dtype=torch.long))
        codes.ids.images = images
        return codes

    def decode(self, codes: Codes) -> torch.Tensor:
        return codes.ids.images


def test_nothing_but_bytes_passes_from_encode_to_decode() -> None:
    report = check_tokenizer(Smuggler())
    detail = next(check.detail for check in report.checks if check.name == "decode")
    assert "no attribute 'images'" in detail
