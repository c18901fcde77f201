"""Perturbed ids: rates, neighbourhoods, and independence of batches, for every kind of quantiser."""

from __future__ import annotations

import pickle

import pytest
import torch

from tokbench.errors import ContractError
from tokbench.perturb.books import books_of
from tokbench.perturb.sizes import Matched, Nearest, Share
from tokbench.perturb.views import grid, perturbed
from tokbench.tokenizer import TokenSpec

ALL = list(range(12))
TOKENS = 500


def levels(ids: torch.Tensor) -> torch.Tensor:
    """Ids as ``[images, books, positions]``."""
    return ids.reshape(len(ids), -1, TOKENS)


def cells(kind: str) -> list:
    """A cell of every anchor that is defined for a kind."""
    both = [perturbed(0.6, Nearest(9))]
    return [*both, perturbed(0.6, Nearest(9), anchor="encoder")] if kind == "vq" else both


def test_neither_batch_nor_order_changes_an_id(make_bench, kind: str) -> None:
    bench = make_bench(kind)
    for view in cells(kind):
        whole = view.transform(bench.encoded(ALL)).ids
        kept: dict = {}
        for rows in ([11], [3, 0, 7], [5, 4], [3]):
            encoded = bench.encoded(rows)
            encoded.kept.update(kept)
            assert torch.equal(view.transform(encoded).ids, whole[rows])
            kept = encoded.kept
        assert whole.dtype == bench.ids.dtype
        assert whole.shape == bench.ids.shape


def test_seed_and_cell_change_the_draws(make_bench, kind: str) -> None:
    bench = make_bench(kind)
    view = perturbed(0.6, Nearest(9))
    first = view.transform(bench.encoded(ALL)).ids
    assert torch.equal(first, view.transform(bench.encoded(ALL)).ids)
    assert not torch.equal(first, view.transform(bench.encoded(ALL, seed=1)).ids)
    changed = first != bench.ids
    other = perturbed(0.6, Nearest(10)).transform(bench.encoded(ALL)).ids != bench.ids
    # Independent choices at 0.6 · 8/9 agree on about half of all ids, not on nearly all.
    assert float((changed == other).double().mean()) < 0.6


@pytest.mark.parametrize("exact", [False, True])
def test_no_rate_or_no_neighbour_is_no_change(make_bench, kind: str, exact: bool) -> None:
    bench = make_bench(kind)
    anchors = ["entry", "encoder"] if kind == "vq" else ["entry"]
    for anchor in anchors:
        for alpha, size in ((0.0, Nearest(30)), (1.0, Nearest(1)), (1.0, Share(0.001))):
            view = perturbed(alpha, size, exact=exact, anchor=anchor)
            assert torch.equal(view.transform(bench.encoded(ALL)).ids, bench.ids)


@pytest.mark.parametrize(("alpha", "delta"), [(0.3, 2), (0.9, 5), (1.0, 64)])
def test_the_share_of_changed_ids(make_bench, kind: str, alpha: float, delta: int) -> None:
    bench = make_bench(kind)
    for anchor in ("entry", "encoder") if kind == "vq" else ("entry",):
        view = perturbed(alpha, Nearest(delta), anchor=anchor)
        changed = levels(view.transform(bench.encoded(ALL)).ids != bench.ids)
        share = alpha * (1 - 1 / delta)
        for book in range(changed.shape[1]):
            count = 12 * TOKENS
            # Five standard deviations of a binomial.
            assert abs(int(changed[:, book].sum()) - count * share) < 5 * (count * share * (1 - share)) ** 0.5


def test_an_exact_count_is_exact(make_bench, kind: str) -> None:
    bench = make_bench(kind)
    book = books_of(bench.toy)[0]
    view = perturbed(0.333, Nearest(64), exact=True)
    ids = view.transform(bench.encoded(ALL)).ids
    changed = levels(ids != bench.ids).sum(-1)
    assert int(changed.max()) <= 167  # 0.333 · 500 = 166.5, rounded half up
    # With 64 neighbours one draw in 64 keeps its id: of 167, five standard deviations are 8.
    assert int(changed.min()) >= 167 - 167 / 64 - 8
    assert book.size == 64
    free = levels(perturbed(0.333, Nearest(64)).transform(bench.encoded(ALL)).ids != bench.ids).sum(-1)
    assert int(free.max()) > 167


def test_ids_move_within_the_neighbourhood_and_evenly(make_bench) -> None:
    bench = make_bench("product")
    delta = 6
    ids = levels(perturbed(1.0, Nearest(delta)).transform(bench.encoded(ALL)).ids.long())
    old = levels(bench.ids.long())
    for book in range(3):
        squared = torch.cdist(bench.toy.entries[book].double(), bench.toy.entries[book].double())
        rank_of = squared.argsort(dim=1).argsort(dim=1)
        ranks = torch.bincount(rank_of[old[:, book], ids[:, book]].reshape(-1), minlength=64)
        assert int(ranks[delta:].sum()) == 0
        # Five standard deviations of a binomial of 6000 with probability 1/6.
        assert float((ranks[:delta] - 1000).abs().max()) < 5 * (1000 * 5 / 6) ** 0.5


def test_books_are_perturbed_apart(make_bench) -> None:
    bench = make_bench("product")
    changed = levels(perturbed(0.5, Nearest(64)).transform(bench.encoded(ALL)).ids != bench.ids)
    share = 0.5 * (1 - 1 / 64)
    both = int((changed[:, 0] & changed[:, 1]).sum())
    # Five standard deviations of a binomial of 6000; the same choice for both books would give twice as many.
    assert abs(both - 6000 * share**2) < 5 * (6000 * share**2 * (1 - share**2)) ** 0.5


def test_a_shared_codebook_serves_every_level(make_bench) -> None:
    bench = make_bench("residual")
    assert bench.toy.entries.ndim == 2
    books = books_of(bench.toy)
    assert books[0] is books[1] is books[2]
    # Fewer levels than the spec has, once truncated.
    bench.ids = bench.ids[:, :2]
    assert perturbed(0.5, Nearest(4)).transform(bench.encoded(ALL)).ids.shape == (12, 2, 20, 25)


def test_anchors_differ_where_the_feature_lies_off_the_entry(make_bench) -> None:
    bench = make_bench("vq")
    bench.toy.features = bench.toy.features + 0.8
    entry = perturbed(1.0, Nearest(5)).transform(bench.encoded(ALL)).ids
    view = perturbed(1.0, Nearest(5), anchor="encoder")
    ids = view.transform(bench.encoded(ALL)).ids
    assert not torch.equal(entry, ids)
    squared = torch.cdist(bench.toy.features.reshape(-1, 5).double(), bench.toy.entries.double())
    squared.scatter_(1, bench.ids.reshape(-1, 1).long(), -1)
    rank_of = squared.argsort(dim=1, stable=True).argsort(dim=1, stable=True)
    assert int(rank_of.gather(1, ids.reshape(-1, 1).long()).max()) == 4


def test_features_of_the_wrong_shape_are_refused(make_bench) -> None:
    bench = make_bench("vq")
    bench.toy.features = torch.zeros(12, 20, 25, 4)
    with pytest.raises(ContractError, match="wanted one vector of 5 for each of"):
        perturbed(0.5, Nearest(5), anchor="encoder").transform(bench.encoded(ALL))


def test_names_tell_cells_apart_and_views_travel_between_processes() -> None:
    views = [
        *grid((0.5, 0.25), (Nearest(200), Nearest(360))),
        *grid((0.5,), (Share(0.1),), exact=True),
        *grid((0.5,), (Matched(0.5),), anchor="encoder", codebook_norm=True),
    ]
    assert [view.name for view in views] == [
        "a=0.5 d=360",
        "a=0.25 d=360",
        "a=0.5 d=200",
        "a=0.25 d=200",
        "a=0.5 d=0.1K exact",
        "a=0.5 m=0.5 z norm",
    ]
    back = pickle.loads(pickle.dumps(views))
    assert [(view.name, view.transform, view.needs) for view in back] == [
        (view.name, view.transform, view.needs) for view in views
    ]
    with pytest.raises(ValueError, match="not in"):
        perturbed(1.2, Nearest(3))


def test_reasons_of_cells() -> None:
    spec = TokenSpec("toy", "discrete", vocab=64, capabilities=("codebook", "encoder-features"))
    assert perturbed(0.5, Nearest(64)).applies(spec) == ""
    assert "exceeds the 64 entries" in perturbed(0.5, Nearest(200)).applies(spec)
    assert perturbed(0.5, Nearest(64), anchor="encoder").applies(spec) == ""
    signs = TokenSpec("toy", "discrete", vocab=64, quantizer="lfq")
    assert "single stored codebook" in perturbed(0.5, Nearest(64), anchor="encoder").applies(signs)
