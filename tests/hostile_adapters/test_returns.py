"""What comes back from `encode` and `decode`: other forms of the same numbers change none, anything else is named."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tokbench import Codes, TokenSpec
from tokbench.contract import check_codes, check_images
from tokbench.errors import ContractError
from tokbench.testing import check_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

X = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
IDS = (X > 0.5).long()
SPEC = TokenSpec("h", "discrete", vocab=2)


@pytest.mark.parametrize(
    ("codes", "complaint"),
    [
        (Codes(latents=X.numpy()), "latents that are a ndarray"),
        (Codes(latents=[1.0, 2.0]), "latents that are a list"),
        (Codes(latents=5), "latents that are a int"),
        (Codes(latents=torch.tensor(1.0)), "0 axes"),
        (Codes(latents=X.to_sparse()), "sparse_coo"),
        (Codes(latents=X.to("meta")), "on meta"),
        (Codes(latents=X.to(torch.complex64)), "torch.complex64"),
        (Codes(latents=X.to(torch.float8_e4m3fn)), "torch.float8_e4m3fn"),
        (Codes(latents=X.double()), "torch.float64"),
        (Codes(latents=torch.full_like(X, math.nan)), "96 latents that are NaN or infinite"),
        (Codes(latents=-torch.full_like(X, math.inf)), "96 latents that are NaN or infinite"),
        (Codes(ids=IDS.numpy()), "ids that are a ndarray"),
        (Codes(ids=torch.tensor(1)), "0 axes"),
        (Codes(ids=IDS.to_sparse()), "sparse_coo"),
        (Codes(ids=IDS.to("meta")), "on meta"),
        (Codes(ids=IDS.bool()), "torch.bool"),
        (Codes(ids=IDS.to(torch.uint64)), "torch.uint64"),
        (Codes(ids=IDS.to(torch.complex64)), "torch.complex64"),
        (Codes(ids=torch.full((2, 4), 2**62)), "ids from 4611686018427387904"),
        (Codes(payloads=5), "payloads that are a int"),
        (Codes(payloads=(b"x" for _ in range(2))), "payloads that are a generator"),
    ],
)
def test_codes_that_are_none_are_named(codes: Any, complaint: str) -> None:
    with pytest.raises(ContractError, match=r"tokenizer `h`: encode\(\) returned ") as caught:
        check_codes(codes, SPEC, 2)
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (X.numpy(), "a ndarray"),
        (X.to_sparse(), "sparse_coo"),
        (X.to("meta"), "on meta"),
        (X.to(torch.complex64), "dtype torch.complex64"),
        (X.to(torch.float8_e4m3fn), "dtype torch.float8_e4m3fn"),
        (torch.where(X > 0.9, math.nan, X), "NaN in"),
        (torch.where(X > 0.9, math.inf, X), "to inf"),
        (torch.where(X > 0.9, -math.inf, X), "values from -inf"),
        (X[:1], "shape (1, 3, 4, 4); wanted (2, 3, 4, 4)"),
        (X[:0], "shape (0, 3, 4, 4)"),
    ],
)
def test_images_that_are_none_are_named(images: Any, complaint: str) -> None:
    with pytest.raises(ContractError, match=r"tokenizer `h`: decode\(\) returned ") as caught:
        check_images(images, SPEC, (2, 3, 4, 4))
    assert complaint in caught.value.message


def _numbers(results: Any, name: str) -> list[tuple[Any, ...]]:
    return [
        (row.metric, row.value, row.ci_low, row.ci_high, row.n)
        for row in results.rows
        if row.tokenizer == name
    ]


def _overwriting(shape_of: Callable[[Any], torch.Tensor]) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Return a function that gives views of one buffer, which the next call writes into."""
    buffers: dict[tuple[int, ...], torch.Tensor] = {}

    def give(self: Any, value: torch.Tensor) -> torch.Tensor:
        made = shape_of(value)
        # One buffer for the largest batch: what was given before is a part of it.
        buffer = buffers.setdefault(tuple(made.shape[1:]), torch.empty(64, *made.shape[1:]))
        buffer.fill_(0.5)
        buffer[: len(made)] = made
        return buffer[: len(made)]

    return give


def test_another_form_of_the_same_numbers_changes_no_result(run: Any, told: Any) -> None:
    """float16, bfloat16, float64, strides, gradients, expanded axes, reused buffers: rows equal to the last bit."""
    reuse = _overwriting(lambda images: (images * 6 + 1).round() / 8)
    param = torch.nn.Parameter(torch.zeros(()))
    forms = [
        told("half", decode=lambda self, x: x.half()),
        told("bfloat16", decode=lambda self, x: x.bfloat16()),
        told("double", decode=lambda self, x: x.double()),
        told("strided", decode=lambda self, x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)),
        told("gradient", decode=_with_gradient(param)),
        told("latents", lambda self, x: Codes(latents=((x * 6 + 1).round() / 8).half())),
        told("buffer in", lambda self, x: Codes(latents=reuse(self, x))),
        told("buffer out", decode=_overwriting(lambda x: x)),
        told("subclass", decode=lambda self, x: x.as_subclass(_Sub)),
    ]
    results = run(told("plain"), *forms, limit=3, batch_size=2)
    assert results.failures == {}
    wanted = _numbers(results, "plain")
    assert {row[0] for row in wanted} == {"psnr", "l1"}
    assert not any(math.isnan(row[1]) for row in wanted)
    for each in forms:
        assert _numbers(results, each.spec.name) == wanted, each.spec.name


class _Sub(torch.Tensor):
    pass


def _with_gradient(param: torch.nn.Parameter) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    def decode(self: Any, latents: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            found = latents.clone() + param
        assert found.requires_grad
        return found

    return decode


def test_negative_zero_is_black(run: Any, told: Any) -> None:
    results = run(
        told("minus", decode=lambda self, x: torch.full_like(x, -0.0)),
        told("plus", decode=lambda self, x: torch.zeros_like(x)),
    )
    assert _numbers(results, "minus") == _numbers(results, "plus")
    assert not math.isnan(_numbers(results, "minus")[0][1])


def test_what_was_returned_is_let_go(run: Any, told: Any) -> None:
    """A run holds no more than the batches in hand, so memory does not grow with the image set."""
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def decode(self: Any, latents: torch.Tensor) -> torch.Tensor:
        nonlocal most
        most = max(most, sum(each() is not None for each in alive))
        made = latents.clone()
        alive.append(weakref.ref(made))
        return made

    results = run(told("counting", decode=decode), limit=24, batch_size=2)
    assert results.failures == {}
    assert len(alive) >= 12
    assert most <= 3  # this batch, the one that is measured, and the probe's


def test_a_cheat_that_reuses_its_buffer_is_still_found(told: Any) -> None:
    """What it returned first is overwritten by what it returns later, and must not be compared with itself."""
    buffer = torch.empty(8, 3, 64, 64)

    def encode(self: Any, images: torch.Tensor) -> Codes:
        self.last = images.clone()
        return Codes(latents=images.mean(dim=(2, 3)))

    def decode(self: Any, latents: torch.Tensor) -> torch.Tensor:
        buffer[: len(latents)] = self.last[: len(latents)]
        return buffer[: len(latents)]

    report = check_tokenizer(told("cheat", encode, decode))
    failed = {check.name: check.detail for check in report.checks if not check.passed}
    assert "depend on nothing but the codes" in failed["codes alone"]


def test_random_codes_in_a_reused_buffer_are_still_found(told: Any) -> None:
    buffer = torch.empty(3, 4)
    report = check_tokenizer(told("noisy", lambda self, x: Codes(latents=buffer.uniform_()[: len(x)])))
    assert "determinism" in {check.name for check in report.checks if not check.passed}


def test_writing_into_the_images_it_is_given_is_named(told: Any) -> None:
    report = check_tokenizer(told("vandal", lambda self, x: Codes(latents=x.clamp_(0.25, 0.75))))
    failed = {check.name: check.detail for check in report.checks if not check.passed}
    assert "writing into the images" in failed["encode"]


def test_leaving_by_the_back_door_is_a_failed_check(told: Any) -> None:
    def leave(self: Any, images: torch.Tensor) -> None:
        raise SystemExit(0)

    report = check_tokenizer(told("leaver", leave))
    assert "raised SystemExit: 0" in report.checks[0].detail


def test_a_run_looks_behind_reused_buffers_and_notices_vandals(run: Any, told: Any) -> None:
    buffer = torch.empty(8, 3, 64, 64)

    def noisy_codes(self: Any, images: torch.Tensor) -> Codes:
        return Codes(latents=buffer.uniform_()[: len(images)])

    def noisy_images(self: Any, latents: torch.Tensor) -> torch.Tensor:
        return buffer.uniform_()[: len(latents)]

    def vandal(self: Any, images: torch.Tensor) -> Codes:
        return Codes(latents=images.mul_(0.5).add_(0.1))

    results = run(
        told("noisy codes", noisy_codes), told("noisy images", decode=noisy_images), told("vandal", vandal)
    )
    assert "latents differ between two calls" in results.failures["noisy codes"]
    assert "images that differ by up to" in results.failures["noisy images"]
    assert "writing into the images it was given" in results.failures["vandal"]
