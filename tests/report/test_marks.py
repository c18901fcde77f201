"""Words and faces on images: boxes of the card with what became of them in a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tokbench.metrics.face_rows import FaceRows, collector
from tokbench.metrics.word_scores import word_metrics
from tokbench.metrics.words import WordRows
from tokbench.report.data import Assembly, Source
from tokbench.report.marks import marks_of, scores_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> tuple[Assembly, Source]:
    """Three images; two words on the second, of which the reconstruction keeps one; a face on the third."""
    import pyarrow as pa

    from tokbench.metrics.base import SetMetric
    from tokbench.results.store import Store

    columns: dict[str, Any] = {name: np.zeros(3) for name in WordRows.SCHEMA}
    columns |= {
        "index": [1, 1, 1],
        "word": [0, 1, 7],
        "correct": [1, 0, 1],
        "similarity": [1, 0.25, 1],
        "original_correct": [1, 1, np.nan],
        "original_similarity": [1, 1, np.nan],
    }
    faces = FaceRows.from_arrays(
        {
            "where": np.array([[2, 0]]),
            "ratio": np.array([0.5]),
            "identity": np.array([0], np.uint64),
            "original": np.array([[1, 0]], np.float32),
            "reconstruction": np.array([[3, 4]], np.float32),
            "skipped": np.zeros((0, 2), np.int64),
        }
    )
    states = {"words-rapidocr": WordRows.of(columns).arrays(), "faces-dlib-face": faces.arrays()}
    Store(tmp_path).write_shard("job", "key", 0, pa.table({"index": [0, 1, 2]}), states)
    face = SetMetric("f", "", "", True, collector("dlib-face"), lambda states: None, "")
    task = SimpleNamespace(metrics=(*word_metrics("rapidocr", 256), face))
    job = {"id": "job", "key": "key", "tasks": ["text"], "images": 3, "shards": 1}
    found = Source(SimpleNamespace(folder=tmp_path), job, tokenizer=4, look=0)
    return Assembly({}, [found], {"text": task}), found


def test_words_are_read_or_misread(source: tuple[Assembly, Source]) -> None:
    truth = {"words": [{"text": "one", "box": [1, 2, 9.7, 6]}, {"text": "two", "box": [10, 2, 20, 6]}]}
    found = marks_of(source[0], [source[1]], SimpleNamespace(truth=truth), 1)
    assert found == [
        {"kind": "word", "text": "one", "box": [1, 2, 9, 6], "before": [1, 1.0], "of": {4: [1, 1.0]}},
        {"kind": "word", "text": "two", "box": [10, 2, 20, 6], "before": [1, 1.0], "of": {4: [0, 0.25]}},
    ]


def test_words_that_no_task_read_are_left_out(source: tuple[Assembly, Source]) -> None:
    truth = {"words": [{"text": "one", "box": [1, 2, 9, 6]}]}
    assert marks_of(source[0], [source[1]], SimpleNamespace(truth=truth), 0) == []
    assert marks_of(Assembly({}), [source[1]], SimpleNamespace(truth=truth), 1) == []


def test_faces_carry_their_similarity(source: tuple[Assembly, Source]) -> None:
    truth = {"faces": [{"box": [1, 2, 30, 40]}]}
    (mark,) = marks_of(source[0], [source[1]], SimpleNamespace(truth=truth), 2)
    assert mark["of"] == {4: [1, 0.6]}  # the cosine of (1, 0) and (3, 4)
    assert mark["box"] == [1, 2, 30, 40]


def test_images_are_scored_by_their_words_and_faces(source: tuple[Assembly, Source]) -> None:
    scores = scores_of(*source)
    assert scores["words read"][1] == pytest.approx(2 / 3)
    assert np.isnan(scores["words read"][[0, 2]]).all()
    assert scores["face similarity"][2] == pytest.approx(0.6)
