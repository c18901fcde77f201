"""A profile as trace events, as a breakdown, as a page, and as a table in the terminal."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.engine.timeline import Span, Timeline
from tokbench.engine.trace import PROFILE, trace, write_trace
from tokbench.errors import IntegrityError
from tokbench.report.stages import breakdown, read_breakdown
from tokbench.report.timeline import PAGE, document, summary, timeline, write_timeline
from tokbench.results.store import Store

if TYPE_CHECKING:
    from pathlib import Path

HERE = os.getpid()


def _span(name: str, start: float, end: float, lane: str = "MainThread", **more: Any) -> Span:
    fields = {"process": HERE, "thread": hash(lane), **more}
    return Span(name, 100 + start, 100 + end, lane=lane, **fields)


@pytest.fixture
def spans(hostile: str) -> list[Span]:
    """Two lanes and a worker over ten seconds; in the order in which they end."""
    return [
        _span("start", 0, 2),
        _span("network/x", 2.5, 3.5, "lane_0", images=8),
        _span("tokenizer/a", 2, 4, "lane_0", images=8, inside=1.0),
        _span(f"metric/{hostile}", 4, 5, "lane_0", images=8),
        _span("network/x", 3, 6, "work", process=7, images=16),
        _span("wait/lanes", 2, 8),
        _span("finish", 8, 9),
    ]


def _trace(spans: list[Span]) -> dict[str, Any]:
    return trace(spans, 100.0, 110.0)


def test_trace_events_are_valid(spans: list[Span], tmp_path: Path, hostile: str) -> None:
    clock = Timeline()
    clock.start = 100.0
    clock.extend(spans)
    write_trace(Store(tmp_path), clock)
    found = json.loads((tmp_path / PROFILE).read_text())
    assert found["traceEvents"] == _trace(spans)["traceEvents"]
    complete = [event for event in found["traceEvents"] if event["ph"] == "X"]
    assert {event["name"] for event in complete} >= {"network/x", f"metric/{hostile}"}
    assert len(complete) == len(spans)
    for event in complete:
        assert {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"} == event.keys()
        assert event["ts"] >= 0
        assert event["dur"] >= 0
    outer = next(event for event in complete if event["name"] == "tokenizer/a")
    assert (outer["ts"], outer["dur"], outer["args"]) == (2e6, 2e6, {"own_us": 1e6, "images": 8})
    # Every thread and process that has events has a name, and the viewers' identifiers are small.
    named = {
        (e["pid"], e["tid"]): e["args"]["name"] for e in found["traceEvents"] if e["name"] == "thread_name"
    }
    assert {(event["pid"], event["tid"]) for event in complete} == set(named)
    assert named == {(HERE, 0): "main", (HERE, 1): "lane_0", (7, 2): "work"}
    processes = {e["pid"]: e["args"]["name"] for e in found["traceEvents"] if e["name"] == "process_name"}
    assert processes == {HERE: "tokbench", 7: "worker 7"}


def test_threads_that_take_turns_share_a_lane() -> None:
    spans = [
        _span("read", 0, 1, "Pool-1_0"),
        _span("read", 1, 2, "Pool-2_0"),
        _span("read", 1.5, 2, "Pool-3_0"),
        _span("read", 3, 4, "other"),
    ]
    found = breakdown(_trace(spans))
    assert [(lane.name, len(lane.blocks)) for lane in found.lanes] == [
        ("Pool-1_0", 2),
        ("Pool-3_0", 1),
        ("other", 1),
    ]


def test_time_adds_up(spans: list[Span], hostile: str) -> None:
    found = breakdown(_trace(spans))
    assert [(stage.name, stage.calls, stage.images, stage.seconds) for stage in found.stages] == [
        ("network/x", 2, 24, 4.0),
        ("start", 1, 0, 2.0),
        ("finish", 1, 0, 1.0),
        (f"metric/{hostile}", 1, 8, 1.0),
        ("tokenizer/a", 1, 8, 1.0),
    ]
    assert [(lane.busy, lane.waited) for lane in found.lanes] == [(3.0, 6.0), (3.0, 0.0), (3.0, 0.0)]
    assert found.busy == sum(stage.seconds for stage in found.stages)
    assert (found.wall, found.first) == (10.0, 4.0)
    assert [block.depth for block in found.lanes[1].blocks] == [0, 1, 0]
    assert summary(found) == "10.00 s, 0.90 threads busy on average, first batch reconstructed after 4.00 s"


def test_blocks_that_touch_do_not_nest() -> None:
    # 0.1 + 0.2 is more than 0.3 in binary.
    found = breakdown(_trace([_span("a", 0.1, 0.1 + 0.2), _span("b", 0.3, 0.4)]))
    assert [block.depth for block in found.lanes[0].blocks] == [0, 0]


def test_nothing_computed_is_no_error() -> None:
    found = breakdown(_trace([]))
    assert (found.stages, found.lanes, found.first) == ((), (), None)
    assert "</html>" in timeline(found, "nothing")


@pytest.mark.parametrize("text", [None, "{", '{"traceEvents": 3}', '{"traceEvents": [{"ph": "X"}]}'])
def test_damage_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / PROFILE).write_text(text)
    with pytest.raises(IntegrityError, match=PROFILE if text is not None else "no profile"):
        read_breakdown(tmp_path)


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.open: list[str] = []
        self.buttons: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") or name in {"src", "srcset"} for name, _ in attrs)
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["button"] and "td" not in self.open and "th" in self.open:
            self.buttons.append(data)


def test_page_parses_and_hostile_names_stay_text(
    spans: list[Span], tmp_path: Path, hostile: str, embedded: Any
) -> None:
    folder = tmp_path / "a run"
    Store(folder).write_bytes(PROFILE, json.dumps(_trace(spans)).encode())
    found = write_timeline(folder)
    text = (folder / PAGE).read_text()
    page = _Texts()
    page.feed(text)
    assert page.open == []
    assert not {"img", "link", "iframe"} & set(page.tags)
    assert page.tags.count("script") == 2
    assert page.buttons == [stage.name for stage in found.stages]
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    data = embedded(text)
    assert data["names"][: len(found.stages)] == [stage.name for stage in found.stages]
    assert data == json.loads(json.dumps(document(found)))
    # name, start and length in microseconds, depth, images
    place = data["names"].index("network/x")
    assert data["lanes"][1]["blocks"][5:10] == [place, 2_500_000, 1_000_000, 1, 8]


def test_a_long_run_draws_its_longest_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokbench.report.timeline.DRAWN", 3)
    spans = [_span("a", number, number + (0.1 if number % 2 else 0.2)) for number in range(6)]
    found = document(breakdown(_trace(spans)))
    assert found["left_out"] == 3
    assert found["lanes"][0]["blocks"][1::5] == [0, 2_000_000, 4_000_000]


def test_the_terminal_shows_stages_and_threads(
    spans: list[Span], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tokbench.cli.profile import show_profile

    Store(tmp_path).write_bytes(PROFILE, json.dumps(_trace(spans)).encode())
    show_profile(tmp_path)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line.rstrip() for line in captured.err.splitlines()]
    row = next(line for line in lines if line.startswith("network/x"))
    assert row.split() == ["network/x", "2", "24", "4.000", "166.67", "44.4", "%"]
    assert next(line for line in lines if line.startswith("start ")).split()[-3:] == ["–", "22.2", "%"]
    main = next(line for line in lines if line.startswith("main · tokbench"))
    assert main.split()[-6:] == ["30.0", "%", "60.0", "%", "10.0", "%"]
    assert "\x1b" not in captured.err
    assert all(len(line) <= 100 for line in lines if str(tmp_path) not in line)
    assert (tmp_path / PAGE).is_file()
