"""Continuous latents: noise of their own scale, and steps towards a fixed bank."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tokbench.perturb.latents import CANDIDATES, deviation, interpolate, interpolated, noisy, slerp
from tokbench.tokenizer import Codes, TokenSpec
from tokbench.views import Encoded

SPEC = TokenSpec("toy", "continuous")


class Toy:
    def __init__(self, spec: TokenSpec = SPEC) -> None:
        self.spec = spec


def latents(n: int = 6, seed: int = 0) -> torch.Tensor:
    """Four channels of very different scales and means, 30×30 positions."""
    scale = torch.tensor([0.01, 1.0, 5.0, 100.0]).reshape(1, 4, 1, 1)
    return scale * (3 + torch.randn(n, 4, 30, 30, generator=torch.Generator().manual_seed(seed)))


def encoded(values: torch.Tensor, rows: list[int] | None = None, spec: TokenSpec = SPEC) -> Encoded:
    rows = list(range(len(values))) if rows is None else rows
    return Encoded(
        Toy(spec), torch.empty(0), Codes(latents=values[rows]), tuple(f"i{row}" for row in rows), 0, {}
    )


def test_noise_has_the_scale_of_each_channel_of_each_image() -> None:
    values = latents()
    added = noisy(0.3).transform(encoded(values)).latents - values
    ratio = added.std(dim=(2, 3)) / values.std(dim=(2, 3))
    # The deviation of 900 numbers is known to 1 / sqrt(1800) = 2.4 %; five of these.
    assert torch.allclose(ratio, torch.full_like(ratio, 0.3), rtol=0.12)
    assert torch.equal(noisy(0.0).transform(encoded(values)).latents, values)


def test_noise_does_not_depend_on_the_batch_and_keeps_the_dtype() -> None:
    values = latents().to(torch.bfloat16)
    whole = noisy(0.3).transform(encoded(values)).latents
    assert whole.dtype == torch.bfloat16
    for rows in ([5], [2, 0], [4, 3, 1]):
        assert torch.equal(noisy(0.3).transform(encoded(values, rows)).latents, whole[rows])
    assert not torch.equal(noisy(0.4).transform(encoded(values)).latents, whole)


def test_which_axis_holds_channels() -> None:
    maps = torch.randn(2, 3, 5, 7)
    assert deviation(maps).shape == (2, 3, 1, 1)
    assert deviation(torch.randn(2, 32, 8)).shape == (2, 1, 8)
    assert deviation(torch.randn(2, 8)).shape == (2, 1)
    assert deviation(maps, 3).shape == (2, 1, 1, 7)
    expected = maps.numpy().std(axis=(2, 3))
    assert np.allclose(deviation(maps)[..., 0, 0].numpy(), expected, rtol=1e-5)
    rows = torch.randn(3, 6, 4)
    spec = TokenSpec("toy", "continuous", options={"channel_axis": 1})
    ours = noisy(1.0).transform(encoded(rows, spec=spec)).latents - rows
    other = noisy(1.0).transform(encoded(rows)).latents - rows
    ratio = ours / other
    # The same draws, scaled by other deviations.
    assert torch.allclose(ratio, deviation(rows, 1) / deviation(rows), rtol=1e-3)


def reference_ifid(z: np.ndarray, bank: np.ndarray, draw: float, weight: float, *, arc: bool) -> np.ndarray:
    """iFID's step for one image, written for clarity in float64."""
    dot = bank @ z
    cosine = dot / (np.linalg.norm(bank, axis=1) * np.linalg.norm(z))
    cost = -cosine if arc else ((bank - z) ** 2).sum(1)
    near = np.argsort(cost)[:10]
    weights = np.exp(-((bank[near] - z) ** 2).mean(1))
    chosen = bank[near][np.searchsorted(np.cumsum(weights / weights.sum()), draw, side="right")]
    if not arc:
        return (1 - weight) * z + weight * chosen
    angle = np.arccos(z @ chosen / np.linalg.norm(z) / np.linalg.norm(chosen))
    return (np.sin((1 - weight) * angle) * z + np.sin(weight * angle) * chosen) / np.sin(angle)


@pytest.mark.parametrize("mode", ["slerp", "linear"])
def test_interpolation_against_the_definition(mode: str) -> None:
    draw = torch.Generator().manual_seed(1)
    z = torch.randn(8, 3, 4, 4, generator=draw)
    bank = torch.randn(40, 3, 4, 4, generator=draw)
    draws = torch.linspace(0.02, 0.97, 8, dtype=torch.float64)
    found = interpolate(z, bank, draws, mode=mode, weight=0.3)
    flat, others = z.reshape(8, -1).double().numpy(), bank.reshape(40, -1).double().numpy()
    expected = [
        reference_ifid(row, others, float(u), 0.3, arc=mode == "slerp")
        for row, u in zip(flat, draws, strict=True)
    ]
    # The result is float32, values up to about 3.
    assert np.allclose(found.reshape(8, -1).numpy(), np.stack(expected), atol=1e-6)


def test_interpolation_ends() -> None:
    z = latents(3)
    bank = latents(CANDIDATES + 5, seed=9)
    draws = torch.tensor([0.1, 0.5, 0.9])
    assert torch.allclose(interpolate(z, bank, draws, weight=0.0), z, rtol=1e-6)
    reached = interpolate(z, bank, draws, weight=1.0)
    assert all(any(torch.allclose(row, other, rtol=1e-6) for other in bank) for row in reached)
    with pytest.raises(ValueError, match="bank of shape"):
        interpolate(z, bank[:, :2], draws)
    with pytest.raises(ValueError, match="bank of shape"):
        interpolate(z, bank[:0], draws)


def test_arcs() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    assert torch.allclose(slerp(a, b, 0.5), torch.tensor([2.0, 2.0]) / 2**0.5)
    assert torch.allclose(slerp(a, 3 * a, 0.25), 1.5 * a)


def test_the_view_of_a_bank() -> None:
    z = latents()
    bank = latents(30, seed=3)
    view = interpolated(bank)
    whole = view.transform(encoded(z)).latents
    for rows in ([5], [2, 0], [4, 3, 1]):
        assert torch.equal(view.transform(encoded(z, rows)).latents, whole[rows])
    assert view.name.startswith("i=0.5 slerp ")
    assert view.name == interpolated(bank.clone()).name
    assert view.name != interpolated(bank + 1).name  # another bank is another number
    discrete = TokenSpec("toy", "discrete", vocab=4)
    assert view.applies(discrete) == noisy(0.1).applies(discrete) == "needs continuous latents"
    assert view.applies(SPEC) == ""
    with pytest.raises(ValueError, match="negative"):
        noisy(-0.1)
