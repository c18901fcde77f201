"""Spans nest, add up, come from any thread, and travel between processes."""

from __future__ import annotations

import json
import pickle
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tokbench import evaluate
from tokbench.engine.timeline import NO_TIMELINE, Timeline
from tokbench.engine.trace import PROFILE

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench import Results


def test_nested_spans_add_up() -> None:
    timeline = Timeline()
    with timeline.span("tokenizer/a", 4):
        with timeline.span("network/x"):
            time.sleep(0.002)
        with timeline.span("network/y"), timeline.span("cache"):
            time.sleep(0.001)
    spans = {span.name: span for span in timeline.spans}
    assert [span.name for span in timeline.spans] == ["network/x", "cache", "network/y", "tokenizer/a"]
    outer = spans["tokenizer/a"]
    assert outer.images == 4
    assert outer.inside == pytest.approx(spans["network/x"].seconds + spans["network/y"].seconds)
    assert spans["network/y"].inside == spans["cache"].seconds
    # Self times partition the outer span.
    assert sum(span.own for span in timeline.spans) == pytest.approx(outer.seconds)
    assert timeline.start <= outer.start <= spans["network/x"].start < outer.end


def test_an_error_ends_a_span() -> None:
    timeline = Timeline()
    with pytest.raises(ValueError, match="bad"), timeline.span("read"):
        raise ValueError("bad")
    with timeline.span("write"):
        pass
    assert [(span.name, span.inside) for span in timeline.spans] == [("read", 0.0), ("write", 0.0)]


def test_threads_do_not_mix() -> None:
    timeline = Timeline()
    gate = threading.Barrier(3)

    def work(name: str) -> None:
        gate.wait(5)
        for _ in range(200):
            with timeline.span("outer"), timeline.span(name):
                pass

    threads = [threading.Thread(target=work, args=(name,), name=name) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    gate.wait(5)
    with timeline.span("main"):
        for thread in threads:
            thread.join()
    assert len(timeline.spans) == 801
    assert all(span.lane == span.name for span in timeline.spans if span.name in {"a", "b"})
    for name in ("a", "b"):
        mine = [span for span in timeline.spans if span.lane == name]
        inner = sum(span.seconds for span in mine if span.name == name)
        assert sum(span.inside for span in mine) == pytest.approx(inner)
    assert timeline.spans[-1].inside == 0


def test_spans_travel() -> None:
    here, there = Timeline(), Timeline()
    with there.span("read", 2):
        pass
    sent = pickle.loads(pickle.dumps(there.take()))
    assert there.spans == []
    here.extend(sent)
    assert here.spans[0].name == "read"
    assert here.spans[0].images == 2


def test_no_timeline_costs_next_to_nothing() -> None:
    assert NO_TIMELINE.span("read") is NO_TIMELINE.span("write", 3)
    start = time.process_time()
    for _ in range(10_000):
        with NO_TIMELINE.span("read"):
            pass
    # 0.15 µs each where this was written; a batch takes milliseconds.
    assert time.process_time() - start < 0.05


def test_a_profile_changes_no_result_and_covers_what_was_computed(images: Path, tmp_path: Path) -> None:
    def run(folder: str, profile: bool) -> Results:
        return evaluate(
            "jpeg-q50",
            images,
            "rate-distortion",
            out=tmp_path / folder,
            protocol="adm-64",
            limit=4,
            profile=profile,
        )

    def names() -> set[str]:
        events = json.loads((tmp_path / "with" / PROFILE).read_text())["traceEvents"]
        return {event["name"] for event in events if event["ph"] == "X"}

    plain, profiled = run("without", False), run("with", True)
    assert not (tmp_path / "without" / PROFILE).exists()
    assert names() >= {"start/imports", "start/plan", "tokenizer/jpeg-q50", "metric/psnr", "write", "finish"}
    assert profiled.manifest["key"] == plain.manifest["key"]
    assert repr(profiled.rows) == repr(plain.rows)
    # Everything is there already, so this profile has a beginning and an end only.
    assert repr(run("with", True).rows) == repr(plain.rows)
    assert names() == {"start/imports", "start/plan", "start/folder", "finish"}
