"""F-Sim: bins to the edge, negative cosines, states, what is left out and why."""

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokbench.metrics.face import BINS, BINS_A77070C, EVERYWHERE, BinnedMean
from tokbench.metrics.face_rows import FaceRows, collector, identity_hash
from tokbench.tasks.face import FACE, FACE_512, FACE_1024, FACE_TOKBENCH2025

TASKS = (FACE, FACE_512, FACE_1024, FACE_TOKBENCH2025)

# Small, medium, large of the newest release (855802d) and of the first (a77070c), as protocols state them.
EDGES = {
    256: (0.1, 0.2, 0.3),
    512: (0.05, 0.1, 0.2),
    1024: (0.02, 0.05, 0.1),
}
FIRST_RELEASE = {256: (0.0, 0.1, 0.2), 512: (0.0, 0.05, 0.2), 1024: (0.0, 0.05, 0.1)}


@pytest.mark.parametrize(("bins", "edges"), [(BINS, EDGES), (BINS_A77070C, FIRST_RELEASE)])
@pytest.mark.parametrize("setting", [256, 512, 1024])
def test_bins_are_half_open(rows, bins, edges, setting):
    small, medium, large = edges[setting]
    ratio = [small - 1e-12, small, medium - 1e-12, medium, large - 1e-12, large, 1 - 1e-12, 1.0]
    # Powers of two, so that a mean tells exactly which faces took part.
    cosine = [2.0**-k for k in range(1, 9)]
    state = rows([(i, 0) for i in range(8)], cosine, ratio)
    exact = state.cosine
    wanted = [exact[1:3].mean(), exact[3:5].mean(), exact[5:7].mean()]
    for one, value in zip(bins[setting], wanted, strict=True):
        assert BinnedMean((one,))([state]).value == pytest.approx(value, abs=1e-15)
    assert BinnedMean(bins[setting])([state]).value == pytest.approx(np.mean(wanted), abs=1e-15)


def test_the_mean_of_bins_is_not_the_mean_of_faces(rows):
    state = rows([(i, 0) for i in range(5)], [0.0, 0.5, 1.0, 1.0, 1.0], [0.15, 0.25, 0.4, 0.4, 0.4])
    # 1e-7: cosines pass through float32 embeddings.
    assert BinnedMean(BINS[256])([state]).value == pytest.approx(0.5, abs=1e-7)
    assert BinnedMean(EVERYWHERE)([state]).value == pytest.approx(0.7, abs=1e-7)


def test_negative_cosines_stay(rows):
    state = rows([(0, 0), (1, 0)], original=[[1, 2], [3, 0]], reconstruction=[[-2, -4], [-1, 0]])
    assert state.cosine.tolist() == [-1, -1]
    assert BinnedMean(EVERYWHERE)([state]).value == -1


def test_equal_embeddings_score_exactly_one(rows):
    embeddings = np.random.default_rng(0).normal(0, 7, (50, 33))
    state = rows([(i, 0) for i in range(50)], original=embeddings, reconstruction=embeddings)
    found = BinnedMean(EVERYWHERE)([state])
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_the_interval_is_the_jackknife_over_images(rows):
    random = np.random.default_rng(1)
    where = [(i, j) for i in range(30) for j in range(2)]
    cosine, ratio = random.uniform(-0.2, 1, 60), random.uniform(0.1, 0.6, 60)
    state = rows(where, cosine, ratio)
    found = BinnedMean(BINS[256])([state])
    kept = [np.array([i % 20 != group for i, _ in where]) for group in range(20)]
    wanted = [
        np.mean([state.cosine[k & (ratio >= low) & (ratio < high)].mean() for low, high in BINS[256]])
        for k in kept
    ]
    assert found.replicates == pytest.approx(wanted, abs=1e-12)
    assert found.low < found.value < found.high
    assert found.method == "jackknife-20"


def test_an_empty_bin_is_blank_and_says_which(rows):
    state = rows([(0, 0), (1, 0)], [0.5, 0.5], [0.25, 0.5], skipped=[(0, 1), (3, 0)])
    found = BinnedMean(BINS[256])([state])
    assert math.isnan(found.value)
    assert found.reason == "no face of ratio [0.1, 0.2); 2 faces without five points left out"
    assert not found.reliable
    assert BinnedMean(EVERYWHERE)([state]).reason == "2 faces without five points left out"
    nobody = BinnedMean(EVERYWHERE)([FaceRows.empty(), rows([], skipped=[(4, 0)])])
    assert nobody.reason == "no face with five points; 1 face without five points left out"
    assert BinnedMean(EVERYWHERE)([]).reason == "no face with five points"


def test_shards_and_their_order_change_nothing(rows):
    random = np.random.default_rng(2)
    where = [(i, j) for i in range(23) for j in range(i % 3)]
    cosine, ratio = random.uniform(-1, 1, len(where)), random.uniform(0.1, 0.9, len(where))

    def part(picked):
        return rows([where[i] for i in picked], cosine[picked], ratio[picked])

    whole = BinnedMean(BINS[256])([part(np.arange(len(where)))])
    shards = np.array_split(random.permutation(len(where)), 4)
    assert BinnedMean(EVERYWHERE)([part(s) for s in shards]) == BinnedMean(EVERYWHERE)(
        [part(s) for s in reversed(shards)]
    )
    assert BinnedMean(BINS[256])([part(s) for s in shards]) == whole


def state_of(faces):
    """A state that is a function of its faces, so that overlapping states agree; every fourth has no points."""
    seen = np.array(sorted(f for f in faces if f % 4), np.int64)
    skipped = np.array(sorted(f for f in faces if f % 4 == 0), np.int64)
    embedding = np.stack([np.sin(seen), seen, seen**2], 1).astype(np.float32)
    return FaceRows.from_arrays(
        {
            "where": np.stack([seen // 3, seen % 3], 1),
            "ratio": seen / 100,
            "identity": (seen % 5).astype(np.uint64),
            "original": embedding,
            "reconstruction": embedding + 1,
            "skipped": np.stack([skipped // 3, skipped % 3], 1),
        }
    )


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.arrays().values(), b.arrays().values(), strict=True))


states = st.sets(st.integers(0, 60)).map(state_of) | st.sets(st.just(8) | st.just(12)).map(state_of)


@settings(max_examples=60, deadline=None)
@given(states, states, states)
def test_states_are_a_commutative_monoid(a, b, c):
    assert same(a + b, b + a)
    assert same((a + b) + c, a + (b + c))
    assert same(a + FaceRows.empty(), a)
    assert same(a + a, a)
    assert same(FaceRows.from_arrays(a.arrays()), a)


def test_states_that_contradict_are_refused(rows):
    a = rows([(0, 0)], [0.5])
    with pytest.raises(ValueError, match="two different rows for one face"):
        a + rows([(0, 0)], [0.6])
    with pytest.raises(ValueError, match=r"widths \[2, 3\]"):
        a + rows([(1, 0)], original=[[1, 2, 3]], reconstruction=[[1, 2, 3]])
    arrays = a.arrays()
    with pytest.raises(ValueError, match="do not fit together"):
        FaceRows.from_arrays(arrays | {"ratio": np.zeros(2)})
    del arrays["skipped"]
    with pytest.raises(ValueError, match="face rows need"):
        FaceRows.from_arrays(arrays)


class Encoder:
    """Says of a face what colour the pixel at its nose has, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def embed(self, images, points):
        self.asked.append(points)
        found = [
            image[:, int(face[2][1]), int(face[2][0])]
            for image, faces in zip(images, points, strict=True)
            for face in faces
        ]
        return torch.stack(found).numpy().astype(np.float32)


def face(x, y, size=10, **more):
    points = [[x - 2, y - 2], [x + 2, y - 2], [x, y], [x - 2, y + 2], [x + 2, y + 2]]
    return {"box": [x - size / 2, y - size, x + size / 2, y + size], "points": points, **more}


def test_the_collector_reads_the_truth_and_detects_nothing():
    from types import SimpleNamespace

    encoder, found = Encoder(), {}
    original = torch.randint(1, 256, (3, 3, 40, 50), generator=torch.Generator().manual_seed(0)).byte()
    batch = SimpleNamespace(
        index=np.array([7, 2, 5]),
        original=original,
        reconstruction=255 - original,
        truth=[
            {"faces": [face(10, 12, identity="a"), {"box": [0, 0, 4, 4]}, face(30, 20, size=5)]},
            {},
            {"faces": [face(20, 20, identity="b")]},
        ],
        evaluator={"net": encoder}.__getitem__,
        once=lambda key, compute: found.setdefault(key, compute()),
    )
    state = collector("net").of(batch)
    assert state.where.tolist() == [[5, 0], [7, 0], [7, 2]]
    assert state.skipped.tolist() == [[7, 1]]
    assert state.ratio.tolist() == [20 / 50, 20 / 50, 10 / 50]
    assert state.identity.tolist() == [identity_hash("b"), identity_hash("a"), 0]
    assert state.original[1].tolist() == original[0, :, 12, 10].tolist()
    assert state.reconstruction[0].tolist() == (255 - original[2, :, 20, 20]).tolist()
    assert encoder.asked[0] == encoder.asked[1]
    assert list(found) == ["net/faces"]
    batch.truth = [{}, {"faces": [{"box": [0, 0, 4, 4]}]}, {}]
    nobody = collector("net").of(batch)
    assert len(encoder.asked) == 2
    assert (nobody + state).skipped.tolist() == [[2, 0], [7, 1]]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_tasks_cross_to_workers_and_name_their_metrics(task):
    assert pickle.loads(pickle.dumps(task)) == task
    for metric in task.metrics:
        assert len(metric.title) <= 8
        assert metric.definition.endswith(".")
        assert metric.higher_is_better


def test_one_name_is_one_definition():
    """Tasks may share a pass, where measurements are told apart by name alone."""
    every = {}
    for metric in (metric for task in TASKS for metric in task.metrics):
        assert every.setdefault(metric.name, metric) == metric
    assert len({metric.title for metric in every.values()}) == len(every)


def test_declarations_import_nothing_heavy():
    code = (
        "import sys, tokbench.tasks.face, tokbench.networks.face, tokbench.networks.arcface\n"
        "print(*({'torch', 'numpy', 'scipy', 'pandas', 'cv2', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
