"""Ranks by hand: ties, directions, blanks, unreliable values, seen sets, and what may share a column."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tokbench.errors import IntegrityError
from tokbench.leaderboard.boards import Board, boards, seen
from tokbench.leaderboard.plot import frontier, points, rate_plot
from tokbench.leaderboard.rank import Place, places
from tokbench.results.results import Results
from tokbench.results.schema import Row

if TYPE_CHECKING:
    from tokbench.catalog import Catalog

Make = Callable[..., Row]
RunOf = Callable[..., Results]


def test_intervals_that_meet_the_leaders_share_its_rank(row: Make) -> None:
    rows = {name: row(name, value) for name, value in (("a", 30.0), ("b", 29.2), ("c", 28.5), ("d", 20.0))}
    # a's interval is [29.5, 30.5]: b's [28.7, 29.7] meets it; c's [28, 29] meets b's, not a's, and so leads the next.
    assert places(rows) == {
        "a": Place(1, True),
        "b": Place(1, True),
        "c": Place(3, False),
        "d": Place(4, False),
    }


def test_the_direction_of_the_metric_decides(row: Make) -> None:
    rows = {name: row(name, value, 0.01, higher_is_better=False) for name, value in (("a", 0.3), ("b", 0.1))}
    assert places(rows) == {"b": Place(1, False), "a": Place(2, False)}


@pytest.mark.parametrize(
    "fields",
    [
        {"value": math.nan, "ci_low": math.nan, "ci_high": math.nan},
        {"status": "unsupported", "value": math.nan, "reason": "needs weights"},
        {"status": "failed", "value": 99.0},
        {"reliable": False, "value": 99.0, "reason": "too few images"},
        {"higher_is_better": None},
    ],
)
def test_what_must_not_be_ranked_has_no_place_and_moves_nobody(row: Make, fields: dict[str, object]) -> None:
    rows = {"good": row("good", 30.0), "other": replace(row("other"), **fields)}
    assert places(rows) == {"good": Place(1, False)}


def test_infinity_leads_and_a_value_without_interval_stands_for_itself(row: Make) -> None:
    rows = {
        "exact": row("exact", math.inf, ci_low=math.inf, ci_high=math.inf),
        "bare": row("bare", 30.2, ci_low=math.nan, ci_high=math.nan),
        "good": row("good", 30.0),
    }
    assert places(rows) == {"exact": Place(1, False), "bare": Place(2, True), "good": Place(2, True)}


def test_of_two_hundred_no_rank_depends_on_the_order_they_come_in(row: Make) -> None:
    rows = {f"t{number}": row(f"t{number}", 20 + (number * 37 % 200) / 10) for number in range(200)}
    assert places(rows) == places(dict(reversed(rows.items())))


def one_board(results: Results, catalog: Catalog) -> Board:
    (board,) = boards({"run": results}, catalog)
    return board


def test_a_board_is_ordered_by_rank_and_shows_coverage(row: Make, run_of: RunOf, catalog: Catalog) -> None:
    rows = [
        row("worse", 20.0),
        row("better", 30.0),
        row("blank", math.nan, status="unsupported", reason="no pixels"),
        row("worse", 0.5, 0.01, metric="ssim", unit=""),
        row("better", 0.9, 0.01, metric="ssim", unit=""),
        row("blank", 0.99, 0.001, metric="ssim", unit=""),
        row("better", 9.0, metric="encode_ips", unit="image/s"),
    ]
    board = one_board(run_of(rows), catalog)
    assert board.order == "psnr"
    assert [line.tokenizer for line in board.lines] == ["better", "worse", "blank"]
    assert [(line.measured, line.of) for line in board.lines] == [(3, 3), (2, 3), (1, 3)]
    speed = next(column for column in board.columns if column.metric == "encode_ips")
    assert not speed.ranked
    assert not speed.places


def test_an_unreliable_primary_metric_does_not_order_the_board(
    row: Make, run_of: RunOf, catalog: Catalog
) -> None:
    rows = [
        row("a", 10.0, metric="fd_lite0", higher_is_better=False, reliable=False, reason="too few", unit=""),
        row("a", 30.0),
    ]
    assert one_board(run_of(rows), catalog).order == "psnr"


def test_protocols_and_image_sets_never_share_a_board(row: Make, run_of: RunOf, catalog: Catalog) -> None:
    runs = {
        "a": run_of([row("a")]),
        "b": run_of([row("b", protocol="native")]),
        "c": run_of([row("c", dataset="text-mini")]),
    }
    assert [(board.dataset, board.protocol, len(board.lines)) for board in boards(runs, catalog)] == [
        ("photos-mini", "adm-256", 1),
        ("photos-mini", "native", 1),
        ("text-mini", "adm-256", 1),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 1),
        ("protocol", "1"),
        ("images", {"name": "photos-mini", "selection": "x"}),
        ("tasks", {"reconstruction": 2}),
    ],
)
def test_runs_that_differ_do_not_share_a_board(
    row: Make, run_of: RunOf, catalog: Catalog, field: str, value: object
) -> None:
    runs = {"a": run_of([row("a")]), "b": run_of([row("b")])}
    runs["b"].manifest["identity"]["b on photos-mini by adm-256"][field] = value
    with pytest.raises(IntegrityError, match=f"a and b cannot share a board of `photos-mini`: `{field}"):
        boards(runs, catalog)


def test_a_network_that_differs_is_named(row: Make, run_of: RunOf, catalog: Catalog) -> None:
    runs = {"a": run_of([row("a")]), "b": run_of([row("b")])}
    runs["b"].manifest["identity"]["b on photos-mini by adm-256"]["evaluators"] = {"lite0": {"lite0": "b"}}
    with pytest.raises(IntegrityError, match=r"`evaluators.lite0` differs"):
        boards(runs, catalog)


def test_partial_double_and_unfinished_runs_are_refused(row: Make, run_of: RunOf, catalog: Catalog) -> None:
    with pytest.raises(IntegrityError, match="only 128 images"):
        boards({"a": run_of([row("a")], partial=True)}, catalog)
    with pytest.raises(
        IntegrityError, match="`a` on `photos-mini` by `reconstruction` is in two runs: x and y"
    ):
        boards({"x": run_of([row("a")]), "y": run_of([row("a")])}, catalog)
    with pytest.raises(IntegrityError, match="not finished"):
        boards({"x": replace(run_of([row("a")]), complete=False)}, catalog)


def test_a_tokenizer_that_saw_the_set_is_flagged(row: Make, run_of: RunOf, catalog: Catalog) -> None:
    assert one_board(run_of([row("a")], trained_on=["photos-mini"]), catalog).lines[0].seen
    assert not one_board(run_of([row("a")], trained_on=["imagenet-train"]), catalog).lines[0].seen
    assert seen(["imagenet-val"], "imagenet-val-hub")
    assert seen(["imagenet-val-hub"], "imagenet-val")
    assert not seen(["imagenet-train"], "imagenet-val")


def test_the_frontier_is_what_nothing_beats_at_as_few_bits(
    row: Make, run_of: RunOf, catalog: Catalog
) -> None:
    made = {"a": (1.0, 30.0), "b": (2.0, 29.0), "c": (2.0, 35.0), "d": (4.0, 35.0), "exact": (24.0, math.inf)}
    rows = [row(name, value) for name, (_, value) in made.items()]
    rows += [
        row(name, rate, metric="bpp", unit="bit/px", higher_is_better=None)
        for name, (rate, _) in made.items()
    ]
    board = one_board(run_of(rows), catalog)
    found = points(board)
    assert sorted(name for name, _, _ in found) == ["a", "b", "c", "d"]
    assert [name for name, _, _ in frontier(found, up=True)] == ["a", "c"]
    assert [name for name, _, _ in frontier(found, up=False)] == ["a", "b"]
    drawing = rate_plot(board)
    assert drawing.count("<circle") == 4
    assert "nan" not in drawing
    assert "inf" not in drawing
    assert rate_plot(one_board(run_of(rows[:2]), catalog)) == ""
