"""The real dlib network, where somebody fetched it (`tokbench fetch dlib-face`): the port, and telling people apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tokbench.images.decode import decode
from tokbench.metrics.face_rows import FaceRows
from tokbench.metrics.verification import verification
from tokbench.networks.arcface import TEMPLATE
from tokbench.networks.face import DLIB_FACE, DLIB_WEIGHTS
from tokbench.weights import cache_path, digest

ROOT = Path(__file__).parents[2]
LFW = ROOT / ".." / "shared" / "data" / "lfw_aligned"
# The user's cache: found while tests are collected, before each test is given a cache of its own.
WEIGHTS = cache_path(DLIB_WEIGHTS)

pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason="dlib's weights are not in the cache: tokbench fetch dlib-face"
)


@pytest.fixture(scope="module")
def network():
    assert digest(WEIGHTS) == DLIB_WEIGHTS.sha256
    return DLIB_FACE.load({DLIB_WEIGHTS.name: WEIGHTS}, torch.device("cpu"))


def embedded_faces():
    for path in sorted((ROOT / "datasets" / "faces-mini").glob("*.webp")):
        image = Image.fromarray(decode(path.read_bytes(), path.name).pixels)
        yield np.asarray(image.resize((150, 150), Image.Resampling.BILINEAR))


def test_the_port_is_dlibs_own_network(network):
    dlib = pytest.importorskip("dlib", reason="dlib-bin is not installed")
    theirs = dlib.face_recognition_model_v1(str(WEIGHTS))
    chips = np.stack(list(embedded_faces()))
    wanted = np.array([theirs.compute_face_descriptor(chip) for chip in chips])
    got = network.embed_chips(chips)
    cosine = (wanted * got).sum(1) / np.linalg.norm(wanted, axis=1) / np.linalg.norm(got, axis=1)
    assert cosine.min() > 0.999999
    # Both are float32; measured 3e-7 on values up to 0.4.
    assert np.abs(wanted - got).max() < 5e-6


def test_the_chip_is_dlibs(network):
    """Their chip at the five points of their average face, ours at ours: the same place, up to whole-pixel points."""
    dlib = pytest.importorskip("dlib", reason="dlib-bin is not installed")
    from tokbench.networks.align import similarity, warp
    from tokbench.networks.face import chip_template

    path = ROOT / "datasets" / "faces-mini" / "matplotlib-grace-hopper-close.webp"
    image = np.asarray(Image.fromarray(decode(path.read_bytes(), path.name).pixels).resize((768, 768)))
    # dlib's table of five points: corners of the eyes, base of the nose.
    corners = [
        (0.85957, 0.21350),
        (0.64606, 0.22897),
        (0.12058, 0.21373),
        (0.33409, 0.22906),
        (0.49011, 0.62780),
    ]
    place = np.array([[3.6, -0.36], [0.36, 3.6]]) * 150 / 149

    def placed(points):
        return (np.array(points) - 74.5) @ place.T + (384, 400)

    theirs = placed((np.array(corners) + 0.25) / 1.5 * 149)
    parts = [dlib.point(round(x), round(y)) for x, y in theirs]
    shape = dlib.full_object_detection(dlib.rectangle(100, 100, 600, 600), parts)
    wanted = dlib.get_face_chip(image, shape, 150, 0.25)
    template = chip_template(150)
    got = warp(image, similarity(placed(template), template), 150)
    # dlib's points are whole pixels and its pyramid filters at other phases: measured 2.3 levels, cosine 0.9998.
    assert np.abs(got - wanted).mean() < 4
    a, b = network.embed_chips(np.stack([wanted.astype(np.float32), got]))
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999


def test_people_are_told_apart(network):
    if not LFW.is_dir():
        pytest.skip("shared/data/lfw_aligned is not beside the checkout")
    people = sorted(LFW.iterdir())[:100]
    files = [path for person in people for path in sorted(person.glob("*.jpg"))[:2]]
    images = [np.asarray(Image.open(path).convert("RGB")) for path in files]
    embedding = network.embed(images, [[TEMPLATE]] * len(images))
    state = FaceRows.from_arrays(
        {
            "where": np.stack([np.arange(len(files)), np.zeros(len(files), np.int64)], 1),
            "ratio": np.ones(len(files)),
            "identity": np.repeat(np.arange(1, 101), 2).astype(np.uint64),
            "original": embedding,
            "reconstruction": embedding,
            "skipped": np.zeros((0, 2), np.int64),
        }
    )
    # Measured 0.986 ± 0.011 on all 200 people of the folder.
    assert verification([state]).value > 0.97
