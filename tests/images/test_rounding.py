"""Rounding is exact on every level and half up between them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tokbench.images.rounding import from_uint8, to_uint8  # noqa: E402

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_every_level_survives_the_round_trip() -> None:
    assert torch.equal(to_uint8(from_uint8(LEVELS)), LEVELS)
    assert torch.equal(to_uint8(from_uint8(LEVELS).double()), LEVELS)
    # Adapters that work in [-1, 1] map there and back in float32.
    assert torch.equal(to_uint8((from_uint8(LEVELS) * 2 - 1 + 1) / 2), LEVELS)


def test_half_goes_up_and_less_goes_down() -> None:
    half = (LEVELS[:255].double() + 0.5) / 255
    assert torch.equal(to_uint8(half + 1e-9), LEVELS[1:])
    assert torch.equal(to_uint8(half - 1e-9), LEVELS[:255])
    assert to_uint8(torch.tensor([0.5])).item() == 128  # 127.5 exactly


def test_values_outside_are_clamped() -> None:
    values = torch.tensor([-3.0, -0.001, 1.001, 7.0, float("inf"), float("-inf")])
    assert to_uint8(values).tolist() == [0, 0, 255, 255, 255, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_before_scaling(dtype: torch.dtype) -> None:
    values = torch.linspace(0, 1, 1001).to(dtype)
    assert torch.equal(to_uint8(values), to_uint8(values.float()))
    if dtype is torch.float16:  # 11 bits hold all levels; bfloat16's 8 do not
        assert torch.equal(to_uint8(from_uint8(LEVELS).to(dtype)), LEVELS)
