"""Recognisers read for real, and what they are given is what their definitions say."""

import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

from tokbench.errors import DigestError, EvaluatorError, MissingPackageError, SetupError, WeightsMissingError
from tokbench.loading import build_network, require_packages, weight_paths
from tokbench.networks.recognisers import Recogniser, in_reading_order
from tokbench.networks.recognisers.easy import EASYOCR
from tokbench.networks.recognisers.parseq import PARSEQ, VOCABULARY, WEIGHTS, Parseq, prepare_crop
from tokbench.networks.recognisers.rapid import RAPIDOCR

CPU = torch.device("cpu")
DOCTR = importlib.util.find_spec("doctr") is not None


def drawn(*lines, size=24, width=200):
    """Black text on white, in the font that Pillow carries."""
    image = Image.new("RGB", (width, len(lines) * 2 * size), "white")
    font = ImageFont.load_default(size)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((10, number * 2 * size + size // 2), line, "black", font)
    return np.asarray(image)


@pytest.fixture(scope="module")
def rapid():
    return build_network(RAPIDOCR, device=CPU, overrides={})


def test_rapidocr_reads_words(rapid):
    assert isinstance(rapid, Recogniser)
    words = ["Tokens", "2026-11-22", "Kodak"]
    assert rapid.read_words([drawn(word, width=180) for word in words]) == words
    assert rapid.read_words([]) == []


def test_a_blank_crop_reads_nothing(rapid):
    assert rapid.read_words([np.full((20, 50, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)]) == ["", ""]


def test_what_is_read_does_not_depend_on_neighbours(rapid):
    # A wide neighbour in one batch would pad the small word otherwise.
    small, wide = drawn("fox", size=9, width=40)[4:-4], drawn("a very wide neighbour", size=9, width=400)
    assert rapid.read_words([small, wide, small])[::2] == rapid.read_words([small]) * 2


def test_rapidocr_reads_a_page_and_stays_itself(rapid):
    page = drawn("Hello world", "Second line", width=256)
    assert rapid.read_page(page) == "Hello world\nSecond line"
    assert rapid.read_words([drawn("Between", width=180)]) == ["Between"]
    # Reading a word without looking for boxes would change RapidOCR for later calls, if one engine did both.
    assert rapid.read_page(page) == "Hello world\nSecond line"
    assert rapid.read_page(np.full((64, 64, 3), 255, np.uint8)) == ""


def test_reading_order():
    def box(x, y):
        return [[x, y], [x + 9, y], [x + 9, y + 10], [x, y + 10]]

    texts = ["d", "b", "a", "c", "e"]
    boxes = [box(30, 21), box(40, 4), box(0, 0), box(5, 18), box(90, 40)]
    assert in_reading_order(texts, boxes) == "a b\nc d\ne"
    assert in_reading_order([], []) == ""


@pytest.mark.parametrize(("height", "width"), [(20, 50), (7, 300), (90, 11), (32, 128), (1, 1), (200, 3)])
def test_parseq_sees_crops_as_tokbench_shows_them(height, width):
    crop = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    got = prepare_crop(crop)
    assert got.shape == (3, 32, 128)
    tensor = torch.from_numpy(crop).permute(2, 0, 1).float() / 255
    ratio = height / width
    size = [32, max(int(32 / ratio), 1)] if ratio > 0.25 else [max(int(128 * ratio), 1), 128]
    small = resize(tensor, size, InterpolationMode.BILINEAR, antialias=True)
    mean, deviation = torch.tensor([0.694, 0.695, 0.693]), torch.tensor([0.299, 0.296, 0.301])
    restored = got * deviation[:, None, None] + mean[:, None, None]
    # float32 of values up to 1, through one division and one multiplication.
    assert restored[:, : size[0], : size[1]].numpy() == pytest.approx(small.numpy(), abs=1e-6)
    padding = restored.clone()
    padding[:, : size[0], : size[1]] = 0
    assert padding.numpy() == pytest.approx(np.zeros((3, 32, 128)), abs=1e-6)


def test_the_vocabulary_has_no_blank_and_no_repetition():
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 126
    assert " " not in VOCABULARY


@pytest.mark.skipif(DOCTR, reason="docTR is installed")
def test_without_doctr_the_reason_says_what_to_install():
    with pytest.raises(MissingPackageError, match="needs the package `doctr`") as caught:
        require_packages(PARSEQ)
    assert caught.value.hint == "pip install 'tokbench[doctr]'"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what docTR imports
@pytest.mark.skipif(not DOCTR, reason="docTR is not installed: pip install 'tokbench[doctr]'")
def test_parseq_is_doctrs(tmp_path):
    from doctr.models.recognition import parseq

    torch.manual_seed(0)
    path = tmp_path / "parseq.pt"
    model = parseq(pretrained=False).eval()
    torch.save(model.state_dict(), path)
    crops = [drawn(word, width=width) for word, width in (("one", 60), ("three", 200))]
    seen = torch.stack([prepare_crop(crop) for crop in crops])
    with torch.inference_mode():
        wanted = [text for text, _ in model(seen, return_preds=True)["preds"]]
    reader = Parseq(path, CPU)
    assert reader.read_words(crops) == wanted
    with pytest.raises(EvaluatorError, match="not pages"):
        reader.read_page(crops[0])
    path.rename(tmp_path / WEIGHTS.basename)
    with pytest.raises(DigestError, match="56125471"):
        Parseq(tmp_path / WEIGHTS.basename, CPU)
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(SetupError, match="not those of docTR"):
        Parseq(path, CPU)


@pytest.mark.parametrize("evaluator", [EASYOCR, PARSEQ], ids=lambda each: each.name)
def test_weights_are_fetched_by_name_and_never_by_the_package(evaluator):
    with pytest.raises(WeightsMissingError, match=f"tokbench fetch {evaluator.weights[0].name}"):
        weight_paths(evaluator.weights, {})


def test_rapidocr_brings_its_weights():
    assert set(weight_paths(RAPIDOCR.weights, {})) == {"ppocr-v6-rec", "ppocr-v6-det"}
