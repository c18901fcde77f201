"""The detector: boxes by hand, the networks against one square at a time, and the package's own answers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import nms

from tokbench.errors import SetupError
from tokbench.images.decode import decode
from tokbench.networks.mtcnn import MTCNN, ONET, PNET, RNET
from tokbench.networks.mtcnn_boxes import best, cells, moved, pyramid, squares, windows
from tokbench.networks.mtcnn_nets import OUTPUT, PROPOSAL, REFINEMENT, Stage
from tokbench.weights import cache_path

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SHAPES = {PNET.name: PROPOSAL, RNET.name: REFINEMENT, ONET.name: OUTPUT}
# The user's cache: found while tests are collected, before each test is given a cache of its own.
FETCHED = {file.name: cache_path(file) for file in MTCNN.weights}


def f32(*rows):
    return np.array(rows, np.float32).reshape(len(rows), -1)


# ---- boxes


def test_the_pyramid_ends_where_a_cell_no_longer_fits():
    # 100 px · 0.6 = 60, 42.5, 30.2, 21.4, 15.2, then 10.8 < 12.
    assert list(pyramid(100, 300, 20, 0.709)) == pytest.approx([0.6 * 0.709**step for step in range(5)])
    assert list(pyramid(19, 300, 20, 0.709)) == []


def test_a_cell_is_twelve_pixels_of_the_scaled_picture():
    # Row 1, column 3 at scale 1/2: pixels 7 to 18 and 3 to 14 of the small picture, counted from 1.
    assert cells(np.array([1]), np.array([3]), 0.5).tolist() == [[14, 6, 36, 28]]


def test_moved_and_squared_by_hand():
    boxes = f32((1, 1, 10, 20))
    assert moved(boxes, f32((0.1, -0.1, 0.2, 0)))[0].tolist() == pytest.approx([2, -1, 12, 20])
    assert moved(boxes, f32((1, 0, 0, 0)), ends=0).tolist() == [[10, 1, 10, 20]]
    assert squares(boxes).tolist() == [[-4, 1, 15, 20]]
    assert squares(boxes[:0]).shape == (0, 4)


def test_windows_stay_in_the_picture():
    # Counted from 1 with both ends included, to counted from 0 without the last.
    boxes = f32((1, 1, 10, 20), (-3.5, 2.9, 12.7, 30), (40, 1, 50, 9))
    assert windows(boxes, 25, 12).tolist() == [[0, 0, 10, 20], [0, 1, 12, 25], [39, 0, 12, 9]]


def test_boxes_are_chosen_as_torchvision_does():
    random = np.random.default_rng(0)
    low = random.uniform(0, 60, (300, 2))
    boxes = np.concatenate((low, low + random.uniform(5, 40, (300, 2))), 1).astype(np.float32)
    scores = random.permutation(300).astype(np.float32)
    for most in (0.3, 0.7):
        wanted = nms(torch.from_numpy(boxes), torch.from_numpy(scores), most).tolist()
        assert best(boxes, scores, most) == wanted
        assert 10 < len(wanted) < 290


def test_a_face_in_a_face_is_one():
    boxes, scores = f32((0, 0, 99, 99), (10, 10, 29, 29), (90, 90, 120, 120)), f32(0.8, 0.9, 0.7)[:, 0]
    assert best(boxes, scores, 0.7, ends=1) == [1, 0, 2]
    assert best(boxes, scores, 0.7, ends=1, of_smaller=True) == [1, 2]


# ---- networks


@pytest.fixture
def write(tmp_path):
    """Write weights for the three networks and load the detector."""

    def write(tensor):
        paths = {}
        for name, shape in SHAPES.items():
            torch.save({key: tensor(name, key, size) for key, size in shape.tensors()}, tmp_path / name)
            paths[name] = tmp_path / name
        return paths

    return write


def seeded(name, key, size):
    generator = torch.Generator().manual_seed(len(name) + sum(map(ord, name + key)))
    fan = int(np.prod(size[1:])) or 1
    return torch.randn(size, generator=generator) * fan**-0.5


def test_the_first_network_says_of_a_picture_what_it_says_of_each_square(write):
    stage = Stage(PROPOSAL, write(seeded)[PNET.name], CPU)
    picture = torch.randint(0, 256, (1, 3, 40, 32), generator=torch.Generator().manual_seed(1)).float()
    scores, shifts = stage(picture)
    assert scores.shape == (1, 15, 11)
    assert scores.std() > 1e-3
    for row, column in ((0, 0), (3, 7), (14, 10)):
        square = picture[:, :, 2 * row : 2 * row + 12, 2 * column : 2 * column + 12]
        score, shift = stage(square)
        # float32, other sums: measured below 1e-6.
        assert score.item() == pytest.approx(scores[0, row, column].item(), abs=1e-5)
        assert torch.allclose(shift[0, :, 0, 0], shifts[0, :, row, column], atol=1e-5)


@pytest.mark.parametrize("name", [RNET.name, ONET.name])
def test_squares_are_judged_by_the_layers_one_by_one(write, name):
    path = write(seeded)[name]
    shape, tensors = SHAPES[name], torch.load(path, weights_only=True)
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(0, 256, (2, 3, shape.side, shape.side), generator=generator).float()
    x = (pixels - 127.5) / 128
    for number, (filters, kernel, pool) in enumerate(shape.convolutions, 1):
        layer = torch.nn.Conv2d(x.shape[1], filters, kernel)
        layer.load_state_dict({end: tensors[f"conv{number}.{end}"] for end in ("weight", "bias")})
        x = layer(x)
        x = torch.where(x > 0, x, x * tensors[f"prelu{number}.weight"].view(-1, 1, 1))
        if pool:
            x = torch.nn.MaxPool2d(pool, 2, ceil_mode=True)(x)
    assert x.shape[2:] == (3, 3)
    # Columns first, then rows, then channels.
    x = torch.stack([x[:, :, row, column] for column in range(3) for row in range(3)], 1).flatten(1)
    dense = len(shape.convolutions) + 1
    x = x @ tensors[f"dense{dense}.weight"].T + tensors[f"dense{dense}.bias"]
    x = torch.where(x > 0, x, x * tensors[f"prelu{dense}.weight"])
    heads = [
        x @ tensors[f"dense{dense + 1}_{head}.weight"].T + tensors[f"dense{dense + 1}_{head}.bias"]
        for head in range(1, len(shape.heads) + 1)
    ]
    wanted = (heads[0].exp() / heads[0].exp().sum(1, keepdim=True))[:, 1], *heads[1:]
    for one, two in zip(Stage(shape, path, CPU)(pixels), wanted, strict=True):
        assert torch.allclose(one, two, atol=1e-4)


def test_a_cascade_that_believes_everything(write):
    """Every square is a face with its points at stated parts: where they land follows from the definition."""
    places = (0.3, 0.7, 0.5, 0.35, 0.65, 0.4, 0.4, 0.6, 0.8, 0.8)
    biases = {2: (0.0, 4.0), 4: (0.0,) * 4, 10: places}

    def constant(name, key, size):
        is_head = "_" in key and key.endswith("bias")
        return torch.tensor(biases[size[0]]) if is_head else torch.zeros(size)

    detector = MTCNN.load(write(constant), CPU)
    grey = np.full((20, 20, 3), 90, np.uint8)
    ((score, box, points),) = detector.find_faces(grey, smallest=20.0)
    assert score == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-6)
    assert box == (0, 0, 20, 20)
    wanted = [(20 * x, 20 * y) for x, y in zip(places[:5], places[5:], strict=True)]
    assert np.allclose(points, wanted, atol=1e-4)
    assert detector.find_faces(grey, smallest=21.0) == []
    assert detector.find_faces(np.zeros((3, 500, 3), np.uint8)) == []


def test_a_cascade_that_believes_nothing(write):
    detector = MTCNN.load(write(lambda name, key, size: torch.zeros(size)), CPU)  # one half is below 0.6
    assert detector.find_faces(np.zeros((64, 64, 3), np.uint8)) == []


def test_other_weights_are_refused(write, tmp_path):
    paths = write(seeded)
    with pytest.raises(
        SetupError, match=r"not those of this network: conv1\.bias is \(28,\), wanted \(10,\)"
    ):
        MTCNN.load(paths | {PNET.name: paths[RNET.name]}, CPU)
    torch.save({"x": torch.zeros(1)}, tmp_path / "x.pt")
    with pytest.raises(SetupError, match="absent"):
        MTCNN.load(paths | {ONET.name: tmp_path / "x.pt"}, CPU)


# ---- the real weights

# What facenet-pytorch 2.6.0 itself says: probability, box counted from 1 with both ends included, points.
THEIRS = {
    "matplotlib-grace-hopper-far": [
        (
            0.99998,
            (87.08, 53.757, 181.317, 174.215),
            ((110.074, 95.718), (154.074, 92.634), (133.372, 118.18), (115.608, 140.889), (153.86, 138.55)),
        )
    ],
    "gcompris-world-music-mexico-group": [
        (
            0.99999,
            (13.733, 50.821, 34.607, 78.367),
            ((17.465, 59.306), (26.12, 63.332), (16.226, 65.989), (12.889, 70.958), (19.942, 74.346)),
        ),
        (
            0.99991,
            (171.88, 99.508, 231.576, 168.941),
            (
                (187.079, 123.404),
                (207.593, 113.332),
                (195.119, 129.496),
                (197.418, 149.892),
                (215.019, 143.27),
            ),
        ),
        (
            0.99927,
            (113.879, 102.38, 136.276, 133.972),
            (
                (117.147, 114.045),
                (125.18, 114.058),
                (114.845, 118.618),
                (114.404, 126.953),
                (120.768, 127.134),
            ),
        ),
        (
            0.99231,
            (141.835, 101.163, 175.951, 150.688),
            (
                (143.541, 118.944),
                (153.796, 117.9),
                (142.169, 127.788),
                (146.915, 139.906),
                (155.738, 138.811),
            ),
        ),
    ],
}


@pytest.mark.skipif(
    not all(path.is_file() for path in FETCHED.values()),
    reason="MTCNN's weights are not in the cache: tokbench fetch mtcnn",
)
@pytest.mark.parametrize("name", THEIRS)
def test_the_port_finds_what_the_package_finds(name):
    path = ROOT / "datasets" / "faces-mini" / f"{name}.webp"
    found = MTCNN.load(FETCHED, CPU).find_faces(decode(path.read_bytes(), path.name).pixels)
    assert len(found) == len(THEIRS[name])
    for (score, box, points), (their_score, their_box, their_points) in zip(found, THEIRS[name], strict=True):
        assert score == pytest.approx(their_score, abs=1e-4)
        # Printed to 0.001; float32 sums of other kernels were within 0.0002.
        assert np.allclose(np.add(box, (1, 1, 0, 0)), their_box, atol=0.01)
        assert np.allclose(points, their_points, atol=0.01)
