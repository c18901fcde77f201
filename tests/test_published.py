"""Published figures: every row is sound, every metric known, known errors flagged, and bad rows are explained."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import astuple, replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tokbench.catalog import discover
from tokbench.errors import DataError, TokbenchError
from tokbench.protocol import get_protocol
from tokbench.published import COLUMNS, NOT_MEASURED, Figure, figures_of, load_figures, read_figures

PAGE = Path(__file__).parents[1] / "docs" / "published.md"
GOOD = dict.fromkeys(COLUMNS, "") | {
    "tokenizer": "vq-x",
    "system": "VQ-X",
    "dataset": "kodak",
    "images": "24",
    "protocol": "native",
    "metric": "psnr",
    "value": "30.10",
    "source": "a paper",
    "table": "table 1",
    "version": "v1",
    "via": "by hand",
    "checked": "read",
}


@pytest.fixture(scope="module")
def figures() -> tuple[Figure, ...]:
    return load_figures()


def write(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def preset(figure: Figure) -> bool:
    try:
        get_protocol(figure.protocol)
    except TokbenchError:
        return False
    return True


def test_every_file_is_read_and_no_row_stands_twice(figures: tuple[Figure, ...]) -> None:
    assert len(figures) > 1400
    assert len({figure.place.split(",")[0] for figure in figures}) >= 8
    twice = [
        key
        for key, count in Counter(astuple(replace(each, place="")) for each in figures).items()
        if count > 1
    ]
    assert not twice


def test_tasks_and_metrics_are_those_of_tokbench(figures: tuple[Figure, ...]) -> None:
    found = discover()
    tasks = {name: found.task(name) for name in found.tasks}
    networks = {
        name: {each.name: each.network or "" for each in task.metrics} for name, task in tasks.items()
    }
    for name, task in tasks.items():
        networks[name] |= {mean: networks[name][of] for of, mean in task.means}
    measured = {metric for names in networks.values() for metric in names}
    wrong = []
    for each in figures:
        if (each.metric in measured) == (each.metric in NOT_MEASURED):
            wrong.append(f"{each.place}: `{each.metric}` is neither measured nor excused, or both")
        runnable = each.metric in measured and (not each.protocol or preset(each))
        if bool(each.task) != runnable:
            wrong.append(f"{each.place}: a task stands exactly where one can be run")
        if each.task and networks[each.task].get(each.metric) != each.evaluator:
            wrong.append(f"{each.place}: {each.task} does not measure {each.metric} by {each.evaluator!r}")
        if each.task and each.protocol and get_protocol(each.protocol).resolution != each.resolution:
            wrong.append(f"{each.place}: {each.protocol} is not of {each.resolution} pixels")
    assert not wrong
    assert not set(NOT_MEASURED) - {each.metric for each in figures}


def test_the_page_names_every_metric_that_is_not_measured() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    patterns = [name for row in rows for name in re.findall(r"`([a-z0-9_*]+)`", row.split("|")[1])]
    assert not {name for name in NOT_MEASURED if not any(fnmatchcase(name, pattern) for pattern in patterns)}


def test_published_means_are_the_means_of_their_bins(figures: tuple[Figure, ...]) -> None:
    """TokBench prints three bins and their mean: a slip in any of its 840 numbers would show."""
    table: dict[tuple[object, ...], dict[str, float]] = {}
    for each in figures:
        if each.place.startswith("tokbench.csv"):
            match = re.search(r"_(small|medium|large)", each.metric)
            part = match[1] if match else "mean"
            key = (each.system, each.dataset, each.resolution, each.metric.replace(f"_{part}", ""))
            table.setdefault(key, {})[part] = each.value
    assert sum(len(bins) for bins in table.values()) == 840
    # Four numbers rounded to two decimals: their mean may be 0.01 off.
    assert not {
        key: bins
        for key, bins in table.items()
        if abs((bins["small"] + bins["medium"] + bins["large"]) / 3 - bins["mean"]) > 0.0101
    }


@pytest.mark.parametrize(
    ("tokenizer", "metric", "source", "printed", "flag"),
    [
        ("unitok", "t_acc_parseq", "TokBench", "44.59", "inexact"),
        ("sd3-vae", "t_ned_parseq", "TokBench", "80.58", "disputed"),
        ("flux1-vae", "f_sim", "TokBench", "0.76", "disputed"),
        ("sdxl-vae", "t_acc_parseq_1024", "TokBench", "67.84", "disputed"),
        ("llamagen-vq16", "rfid", "issue 34", "4.28", "disputed"),
        ("mar-kl16", "rfid", "main-result", "1.22", "disputed"),
        ("sdxl-vae", "psnr", "ViTok", "26.04", "disputed"),
        ("titok-l32", "rfid", "TiTok", "2.21", ""),
        ("llamagen-vq16", "pfid", "RobusTok", "13.12", "inexact"),
        ("taef2", "psnr", "24 centre crops", "29.53", ""),
        ("jpeg-q50", "psnr", "24 centre crops", "31.37", ""),
    ],
)
def test_some_figures_by_hand(
    figures: tuple[Figure, ...], tokenizer: str, metric: str, source: str, printed: str, flag: str
) -> None:
    found = [each for each in figures_of(tokenizer, figures, source) if each.metric == metric]
    assert (printed, flag) in [(each.printed, each.flag) for each in found]


def test_rounding_is_half_a_printed_digit(tmp_path: Path) -> None:
    rows = [GOOD | {"value": text} for text in ("30.10", "30", "-0.5")]
    read = read_figures(write(tmp_path / "x.csv", *rows))
    assert [(each.value, each.rounding) for each in read] == [(30.1, 0.005), (30.0, 0.5), (-0.5, 0.05)]
    assert read[1].place == "x.csv, line 3"
    assert (read[0].images, read[0].resolution) == (24, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": ""}, "column `system` is empty"),
        ({"source": " "}, "column `source` is empty"),
        ({"value": "3.1e4"}, "column `value` must be a decimal number, got `3.1e4`"),
        ({"value": ".5"}, "column `value`"),
        ({"images": "0"}, "column `images` must be a whole number"),
        ({"resolution": "256px"}, "column `resolution`"),
        ({"tokenizer": "VQ X"}, "column `tokenizer`"),
        ({"unit": "db"}, "column `unit` is `db`"),
        ({"checked": "yes"}, "column `checked` is `yes`"),
        ({"flag": "disputed"}, "needs the reason"),
        ({"protocol": ""}, "needs a protocol"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, change: dict[str, str], message: str) -> None:
    path = write(tmp_path / "mine.csv", GOOD, GOOD | change)
    with pytest.raises(DataError, match=f"mine.csv, line 3: .*{re.escape(message)}"):
        read_figures(path)


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("tokenizer,value\nx,1\n")
    with pytest.raises(DataError, match=r"mine\.csv, line 1: the columns"):
        read_figures(path)
    path.write_text(",".join(COLUMNS) + "\na,b\n")
    with pytest.raises(DataError, match=r"mine\.csv, line 2: 2 fields, wanted 20"):
        read_figures(path)
    path.write_bytes(",".join(COLUMNS).encode() + b"\n\xff")
    with pytest.raises(DataError, match=r"mine.csv cannot be read"):
        read_figures(path)
    with pytest.raises(DataError, match=r"none.csv cannot be read"):
        read_figures(tmp_path / "none.csv")
