"""Proposing faces: which are kept and why not, coordinates of the mirror image, and real faces by the command."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tokbench.cli.app import app
from tokbench.images.card import load_card
from tokbench.images.curate.build import build_set
from tokbench.images.curate.faces import LEAST_PROBABILITY, MOST_APART, propose_faces
from tokbench.images.curate.words import overlap
from tokbench.networks.mtcnn import MTCNN
from tokbench.weights import cache_path

DATASETS = Path(__file__).parents[2] / "datasets"
# The user's cache: found while tests are collected, before each test is given a cache of its own.
FETCHED = [cache_path(file) for file in MTCNN.weights]

HEIGHT, WIDTH = 80, 200
FIVE = ((70.0, 20.0), (90.0, 20.0), (80.0, 30.0), (72.0, 40.0), (88.0, 40.0))
BOX = (60.0, 10.0, 100.0, 50.0)


def mirrored(face):
    """A face of the picture as the detector sees it in the mirror image enlarged by 1.25."""
    probability, (x0, y0, x1, y1), points = face
    box = ((WIDTH - x1) * 1.25, y0 * 1.25, (WIDTH - x0) * 1.25, y1 * 1.25)
    swapped = (points[1], points[0], points[2], points[4], points[3])
    return (
        probability,
        box,
        tuple(((WIDTH - 0.5 - x) * 1.25 - 0.5, (y + 0.5) * 1.25 - 0.5) for x, y in swapped),
    )


class Detector:
    """Finds what it is told, by the height of the image."""

    def __init__(self, upright, mirror):
        self.answers = {HEIGHT: upright, 100: [mirrored(face) for face in mirror]}
        self.asked = []

    def find_faces(self, image, smallest):
        self.asked.append((image, smallest))
        return self.answers[image.shape[0]]


def propose(upright, mirror):
    return propose_faces(np.zeros((HEIGHT, WIDTH, 3), np.uint8), Detector(upright, mirror))


def shifted(points, by):
    return tuple((x + by, y) for x, y in points)


def test_a_face_found_alike_is_kept_at_the_mean():
    found = propose([(0.99, BOX, FIVE)], [(0.95, (62, 10, 104, 50), shifted(FIVE, 2))])
    assert found.dropped == {}
    assert found.faces == [
        {"box": [61, 10, 102, 50], "points": [[x, y] for x, y in shifted(FIVE, 1)]},
    ]


def test_the_detector_sees_the_mirror_image_enlarged():
    random = np.random.default_rng(0)
    picture = np.asarray(
        Image.fromarray(random.integers(0, 256, (4, 10, 3), np.uint8)).resize((WIDTH, HEIGHT)), np.uint8
    )
    detector = Detector([], [])
    propose_faces(picture, detector)
    ((mirror, smallest), (upright, same)) = detector.asked
    assert smallest == same == 20
    assert upright is picture
    assert mirror.shape == (100, 250, 3)
    back = Image.fromarray(mirror[:, ::-1]).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    # Smooth colours survive scaling: measured 0.6 levels.
    assert np.abs(np.asarray(back, float) - picture).mean() < 2


def test_faces_are_sought_from_a_fiftieth_of_the_long_side():
    detector = Detector([], [])
    detector.answers = {30: [], 38: []}
    propose_faces(np.zeros((30, 2000, 3), np.uint8), detector)
    assert [smallest for _, smallest in detector.asked] == [40, 40]


@pytest.mark.parametrize(
    ("upright", "mirror", "reason"),
    [
        ((0.99, BOX, FIVE), None, "found in one way only"),
        ((0.99, BOX, FIVE), (0.99, (88, 10, 128, 50), FIVE), "found in one way only"),
        ((0.99, BOX, FIVE), (LEAST_PROBABILITY - 0.01, BOX, FIVE), "improbable"),
        ((LEAST_PROBABILITY - 0.01, BOX, FIVE), (0.99, BOX, FIVE), "improbable"),
        ((0.99, BOX, FIVE), (0.99, BOX, (*FIVE[:4], (88.0, 40 + 40 * MOST_APART + 0.1))), "points differ"),
        (
            (0.99, (0, 10, 40, 50), shifted(FIVE, -71)),
            (0.99, (0, 10, 40, 50), shifted(FIVE, -71)),
            "cut off by the border",
        ),
    ],
)
def test_what_is_dropped_and_why(upright, mirror, reason):
    found = propose([upright], [mirror] if mirror else [])
    assert found.faces == []
    assert found.dropped == {reason: 1}


def test_one_face_in_the_mirror_stands_for_one_face():
    twice = [(0.99, BOX, FIVE), (0.98, (61.0, *BOX[1:]), FIVE)]
    found = propose(twice, twice[:1])
    assert len(found.faces) == 1
    assert found.dropped == {"found in one way only": 1}


def test_a_box_ends_at_the_border_and_every_point_counts():
    box = (-5.0, -8.0, 30.0, 30.0)
    points = ((3.0, 5.0), (20.0, 5.0), (10.0, 12.0), (0.0, 20.0), (18.0, 20.0))
    found = propose([(1.0, box, points)], [(1.0, box, points)])
    assert found.faces[0]["box"] == [0, 0, 30, 30]


def test_the_card_of_a_folder(tmp_path):
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    built = build_set(tmp_path, "mine", detector=Detector([(1.0, BOX, FIVE)], [(1.0, BOX, FIVE)]))
    assert (built.faces, built.faces_dropped) == (1, {})
    assert built.card.items[0].truth == {"faces": [{"box": [*BOX], "points": [[*point] for point in FIVE]}]}
    assert built.card.not_for.startswith("counts of faces")
    assert "words" not in built.card.items[0].truth


@pytest.mark.skipif(
    not all(path.is_file() for path in FETCHED),
    reason="MTCNN's weights are not in the cache: tokbench fetch mtcnn",
)
def test_real_faces_by_the_command(tmp_path, monkeypatch):
    """Of the embedded portraits every face is proposed where it was marked by hand."""
    monkeypatch.setenv("TOKBENCH_CACHE", str(FETCHED[0].parents[2]))
    marked = {
        item.file: item.truth["faces"][0]
        for item in load_card(DATASETS / "faces-mini.toml").items
        if item.id in {"matplotlib-grace-hopper-far", "skimage-astronaut-medium"}
    }
    for file in marked:
        shutil.copy(DATASETS / "faces-mini" / file, tmp_path)
    done = CliRunner().invoke(
        app, ["images", "build", str(tmp_path), "--name", "mine", "--faces", "--json"], catch_exceptions=False
    )
    assert json.loads(done.stdout)["faces"] == {"kept": 2, "dropped": {}}
    for item in load_card(tmp_path / "mine.toml").items:
        (face,), true = item.truth["faces"], marked[item.file]
        assert overlap(face["box"], true["box"]) > 0.6
        side = true["box"][2] - true["box"][0]
        apart = max(math.dist(one, two) for one, two in zip(face["points"], true["points"], strict=True))
        assert apart < 0.08 * side
