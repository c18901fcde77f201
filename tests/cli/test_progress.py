"""Progress as lines in a log: no guess is made before anything is known."""

from __future__ import annotations

import pytest

from tokbench.cli import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_time_left_is_named_once_there_is_a_rate(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.progress(quiet=False) as (start, step):
        start(10, 100)
        clock[0] = 20.0
        step(0)  # actors are starting
        clock[0] = 40.0
        step(20)
        clock[0] = 60.0
        step(-20)  # one was lost with all that was done
    assert capsys.readouterr().err.splitlines() == [
        "evaluating 100 reconstructions, 10 already done",
        "10/100 images, 0.0 images/s",
        "30/100 images, 0.5 images/s, 140 s left",
        "10/100 images, 0.0 images/s",
    ]
