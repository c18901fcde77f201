"""Neighbourhoods in every kind of codebook, against enumeration of all entries."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tokbench.errors import ContractError
from tokbench.perturb import explicit
from tokbench.perturb.books import books_of, unsupported
from tokbench.perturb.explicit import ExplicitBook, nearest_entries
from tokbench.perturb.grid import GridBook
from tokbench.perturb.hamming import HammingBook
from tokbench.perturb.sizes import Matched, Nearest, Share
from tokbench.tokenizer import TokenSpec

if TYPE_CHECKING:
    from torch import Tensor

NO_TIES = torch.empty(0, 0)


def lattice() -> Tensor:
    """All 4³ points of a small lattice: distances tie everywhere, and float64 holds them exactly."""
    return torch.tensor(list(itertools.product(range(4), repeat=3)), dtype=torch.float32)


def enumerated(points: Tensor) -> np.ndarray:
    """All entries by squared distance then index, the entry itself first, int64 ``[size, size]``."""
    exact = points.double().numpy()
    squared = ((exact[:, None] - exact[None]) ** 2).sum(-1)
    np.fill_diagonal(squared, -1)
    return np.argsort(squared, axis=1, kind="stable")


def every(size: int, delta: int) -> tuple[Tensor, Tensor]:
    """Every id with every rank."""
    ids, ranks = torch.meshgrid(torch.arange(size), torch.arange(delta), indexing="ij")
    return ids.reshape(-1), ranks.reshape(-1)


def random_points() -> Tensor:
    return torch.randn(90, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "points", [lattice(), random_points(), torch.zeros(9, 2)], ids=["ties", "random", "same"]
)
def test_stored_entries_against_enumeration(points: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = enumerated(points)
    size = len(points)
    ids, ranks = every(size, size)
    found = ExplicitBook(points).neighbours(ids, ranks, NO_TIES, size)
    assert np.array_equal(found.reshape(size, size), expected)
    monkeypatch.setattr(explicit, "_CELLS", 3 * size)  # three rows at a time
    monkeypatch.setattr(explicit, "_KEPT", 0)  # and no table
    delta = min(size, 8)
    few, low = every(size, delta)
    found = ExplicitBook(points).neighbours(few, low, NO_TIES, delta)
    assert np.array_equal(found.reshape(size, delta), expected[:, :delta])


def test_the_table_grows_in_any_order_to_the_same() -> None:
    book, expected = ExplicitBook(lattice()), enumerated(lattice())
    for ids, delta in (([5, 5, 9], 4), ([9, 1], 3), ([63, 5, 0], 60), ([9], 64)):
        few = torch.tensor(ids)
        last = torch.full_like(few, delta - 1)
        assert book.neighbours(few, last, NO_TIES, delta).tolist() == expected[ids, delta - 1].tolist()


def test_normalised_entries_are_compared_by_angle() -> None:
    points = random_points() * torch.linspace(0.1, 9, 90)[:, None]
    ids, ranks = every(90, 10)
    found = ExplicitBook(points, normalise=True).neighbours(ids, ranks, NO_TIES, 10).reshape(90, 10)
    cosine = torch.nn.functional.cosine_similarity(points[:, None].double(), points[None].double(), dim=-1)
    assert torch.equal(found, cosine.argsort(dim=1, descending=True)[:, :10])
    plain = ExplicitBook(points).neighbours(ids, ranks, NO_TIES, 10).reshape(90, 10)
    assert not torch.equal(found, plain)


def test_vectors_beside_the_codebook() -> None:
    points = random_points()
    anchors = points[:6] + 0.3
    own = torch.tensor([80, 1, 2, 3, 4, 5])
    found = nearest_entries(anchors, points, 90, own)
    assert torch.equal(found[:, 0], own)  # whatever its distance
    squared = (anchors[:, None].double() - points[None].double()).square().sum(-1)
    by_distance = squared.gather(1, found[:, 1:])
    assert bool((by_distance.diff(dim=1) >= 0).all())
    assert torch.equal(found.sort(dim=1).values, torch.arange(90).expand(6, -1))


@pytest.mark.parametrize("bits", [1, 5, 7])
def test_sign_vectors_come_in_hamming_order(bits: int) -> None:
    size = 2**bits
    ids, ranks = every(size, size)
    keys = torch.rand(len(ids), bits, generator=torch.Generator().manual_seed(bits), dtype=torch.float64)
    found = HammingBook(bits).neighbours(ids, ranks, keys, size)
    signs = 2.0 * (torch.arange(size)[:, None] >> torch.arange(bits) & 1) - 1
    squared = (signs[:, None] - signs[None]).square().sum(-1)
    assert torch.equal(squared[ids, found].reshape(size, size), squared.sort(dim=1).values)
    assert torch.equal(found[ranks == 0], ids[ranks == 0])


def test_entries_at_one_hamming_distance_are_drawn_alike() -> None:
    count = 30_000
    keys = torch.rand(count, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    book = HammingBook(6)
    # Rank 7 is the first of the 15 entries at distance 2; each must come up as often as the others.
    found = book.neighbours(torch.full((count,), 21), torch.full((count,), 7), keys, 8)
    seen = torch.bincount(found, minlength=64)
    pairs = seen[seen > 0]
    assert len(pairs) == 15
    # Five standard deviations of a binomial of 30,000 with probability 1/15.
    assert float((pairs - count / 15).abs().max()) < 5 * (count / 15 * 14 / 15) ** 0.5


def test_a_book_of_36_bits_is_not_enumerated() -> None:
    book = HammingBook(36)
    ids = torch.randint(0, 2**36, (500,), generator=torch.Generator().manual_seed(2))
    keys = torch.rand(500, 36, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = book.neighbours(ids, torch.full((500,), 36), keys, 200)
    assert {bin(value).count("1") for value in (ids ^ found).tolist()} == {1}
    found = book.neighbours(ids, torch.full((500,), 37), keys, 200)
    assert {bin(value).count("1") for value in (ids ^ found).tolist()} == {2}


@pytest.mark.parametrize("levels", [(5,), (3, 5, 2), (2, 4, 8), (1, 3, 3), (7, 2, 5, 3)])
def test_grid_points_against_enumeration(levels: tuple[int, ...]) -> None:
    book = GridBook(levels)
    # The first level changes fastest: products run with their last factor fastest, so both are turned round.
    points = torch.tensor([point[::-1] for point in itertools.product(*map(range, levels[::-1]))])
    assert len(points) == book.size
    expected = enumerated(points)
    for delta in (1, min(6, book.size), book.size):
        ids, ranks = every(book.size, delta)
        found = book.neighbours(ids, ranks, NO_TIES, delta)
        assert np.array_equal(found.reshape(book.size, delta), expected[:, :delta])


def test_a_large_grid_is_not_enumerated() -> None:
    book = GridBook((64,) * 8)  # 2⁴⁸ points
    middle = sum(32 * 64**axis for axis in range(8))
    found = book.neighbours(torch.full((17,), middle), torch.arange(17), NO_TIES, 17).tolist()
    steps = sorted((0, *(sign * 64**axis for axis in range(8) for sign in (-1, 1))))
    assert found[0] == middle
    assert sorted(found) == [middle + step for step in steps]


@pytest.mark.parametrize("name", ["stored", "signs", "grid"])
def test_mean_change_and_the_size_that_reaches_a_level(name: str) -> None:
    books = {
        "stored": (ExplicitBook(random_points()), random_points()),
        "signs": (HammingBook(6), 2.0 * (torch.arange(64)[:, None] >> torch.arange(6) & 1) - 1),
        "grid": (
            GridBook((3, 5, 4)),
            torch.tensor([point[::-1] for point in itertools.product(range(4), range(5), range(3))]),
        ),
    }
    book, points = books[name]
    exact = points.double()
    squared = (exact[:, None] - exact[None]).square().sum(-1).sort(dim=1).values
    variance = float((exact - exact.mean(0)).square().sum(1).mean())
    changes = [float(squared[:, :delta].mean()) / variance for delta in range(1, book.size + 1)]
    # Sums of at most 8100 terms in float64.
    assert [book.mean_change(delta) for delta in range(1, book.size + 1)] == pytest.approx(changes, rel=1e-9)
    assert changes[-1] == pytest.approx(2)
    for level in (0.01, 0.3, 1.1):
        assert Matched(level).count(book) == next(
            i + 1 for i, change in enumerate(changes) if change >= level
        )


def test_of_a_large_codebook_some_entries_stand_for_all() -> None:
    points = torch.randn(2050, 4, generator=torch.Generator().manual_seed(5))
    squared = torch.cdist(points[::3].double(), points.double()).square().sort(dim=1).values
    variance = float((points.double() - points.double().mean(0)).square().sum(1).mean())
    expected = float(squared[:, :100].mean()) / variance
    assert ExplicitBook(points).mean_change(100) == pytest.approx(expected, rel=1e-6)
    assert Matched(0.2).count(ExplicitBook(points)) == Matched(0.2).count(ExplicitBook(points))


def test_equal_entries_have_no_scale_to_match() -> None:
    with pytest.raises(ValueError, match="all the same"):
        ExplicitBook(torch.ones(8, 2)).mean_change(2)


def test_sizes() -> None:
    book = HammingBook(10)
    sizes = (Nearest(200), Share(0.05), Share(0.0015), Share(1e-9))
    assert [size.count(book) for size in sizes] == [200, 51, 2, 1]  # 51.2 and 1.536 are rounded half up
    assert [size.label for size in (Nearest(200), Share(0.05), Matched(0.5))] == ["d=200", "d=0.05K", "m=0.5"]
    small = TokenSpec("toy", "discrete", vocab=64)
    assert Nearest(64).unsupported(small) == Share(0.9).unsupported(small) == ""
    assert Nearest(65).unsupported(small) == "delta 65 exceeds the 64 entries of the codebook"
    assert "no variance" in Matched(0.5).unsupported(TokenSpec("toy", "discrete", vocab=1))
    for wrong in (lambda: Share(0.0), lambda: Share(1.1), lambda: Matched(2.0), lambda: Matched(0.0)):
        with pytest.raises(ValueError, match="is not in"):
            wrong()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"capabilities": ("codebook",)}, ""),
        ({}, "needs a codebook"),
        ({"kind": "codec", "capabilities": ("codebook",)}, "needs a codebook"),
        ({"kind": "continuous", "vocab": None}, "needs a codebook"),
        ({"codebooks": 2, "capabilities": ("codebook",)}, "does not state the quantizer of 2 codebooks"),
        ({"codebooks": 2, "quantizer": "residual", "capabilities": ("codebook",)}, ""),
        ({"codebooks": 2, "quantizer": "product"}, "needs a codebook"),
        ({"quantizer": "lfq"}, ""),
        ({"quantizer": "bsq", "vocab": 48}, "bsq with vocab 48, no power of 2"),
        ({"quantizer": "fsq", "options": {"levels": [8, 8]}}, ""),
        ({"quantizer": "fsq", "options": {"levels": [8, 5]}}, "whose product is not vocab 64"),
        ({"quantizer": "fsq"}, "fsq without `levels`"),
    ],
)
def test_what_cannot_be_perturbed_has_a_reason(fields: dict, reason: str) -> None:
    spec = TokenSpec("toy", **{"kind": "discrete", "vocab": 64, **fields})
    found = unsupported(spec)
    assert reason in found
    assert bool(found) == bool(reason)


@pytest.mark.parametrize("shape", [(63, 5), (2, 64, 5), (64,)])
def test_a_codebook_that_is_not_what_the_spec_says_is_refused(make_bench, shape: tuple[int, ...]) -> None:
    toy = make_bench("product").toy
    toy.entries = torch.zeros(shape)
    with pytest.raises(ContractError, match=r"wanted \[64, dim\] or \[3, 64, dim\]"):
        books_of(toy)
