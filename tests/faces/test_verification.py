"""Verification against counting by hand, on people who are easy and impossible to tell apart."""

import itertools
import math

import numpy as np
import pytest

from tokbench.metrics.face_rows import FaceRows
from tokbench.metrics.verification import verification


def people(rows, count, pictures, noise, seed=0, width=32, start=1):
    """States of `count` people with so many pictures each; embeddings scatter around a person's own direction."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 1, (count, width))
    identity = np.repeat(np.arange(start, start + count), pictures)
    original = np.repeat(centres, pictures, 0) + noise * random.normal(size=(count * pictures, width))
    reconstruction = original + noise * random.normal(size=original.shape)
    where = [(i, 0) for i in range(len(identity))]
    return rows(where, identity=identity, original=original, reconstruction=reconstruction)


def by_hand(state):
    """The definition, pair by pair, threshold by threshold."""
    unit = [
        x / np.linalg.norm(x, axis=1, keepdims=True)
        for x in (state.original.astype(float), state.reconstruction.astype(float))
    ]
    known = sorted(set(state.identity.tolist()))
    pairs = {0: [], 1: []}
    for i, j in itertools.product(range(len(state.where)), repeat=2):
        if state.where[i, 0] != state.where[j, 0]:
            fold = known.index(state.identity[i]) % 2
            pairs[fold].append((float(unit[1][i] @ unit[0][j]), bool(state.identity[i] == state.identity[j])))

    def accuracy(fold, threshold):
        hits = np.mean([score >= threshold for score, same in pairs[fold] if same])
        rejections = np.mean([score < threshold for score, same in pairs[fold] if not same])
        return (hits + rejections) / 2

    def best(fold):
        scores = sorted({score for score, _ in pairs[fold]}, reverse=True)
        cuts = [(a + b) / 2 for a, b in itertools.pairwise(scores)]
        return max(cuts, key=lambda cut: accuracy(fold, cut))

    return (accuracy(0, best(1)) + accuracy(1, best(0))) / 2


@pytest.mark.parametrize(("noise", "low", "high"), [(0.05, 1.0, 1.0), (0.9, 0.7, 0.99), (30.0, 0.35, 0.65)])
def test_it_is_the_definition(rows, noise, low, high):
    state = people(rows, 6, 3, noise)
    found = verification([state])
    assert found.value == pytest.approx(by_hand(state), abs=1e-12)
    assert low <= found.value <= high
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_shards_change_nothing(rows):
    state = people(rows, 6, 3, 0.9)
    parts = [
        FaceRows.from_arrays({name: column[k::4] for name, column in state.arrays().items()})
        for k in range(4)
    ]
    assert verification(parts) == verification([state])


def test_one_picture_is_never_paired_with_itself(rows):
    """Two faces in one picture and a copy in a second one: only pairs across pictures count."""
    a, b = [1.0, 0.0], [0.0, 1.0]
    where = [(0, 0), (0, 1), (1, 0), (1, 1)]
    # Reconstructions are swapped inside a picture, so every pair across pictures is judged wrongly.
    state = rows(where, identity=[1, 2, 1, 2], original=[a, b, a, b], reconstruction=[b, a, b, a])
    assert verification([state]).value == 0.5
    right = rows(where, identity=[1, 2, 1, 2], original=[a, b, a, b], reconstruction=[a, b, a, b])
    assert verification([right]).value == 1


@pytest.mark.parametrize(
    ("identity", "where", "reason"),
    [
        ([1, 1, 2], [(0, 0), (1, 0), (2, 0)], "1 of 2 identities have two pictures, at least 2 must"),
        (
            [1, 1, 2, 2],
            [(0, 0), (0, 1), (1, 0), (2, 0)],
            "1 of 2 identities have two pictures, at least 2 must",
        ),
        ([0, 0, 0], [(0, 0), (1, 0), (2, 0)], "0 of 0 identities have two pictures, at least 2 must"),
    ],
)
def test_too_few_people_are_blank(rows, identity, where, reason):
    state = rows(where, np.full(len(where), 0.5), identity=identity, skipped=[(9, 0)])
    found = verification([state])
    assert math.isnan(found.value)
    assert found.reason == f"{reason}; 1 face without five points left out"
    assert verification([]).reason == "0 of 0 identities have two pictures, at least 2 must"


def test_people_seen_once_are_impostors_only(rows):
    """They are dealt to the folds last, so that both folds keep pairs of one person."""
    state = people(rows, 2, 2, 0.05, start=10)
    others = people(rows, 3, 1, 0.05, seed=1, start=1)
    moved = others.arrays() | {"where": others.where + np.array([4, 0])}
    assert verification([state, FaceRows.from_arrays(moved)]).value == 1


def test_large_sets_are_cut_at_whole_people(rows, monkeypatch):
    monkeypatch.setattr("tokbench.metrics.verification.LARGEST", 41)
    state = people(rows, 30, 2, 0.5, width=8)
    cut = FaceRows.from_arrays({name: column[:40] for name, column in state.arrays().items()})
    assert verification([state]).value == verification([cut]).value
    monkeypatch.setattr("tokbench.metrics.verification.LARGEST", 60)
    assert verification([state]).value != verification([cut]).value
