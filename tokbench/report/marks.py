"""Words and faces to draw on an image: where they are, and what became of them in each reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.engine.plan import shard_size
from tokbench.errors import DataError, IntegrityError
from tokbench.metrics.annotations import words_of
from tokbench.metrics.base import SetMetric
from tokbench.metrics.face_rows import FaceRows
from tokbench.metrics.words import WordRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from tokbench.engine.again import Seen
    from tokbench.metrics.base import Collector
    from tokbench.report.data import Assembly, Source


def marks_of(assembly: Assembly, sources: Sequence[Source], seen: Seen, place: int) -> list[dict[str, Any]]:
    """Return the marks of an image.

    Args:
        assembly: the report; tells which collectors its tasks have.
        sources: the jobs that measured the image.
        seen: the image.
        place: its plan position.

    Returns:
        For each word and face: ``kind``, ``text`` ("" for faces), ``box`` in pixels, ``before``, what became of it in
        the original, and ``of``, in each tokenizer's reconstruction: ``[right or not, similarity]``. Words that no task
        read are left out.
    """
    try:
        words = words_of(seen.truth, place)
    except DataError:
        words = []  # an unusable annotation was never scored
    marks: list[dict[str, Any]] = [
        {"kind": "word", "text": word.text, "box": list(word.box), "before": None, "of": {}} for word in words
    ]
    faces = seen.truth.get("faces", ())
    marks += [
        {"kind": "face", "text": "", "box": [float(side) for side in face["box"]], "before": None, "of": {}}
        for face in faces
    ]
    for source in sources:
        shard = place // shard_size(int(source.job["images"]))
        for collector in _collectors(assembly, source):
            arrays = _state(source, collector, shard)
            if arrays is None:
                continue
            if issubclass(collector.kind, WordRows):
                _add_words(marks[: len(words)], source, arrays, place)
            else:
                _add_faces(marks[len(words) :], source, arrays, place)
    return [mark for mark in marks if mark["kind"] == "face" or mark["of"]]


def scores_of(assembly: Assembly, source: Source) -> dict[str, npt.NDArray[np.float64]]:
    """Return per-image scores of words and faces, which tasks give for whole sets only.

    Returns:
        ``words read``, the share of an image's words read exactly, and ``face similarity``, the mean over its faces:
        float64 ``[images]``, NaN for images without any; only what was measured.
    """
    import numpy as np

    images = int(source.job["images"])
    found: dict[str, npt.NDArray[np.float64]] = {}
    for collector in _collectors(assembly, source):
        total, count = np.zeros(images), np.zeros(images)
        for shard in range(int(source.job["shards"])):
            state = _state(source, collector, shard)
            if state is None:
                continue
            words = issubclass(collector.kind, WordRows)
            index = state["index"] if words else state.where[:, 0]
            inside = (index >= 0) & (index < images)
            np.add.at(total, index[inside], (state["correct"] if words else state.cosine)[inside])
            np.add.at(count, index[inside], 1)
        if count.any():
            name = "words read" if issubclass(collector.kind, WordRows) else "face similarity"
            found[name] = np.divide(total, count, out=np.full(images, np.nan), where=count > 0)
    return found


def _collectors(assembly: Assembly, source: Source) -> list[Collector]:
    """Return the first collector of words and the first of faces among the tasks of a job."""
    found: dict[type, Collector] = {}
    for name in source.job["tasks"]:
        task = assembly.tasks.get(str(name))
        for metric in task.metrics if task else ():
            if isinstance(metric, SetMetric) and issubclass(metric.collector.kind, WordRows | FaceRows):
                found.setdefault(metric.collector.kind, metric.collector)
    return list(found.values())


def _state(source: Source, collector: Collector, shard: int) -> Any:
    """Return the state of a shard; None when words or faces were not measured."""
    from tokbench.results.store import Store

    try:
        arrays = Store(source.results.folder).read_states(source.job["id"], shard, collector.name)
        return collector.kind.from_arrays(arrays) if arrays else None
    except (IntegrityError, ValueError, KeyError):
        return None


def _add_words(marks: Sequence[dict[str, Any]], source: Source, rows: Any, place: int) -> None:
    here = rows.where(rows["index"] == place)
    for at, number in enumerate(here["word"].tolist()):
        if 0 <= number < len(marks):
            marks[number]["of"][source.tokenizer] = [
                int(here["correct"][at]),
                round(float(here["similarity"][at]), 3),
            ]
            before = [float(here["original_correct"][at]), float(here["original_similarity"][at])]
            if before[0] == before[0]:  # known
                marks[number]["before"] = [int(before[0]), round(before[1], 3)]


def _add_faces(marks: Sequence[dict[str, Any]], source: Source, rows: Any, place: int) -> None:
    cosine = rows.cosine
    for at, (index, number) in enumerate(rows.where.tolist()):
        if index == place and 0 <= number < len(marks):
            marks[number]["of"][source.tokenizer] = [1, round(float(cosine[at]), 4)]
