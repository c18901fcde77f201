"""Patches cut and joined, and the nearest entry found exactly."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokbench.nn.patches import from_patches, nearest, reach, to_patches


@given(
    n=st.integers(1, 3),
    channels=st.integers(1, 3),
    side=st.integers(1, 5),
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
)
@settings(max_examples=40, deadline=None)
def test_cutting_and_joining_undo_each_other(
    n: int, channels: int, side: int, rows: int, columns: int
) -> None:
    images = torch.arange(n * channels * rows * columns * side**2).reshape(
        n, channels, rows * side, columns * side
    )
    patches = to_patches(images, side)
    assert patches.shape == (n, rows, columns, channels * side * side)
    corner = images[-1, :, -side:, -side:].reshape(-1)
    assert torch.equal(patches[-1, -1, -1], corner)
    assert torch.equal(from_patches(patches, side), images)


@given(seed=st.integers(0, 2**31), bound=st.sampled_from([1, 3, 40, 128]), rows=st.sampled_from([1, 5, 5000]))
@settings(max_examples=25, deadline=None)
def test_nearest_is_the_first_of_the_exactly_nearest(seed: int, bound: int, rows: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    vectors = torch.randint(-bound, bound, (rows, 12), generator=draw)
    codebook = torch.randint(-bound, bound, (50, 12), generator=draw, dtype=torch.int64).to(torch.int8)
    distances = (vectors[:, None] - codebook.long()).square().sum(dim=2)
    first = torch.stack([(row == row.min()).nonzero()[0, 0] for row in distances[:200]])
    assert torch.equal(nearest(vectors, codebook)[:200], first)
    assert torch.equal(
        distances.gather(1, nearest(vectors, codebook)[:, None])[:, 0], distances.min(dim=1).values
    )


def test_positions_keep_their_shape() -> None:
    codebook = torch.tensor([[0, 0], [10, 10]])
    vectors = torch.tensor([[[1, 2], [9, 9], [4, 5]], [[6, 6], [0, 0], [10, 0]]])
    assert nearest(vectors, codebook).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_reach_is_where_float32_stops_being_exact() -> None:
    # One entry of 192 values of 100: x·c - |c|²/2 leaves the exact range when 19,200 x + 960,000 passes 2²³.
    codebook = torch.full((1, 192), 100)
    assert reach(codebook) == (2**23 - 960_000) / 19_200
    assert reach(torch.zeros(1, 4)) == 2**23


def test_extreme_values_within_reach_are_exact() -> None:
    # Two entries that differ by one level in one of 192 values, at the largest magnitudes pixels can have.
    codebook = torch.full((2, 192), 127)
    codebook[1, 0] = 126
    vectors = torch.full((1, 192), -128)
    assert reach(codebook) >= 128
    assert nearest(vectors, codebook).tolist() == [1]
    assert nearest(torch.full((1, 192), 127), codebook).tolist() == [0]
