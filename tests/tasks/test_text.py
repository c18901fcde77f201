"""Text tasks from end to end on a few pages of text-mini, with the recogniser that travels along."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tokbench import Results, evaluate
from tokbench.images.card import load_card
from tokbench.images.imageset import ImageSet, open_card
from tokbench.metrics.text import SCRIPTS
from tokbench.tasks import text

ROOT = Path(__file__).parents[2]


def pages(*ids: str, words: int | None = None) -> ImageSet:
    """Some pages of text-mini, with their first words or with all."""
    card = load_card(ROOT / "datasets" / "text-mini.toml")
    items = tuple(
        replace(item, truth={"words": item.truth["words"][:words]}) for item in card.items if item.id in ids
    )
    assert len(items) == len(ids)
    return open_card(replace(card, items=items, count=len(items), digest=""), ROOT / "datasets")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    images = pages(
        "hans-40px-31-yellow-on-blue", "latn-12px-06-pale-on-white", "latn-16px-09-white-on-red", words=6
    )
    tasks = [text.TEXT_WORDS, text.TEXT_TOKBENCH2025]
    out = tmp_path_factory.mktemp("runs") / "text"
    return evaluate(["identity", "jpeg-q95", "jpeg-q10"], images, tasks, out=out)


def value(results: Results, tokenizer: str, metric: str) -> float:
    return next(row.value for row in results.rows if (row.tokenizer, row.metric) == (tokenizer, metric))


def test_identity_reads_what_the_originals_read(results: Results) -> None:
    assert value(results, "identity", "t_acc_relative") == 1
    assert value(results, "identity", "t_ned_relative") == 1
    assert value(results, "identity", "t_acc_drop") == 0
    assert value(results, "identity", "t_acc_readable") == 1
    assert value(results, "identity", "t_acc") > 0.8


def test_more_bits_read_better(results: Results) -> None:
    fine, coarse = (
        [value(results, name, f"t_{kind}") for kind in ("acc", "ned")] for name in ("jpeg-q95", "jpeg-q10")
    )
    assert fine[0] >= coarse[0]
    assert fine[1] > coarse[1]


def test_all_tokenizers_share_the_originals(results: Results) -> None:
    assert len({value(results, name, "t_acc_original") for name in ("identity", "jpeg-q95", "jpeg-q10")}) == 1
    for name in ("identity", "jpeg-q10"):
        assert value(results, name, "words") + value(results, name, "words_dropped") == 17


def test_tokbenchs_own_recogniser_is_unsupported_with_a_reason(results: Results) -> None:
    rows = [row for row in results.rows if row.task == "text-tokbench2025"]
    assert {row.status for row in rows} == {"unsupported"}
    assert all(math.isnan(row.value) for row in rows)
    # Without docTR its package is named, with it its weights.
    assert all("doctr" in row.reason for row in rows)


def test_pages(tmp_path: Path) -> None:
    done = evaluate(
        ["identity", "jpeg-q10"],
        pages("hans-40px-31-yellow-on-blue", "latn-32px-14-navy-on-cream"),
        text.TEXT_PAGES,
        out=tmp_path / "out",
    )
    assert value(done, "identity", "cer_kept") == 1
    assert value(done, "identity", "cer_added") == 0
    assert value(done, "identity", "cer_vtbench") == 0
    assert value(done, "identity", "cer_latin") < 0.2
    assert value(done, "identity", "cer") <= value(done, "jpeg-q10", "cer")
    absent = [row for row in done.rows if row.metric == "cer_korean"]
    assert {(row.status, row.reason) for row in absent} == {("unsupported", "no word in this script")}


def test_every_metric_name_means_one_thing() -> None:
    tasks = [each for each in vars(text).values() if isinstance(each, type(text.TEXT_WORDS))]
    found: dict[str, object] = {}
    for task in tasks:
        for metric in task.metrics:
            assert found.setdefault(metric.name, metric) == metric
    assert len(tasks) == 6
    assert {f"cer_{script}" for script in SCRIPTS} <= found.keys()
