"""Plain columns: what fits stays on one line, what does not is folded, and only a terminal gets styles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.cli.columns import print_columns

if TYPE_CHECKING:
    import pytest

ROWS = [
    ("short", "one two three", "a place"),
    ("a-rather-long-name", "word " * 30, "folder/" + "x" * 40),
    ("c", "", ""),
]


def test_columns_are_aligned_and_folded(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns("things", ("name", "what", "from"), ROWS)
    title, header, first, *rest, last = capsys.readouterr().out.splitlines()
    assert title == "things"
    assert header.split() == ["name", "what", "from"]
    what, place = header.index("what"), header.index("from")
    assert what == len("a-rather-long-name") + 2
    assert (first[:what].strip(), first[what:place].strip(), first[place:]) == ROWS[0]
    assert " ".join(" ".join(line[what:place].split()) for line in rest).split() == ["word"] * 30
    assert "".join(line[place:] for line in rest) == ROWS[1][2]
    assert last == "c"
    assert max(map(len, rest)) <= 100
    assert "\x1b" not in title


def test_a_terminal_gets_styles_unless_it_says_no(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_columns("things", ("name", "what", "from"), ROWS)
    styled = capsys.readouterr().out
    assert styled.startswith("\x1b[1mthings\x1b[0m\n")
    assert "\x1b[2ma place\x1b[0m" in styled
    monkeypatch.setenv("NO_COLOR", "1")
    print_columns("things", ("name", "what", "from"), ROWS)
    assert "\x1b" not in capsys.readouterr().out
