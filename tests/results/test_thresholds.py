"""Thresholds: which table wins, what is allowed, and every way to misspell a file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tokbench.errors import StorageError, TokbenchError, UnknownNameError, UsageError
from tokbench.results.schema import Row
from tokbench.results.thresholds import Threshold, Thresholds, read_thresholds, scale_bin

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
[default]
relative = 0.05
[metric.psnr]
absolute = 0.2
[metric.bpp]
relative = 0.02
worse = "higher"
[bin.small]
absolute = 0.03
[metric.codebook_usage]
check = false
[task.text-words.metric.t_acc]
absolute = 0.005
[task.text-words.bin.small]
absolute = 0.04
[task.detail.default]
absolute = 9
"""


def row(metric: str, task: str = "reconstruction") -> Row:
    numbers = (1.0, 0.9, 1.1, "jackknife-20", 10, 0)
    return Row("t", "d", task, "p", metric, "", *numbers, "", True, "ok", True, "")


@pytest.fixture
def limits(tmp_path: Path) -> Thresholds:
    file = tmp_path / "gate.toml"
    file.write_text(FILE)
    return read_thresholds(file)


@pytest.mark.parametrize(
    ("metric", "task", "wanted"),
    [
        ("ssim", "reconstruction", Threshold(relative=0.05)),
        ("psnr", "reconstruction", Threshold(absolute=0.2)),
        ("psnr", "detail", Threshold(absolute=0.2)),
        ("gmsd", "detail", Threshold(absolute=9)),
        ("t_acc", "text-words", Threshold(absolute=0.005)),
        ("t_acc", "text-words-512", Threshold(relative=0.05)),
        ("t_ned_small", "text-words", Threshold(absolute=0.04)),
        ("t_ned_small_512", "text-words-512", Threshold(absolute=0.03)),
        ("t_ned_large", "text-words", Threshold(relative=0.05)),
        ("codebook_usage", "reconstruction", Threshold(check=False)),
    ],
)
def test_the_nearest_table_wins(limits: Thresholds, metric: str, task: str, wanted: Threshold) -> None:
    assert limits.of(row(metric, task), metric) == wanted


def test_a_view_may_have_a_table_of_its_own() -> None:
    limits = Thresholds(
        {("", "metric", "pfid@a=1"): Threshold(absolute=5), ("", "metric", "pfid"): Threshold(absolute=1)}
    )
    assert limits.of(row("pfid"), "pfid@a=1").absolute == 5
    assert limits.of(row("pfid"), "pfid@a=0.5").absolute == 1


def test_what_is_allowed() -> None:
    assert Threshold().allowed(30.0, "dB") == 0.1
    assert Threshold().allowed(-2.0, "") == pytest.approx(0.02)
    assert Threshold(absolute=0.5, relative=0.1).allowed(2.0, "") == 0.5
    assert Threshold(absolute=0.5, relative=0.1).allowed(20.0, "") == 2.0
    assert Threshold(relative=0.1).allowed(math.inf, "dB") == 0.0
    assert Threshold(absolute=0.0).allowed(30.0, "dB") == 0.0


def test_which_way_is_worse() -> None:
    assert Threshold().worse_by(-1.0, higher_is_better=True) == 1.0
    assert Threshold().worse_by(-1.0, higher_is_better=False) == -1.0
    assert math.isnan(Threshold().worse_by(-1.0, higher_is_better=None))
    assert [Threshold(worse=each).worse_by(-1.0, None) for each in ("higher", "lower", "either")] == [
        -1,
        1,
        1,
    ]


def test_scale_bins_are_parts_of_names() -> None:
    names = ("t_acc_small", "t_ned_large_512", "object_agreement_medium", "psnr", "smallest")
    assert [scale_bin(name) for name in names] == ["small", "large", "medium", "", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[metric", "are no TOML"),
        ("[metrics.psnr]\nabsolute = 1", "unknown key `metrics`; did you mean `metric`?"),
        ("[metric.psnr]\nabsolut = 1", "unknown key `absolut`; did you mean `absolute`?"),
        ("[metric.psnr]\nabsolute = -1", r"metric\.psnr\.absolute must be a number from 0 on, got -1"),
        ("[metric.psnr]\nrelative = true", "must be a number from 0 on, got True"),
        ("[metric.psnr]\nrelative = nan", "must be a number from 0 on, got nan"),
        ("[metric.psnr]\nworse = 'up'", "worse must be one of higher, lower, either, got 'up'"),
        ("[metric.psnr]\ncheck = 1", "check must be true or false, got 1"),
        ("[metric]\npsnr = 0.1", r"metric\.psnr must be a table, got 0\.1"),
        ("[bin.smal]\nabsolute = 1", "unknown scale bin `smal`; did you mean `small`?"),
        ("[task.detail]\nabsolute = 1", "unknown key `absolute`"),
        (
            "[task.detail.metric.gmsd]\nabsolute = 'x'",
            r"task\.detail\.metric\.gmsd\.absolute must be a number",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_thresholds(file)
    assert caught.value.exit_code == 2
    assert "gate.toml" in str(caught.value) or caught.value.hint == "docs/gate.md shows every key"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        read_thresholds(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        (("", "metric", "psnrr"), UnknownNameError, "unknown metric `psnrr`; did you mean `psnr`?"),
        (("reconstructoin", "default", ""), UnknownNameError, "unknown task `reconstructoin`; did you mean"),
        (("", "metric", "encode_ips"), UsageError, "`encode_ips` is a timing"),
    ],
)
def test_names_that_nothing_bears(
    tmp_path: Path, key: tuple[str, str, str], kind: type[TokbenchError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        Thresholds({key: Threshold()}).check_names(["psnr"], ["reconstruction"], ["encode_ips"], tmp_path)
