"""What is put into a report: boards, cells, histograms, the choice of images, escaping and size."""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tokbench.catalog import Catalog, discover
from tokbench.errors import IntegrityError, UsageError
from tokbench.report.build import build_report
from tokbench.report.choose import choose
from tokbench.report.data import assemble, scales, sweeps
from tokbench.report.images import data_uri
from tokbench.report.page import render
from tokbench.report.spread import BINS, spread

if TYPE_CHECKING:
    from tokbench.results.results import Results


@pytest.fixture(scope="module")
def document(small_run: Results) -> dict[str, Any]:
    return assemble([small_run], discover(), "today", "1").document


def test_every_number_of_a_run_is_in_its_board(small_run: Results, document: dict[str, Any]) -> None:
    found = {}
    for board in document["boards"]:
        for line, cells in zip(board["lines"], board["cells"], strict=True):
            assert len(cells) == len(board["metrics"])
            name = document["tokenizers"][line["t"]]["name"]
            for metric, cell in zip(board["metrics"], cells, strict=True):
                if cell:
                    found[name, board["task"], metric["name"], line["view"]] = cell
    assert len(found) == len(small_run.rows)
    for row in small_run.rows:
        cell = found[row.tokenizer, row.task, row.metric, row.view]
        for mine, theirs in zip(cell[:3], (row.value, row.ci_low, row.ci_high), strict=True):
            # Seven significant digits are kept.
            assert mine == pytest.approx(theirs, rel=1e-6, nan_ok=True)
        assert cell[3:6] == [row.n, row.failed, int(row.reliable)]
        assert document["reasons"][cell[6]] == row.reason
        assert cell[7:] == [row.ci_method, row.status]


def test_metrics_carry_definition_and_direction(document: dict[str, Any]) -> None:
    metrics = {metric["name"]: metric for board in document["boards"] for metric in board["metrics"]}
    assert metrics["psnr"]["higher"] is True
    assert metrics["psnr"]["unit"] == "dB"
    assert metrics["bpp"]["higher"] is None
    assert len(metrics["psnr"]["about"]) > 20
    board = next(board for board in document["boards"] if board["task"] == "rate-distortion")
    assert board["primary"] == "psnr"
    assert {"bpp", "psnr"} <= set(board["headline"])


def test_a_task_that_is_not_installed_is_shown_without_definitions(make_results: Any) -> None:
    board = assemble([make_results(2, 3, 20)], Catalog(), "today", "1").document["boards"][0]
    assert [metric["about"] for metric in board["metrics"]] == ["", "", ""]
    assert board["headline"] == ["metric_0", "metric_1", "metric_2"]


def test_two_folders_of_one_run_count_once(small_run: Results, document: dict[str, Any]) -> None:
    twice = assemble([small_run, small_run], discover(), "today", "1").document
    assert twice["boards"] == document["boards"]


def test_one_name_of_two_tokenizers_stays_two(small_run: Results) -> None:
    manifest = {**small_run.manifest, "identity": {}}
    other = replace(small_run, folder=Path("elsewhere"), manifest=manifest)
    names = [
        each["name"] for each in assemble([small_run, other], discover(), "today", "1").document["tokenizers"]
    ]
    assert len(set(names)) == 6
    assert "jpeg-q50 (elsewhere)" in names


def test_other_images_or_evaluators_make_another_board(make_results: Any) -> None:
    one = make_results(1, 2, 20)
    key = "t0 on made-up by adm-256"
    same = {"tokenizer": 1, "images": {"selection": "a"}, "evaluators": {"x": "1"}, "tasks": {}}
    first = replace(one, manifest={**one.manifest, "identity": {key: same}})
    for change in ({"images": {"selection": "b"}}, {"evaluators": {"x": "2"}}):
        second = replace(one, manifest={**one.manifest, "identity": {key: {**same, **change}}})
        assert len(assemble([first, second], Catalog(), "", "").document["boards"]) == 2
    assert len(assemble([first, first], Catalog(), "", "").document["boards"]) == 1


def test_scales_and_sweeps_are_found_by_name() -> None:
    names = ["t_acc", "t_acc_small", "t_acc_medium", "t_acc_large", "x_small", "f_small_512", "f_medium_512"]
    assert scales(names) == [{"name": "t_acc", "metrics": ["t_acc_small", "t_acc_medium", "t_acc_large"]}]
    found = sweeps(["", "a=0.5 d=9", "a=0.9 d=9", "a=0.7 d=9", "a=0.5 d=5%", "a=1.2.3 d=9", "odd"])
    assert found == [
        {"along": "a", "rest": "d=9", "views": [[0.5, "a=0.5 d=9"], [0.7, "a=0.7 d=9"], [0.9, "a=0.9 d=9"]]}
    ]


def test_histograms_share_edges_and_count_every_image() -> None:
    one, other = np.array([0.0, 1.0, 2.0, np.nan]), np.array([4.0, np.inf, 4.0, 3.9])
    found = spread({0: {"m": one}, 1: {"m": other}}, {"m": True})
    assert (found["hists"]["m"]["low"], found["hists"]["m"]["high"]) == (0, 4)
    counts = {
        t: np.frombuffer(base64.b64decode(text), "<u2")
        for t, (text, _, _) in found["hists"]["m"]["of"].items()
    }
    assert [len(each) for each in counts.values()] == [BINS, BINS]
    assert counts[0][[0, BINS // 4, BINS // 2]].tolist() == [1, 1, 1]
    assert counts[1][-1] == 2
    assert counts[1].sum() == 3
    assert found["hists"]["m"]["of"][1][1:] == [3, 1]
    assert found["ends"]["m"] == {0: [[0, 1, 2], [2, 1, 0]], 1: [[3, 0, 2], [1, 0, 2]]}


def test_many_images_in_one_bin_are_scaled() -> None:
    column = np.concatenate([np.zeros(200_000), np.ones(100_000)])
    text, n, _ = spread({0: {"m": column}}, {"m": None})["hists"]["m"]["of"][0]
    counts = np.frombuffer(base64.b64decode(text), "<u2")
    assert n == 300_000
    assert counts[0] == 65535
    assert counts[-1] / counts[0] == pytest.approx(0.5, abs=1e-4)  # counts are rounded to whole numbers


def test_worst_best_and_others_are_chosen() -> None:
    values = {
        "psnr": {"a": np.arange(20.0), "b": np.arange(20.0)[::-1], "same": np.full(20, np.inf)},
        "bpp": {"a": np.arange(20.0)},
    }
    chosen = choose(values, {"psnr": True, "bpp": None}, 8)
    assert len(chosen) == 8
    assert chosen[0] == "worst psnr of a"
    assert chosen[19] == "worst psnr of b"
    assert sum(why.startswith("worst") for why in chosen.values()) == 4
    assert sum(why.startswith("best") for why in chosen.values()) == 2
    assert sum(why == "by place" for why in chosen.values()) == 2
    assert sorted(choose(values, {"psnr": True, "bpp": None}, 50)) == list(range(20))
    assert choose({}, {}, 4) == {}


def test_hostile_text_stays_text(make_results: Any, hostile: str, embedded: Any) -> None:
    results = make_results(2, 2, 20, name=hostile)
    page, _ = build_report([results], Catalog(), title=hostile, images=0)
    data = embedded(page)
    assert data["tokenizers"][0]["name"] == hostile + "0"
    assert page.count("</script>") == 2  # the data's and the script's own
    assert "<img" not in page
    assert "onerror=alert(1)&gt;" in page.partition("</title>")[0]


def test_nothing_is_fetched_and_nothing_else_may_run(small_run: Results) -> None:
    page = render(assemble([small_run], discover(), "today", "1").document, "title")
    head = page.partition("</head>")[0]
    assert "default-src &#x27;none&#x27;" in head
    assert "script-src &#x27;sha256-" in head
    for word in (
        'src="http',
        'href="http',
        "url(",
        "@import",
        "innerHTML",
        "eval(",
        "fetch(",
        "XMLHttpRequest",
    ):
        assert word not in page, word


def test_infinity_and_blanks_survive_the_page(small_run: Results, embedded: Any) -> None:
    page, _ = build_report([small_run], discover(), images=0)
    board = next(board for board in embedded(page)["boards"] if board["task"] == "rate-distortion")
    psnr = [metric["name"] for metric in board["metrics"]].index("psnr")
    values = {
        embedded(page)["tokenizers"][line["t"]]["name"]: cells[psnr][0]
        for line, cells in zip(board["lines"], board["cells"], strict=True)
        if not line["view"]
    }
    assert math.isinf(values["identity"])
    unsupported = [cell for cells in board["cells"] for cell in cells if cell and cell[8] == "unsupported"]
    assert unsupported
    assert all(cell[0] is None for cell in unsupported)


def test_two_hundred_tokenizers_stay_small(make_results: Any) -> None:
    # The promise: 200 tokenizers × 40 metrics × 5,000 images below 5 MB. Bytes do not depend on the number of images,
    # so 400 stand for 5,000 here; 20 tokenizers give a tenth of the size.
    page, data = build_report([make_results(20, 40, 400)], Catalog(), images=0)
    shell = len(render({**data, "boards": [], "looks": [], "tokenizers": []}, "").encode())
    assert shell + 10 * (len(page.encode()) - shell) < 5_000_000
    assert data["looks"][0]["hists"]["metric_0"]["of"][0][1] == 400


def test_size_does_not_grow_with_images() -> None:
    few, many = (np.random.default_rng(0).normal(size=n) for n in (500, 50_000))
    sizes = [len(spread({0: {"m": column}}, {"m": None})["hists"]["m"]["of"][0][0]) for column in (few, many)]
    assert sizes == [128, 128]


def test_small_pictures_are_lossless_and_large_ones_are_not() -> None:
    import io

    from PIL import Image

    def read(uri: str) -> np.ndarray:
        head, _, text = uri.partition(",")
        assert head == "data:image/webp;base64"
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))

    noise = np.random.default_rng(0).integers(0, 256, (600, 40, 3), dtype=np.uint8)
    assert np.array_equal(read(data_uri(noise[:512])), noise[:512])
    large = read(data_uri(noise))
    assert large.shape == noise.shape
    assert not np.array_equal(large, noise)


def test_bad_input_is_named(small_run: Results) -> None:
    with pytest.raises(UsageError, match="nothing to report"):
        build_report([], Catalog())
    with pytest.raises(UsageError, match="below 0"):
        build_report([small_run], Catalog(), images=-1)
    broken = replace(small_run, manifest={**small_run.manifest, "jobs": [{"tokenizer": "x"}]})
    with pytest.raises(IntegrityError, match=r"manifest .* is damaged"):
        build_report([broken], Catalog())
