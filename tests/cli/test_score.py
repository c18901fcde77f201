"""`tokbench score words`: JSON, table, and errors that name line and column."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tokbench.cli.app import app
from tokbench.errors import DataError, UsageError

PUBLISHED = Path(__file__).parents[1] / "data" / "tokbench_text"
GOOD = "truth,predicted,ratio\nTotal,Total,0.025\n"


def score(*words: str | Path) -> tuple[str, str]:
    done = CliRunner().invoke(app, ["score", "words", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.stderr
    return done.stdout, done.stderr


def test_json_of_all_published_words(tmp_path: Path) -> None:
    lines = [(PUBLISHED / f"{name}.csv").read_text(encoding="utf-8").splitlines() for name in ("tt", "sroie")]
    file = tmp_path / "all.csv"
    file.write_text("\n".join([*lines[0], *lines[1][1:]]) + "\n", encoding="utf-8")
    start = time.perf_counter()
    got = json.loads(score(file, "--setting", "256", "--json")[0])
    # Promised "in seconds": it needs half a second on an idle core.
    assert time.perf_counter() - start < 10
    wanted = json.loads((PUBLISHED / "expected_256.json").read_text())
    assert set(got) == {"setting", "words", "bins", "mean", "dropped"}
    assert len(got["words"]) == 7426
    assert set(got["words"][0]) == {"truth", "predicted", "ratio", "t_acc", "t_ned", "bin"}
    assert set(got["bins"]["small"]) == {"n", "t_acc", "t_acc_ci", "t_ned", "t_ned_ci"}
    assert [part["n"] for part in got["bins"].values()] == wanted["words_per_bin"]
    # The sum of a few hundred doubles in another order.
    assert got["mean"]["t_ned"] == pytest.approx(wanted["t_ned_mean"], abs=1e-12)
    assert sum(word["bin"] is None for word in got["words"]) == got["dropped"] == 7426 - 689


def test_a_table_for_people(tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text(GOOD + "abcd,abc,0.035\nx,,0.5\nx,x,2\n")
    out, err = score(file, "--setting", "256")
    assert [line.split() for line in out.splitlines()] == [
        ["bin", "words", "T-ACC", "T-NED"],
        ["small", "1", "1.0000", "1.0000"],
        ["medium", "1", "0.0000", "0.7500"],
        ["large", "1", "0.0000", "0.0000"],
        ["mean", "3", "0.3333", "0.5833"],
    ]
    assert err == "1 words lie outside the bins of setting 256\n"


def test_empty_bins_are_null(tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text(GOOD)
    got = json.loads(score(file, "--setting", "256", "--json")[0])
    assert got["bins"]["large"] == {"n": 0, "t_acc": None, "t_acc_ci": [None, None]} | {
        "t_ned": None,
        "t_ned_ci": [None, None],
    }
    assert got["mean"]["t_acc"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("truth,ratio\na,1\n", "line 1: no column `predicted`"),
        ("", "line 1: no column `truth`"),
        ("truth,predicted,ratio\n", "has no line of words"),
        (GOOD + ",a,0.1\n", "line 3: column `truth` is empty"),
        (GOOD + "a,b,large\n", "line 3: column `ratio` must be a number from 0 on, got `large`"),
        (GOOD + "a,b,-0.1\n", "line 3: column `ratio`"),
        (GOOD + "a,b,nan\n", "line 3: column `ratio`"),
        (GOOD + "a,b\n", "line 3: column `ratio` is missing"),
        (GOOD + "a,b,c,0.1\n", "line 3: more fields than columns"),
        (GOOD + '"a,b,0.1\n', "is not a CSV file"),
    ],
)
def test_errors_name_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "words.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        score(file, "--setting", "256")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        score(tmp_path / "none.csv", "--setting", "256")
    (tmp_path / "latin1.csv").write_bytes("truth,predicted,ratio\né,é,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="not a CSV file in UTF-8"):
        score(tmp_path / "latin1.csv", "--setting", "256")


def test_an_unknown_setting(tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text(GOOD)
    with pytest.raises(UsageError, match="setting 300 is not known") as caught:
        score(file, "--setting", "300")
    assert caught.value.hint == "settings are 256, 512, 1024"
