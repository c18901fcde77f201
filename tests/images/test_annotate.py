"""Published annotation layouts: tiny files of each, and what a set refuses."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tokbench.errors import DataError, DigestError
from tokbench.images.card import load_card
from tokbench.images.imageset import ImageSet, open_card
from tokbench.images.preprocess import prepare
from tokbench.images.truth import place_truth
from tokbench.protocol import PRESETS

if TYPE_CHECKING:
    from pathlib import Path

CARD = """
name = "set"
version = "1"
title = "A set of another place"
license = "CC0-1.0"
source = "https://example.org"
purpose = "tests"
reader = "folder"
path = "set/images"
count = {count}
fetch = "Draw it."
annotations = {annotations}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOKBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "set" / "images").mkdir(parents=True)
    return tmp_path / "data" / "set"


def draw(home: Path, *names: str) -> None:
    for name in names:
        path = home / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), (len(name), 0, 0)).save(path)


def opened(home: Path, kind: str, content: object = None, count: int = 0) -> ImageSet:
    annotations = f'{{format = "{kind}"}}'
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        (home / "truth.json").write_text(text, encoding="utf-8")
        annotations = f'{{format = "{kind}", file = "set/truth.json"}}'
    cards = home.parent.parent / "cards"
    cards.mkdir(exist_ok=True)
    (cards / "set.toml").write_text(CARD.format(count=count, annotations=annotations), encoding="utf-8")
    return open_card(load_card(cards / "set.toml"), cards)


def truths(images: ImageSet) -> dict[str, dict[str, object]]:
    return {item.id: dict(item.truth) for item in images.items}


TOKBENCH_WORDS = [
    {
        "file_name": "b.jpg",
        "height": 20,
        "width": 40,
        "annotations": [
            {"rec": "Exit", "bbox": [2, 3, 30, 9], "ratio": 0.175},
            {"rec": "é", "bbox": [0, 0, 5, 5]},
        ],
    },
    {"file_name": "a.png", "height": 20, "width": 40, "annotations": []},
]


def test_tokbench_words_decide_which_images_belong(home: Path) -> None:
    draw(home, "a.png", "b.jpg", "left-out.png")
    assert truths(opened(home, "tokbench-words", TOKBENCH_WORDS, count=2)) == {
        "a": {"words": []},
        "b": {
            "words": [
                {"text": "Exit", "box": [2.0, 3.0, 30.0, 9.0], "ratio": 0.175},
                {"text": "é", "box": [0.0, 0.0, 5.0, 5.0]},
            ]
        },
    }


def test_tokbench_faces_by_the_keys_their_evaluation_reads(home: Path) -> None:
    draw(home, "0--Parade/p.jpg")
    points = [[1.5, 2], [9, 2], [5, 5], [2, 8], [8, 8]]
    face = {"kps": points, "box": [0, 1, 10, 12], "ratio": 0.275, "gt": "x"}
    meta = [{"image_name": "0--Parade/p.jpg", "img_height": 20, "img_width": 40, "faces": [face]}]
    assert truths(opened(home, "tokbench-faces", meta)) == {
        "0--Parade/p": {"faces": [{"box": [0.0, 1.0, 10.0, 12.0], "points": points, "ratio": 0.275}]}
    }


def test_coco_boxes_are_corners_with_names_and_without_crowds(home: Path) -> None:
    draw(home, "000000000009.jpg", "000000000025.jpg")
    content = {
        "images": [{"id": 9, "file_name": "000000000009.jpg"}, {"id": 25, "file_name": "000000000025.jpg"}],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"image_id": 9, "category_id": 18, "bbox": [1.5, 2, 10, 4.25], "iscrowd": 0},
            {"image_id": 9, "category_id": 1, "bbox": [0, 0, 40, 20], "iscrowd": 1},
        ],
    }
    images = opened(home, "coco-instances", content, count=2)
    assert truths(images) == {
        "000000000009": {"objects": [{"category": "dog", "box": [1.5, 2.0, 11.5, 6.25]}]},
        "000000000025": {"objects": []},
    }


def test_objects_move_with_the_pixels() -> None:
    prepared = prepare(np.zeros((512, 512, 3), np.uint8), PRESETS["adm-256"])
    inside = {"category": "dog", "box": [10.0, 20.0, 110.0, 220.0]}
    outside = {"category": "cat", "box": [500.0, 0.0, 520.0, 20.0]}
    placed = place_truth({"objects": [inside, outside]}, prepared)
    assert placed["objects"] == [{"category": "dog", "box": [5.0, 10.0, 55.0, 110.0]}]


def test_textocr_leaves_out_what_it_calls_illegible(home: Path) -> None:
    draw(home, "a4ea.jpg", "of-the-training-part.jpg")
    content = {
        "imgs": {"a4ea": {"id": "a4ea", "file_name": "train/a4ea.jpg", "set": "val"}},
        "anns": {
            "a4ea_1": {"image_id": "a4ea", "bbox": [3, 4, 10, 5], "utf8_string": "Coffee!", "points": []},
            "a4ea_2": {"image_id": "a4ea", "bbox": [0, 0, 2, 2], "utf8_string": ".", "points": []},
        },
        "imgToAnns": {"a4ea": ["a4ea_1", "a4ea_2"]},
    }
    assert truths(opened(home, "textocr", content, count=1)) == {
        "a4ea": {"words": [{"text": "Coffee!", "box": [3.0, 4.0, 13.0, 9.0]}]}
    }


def wflw_line(name: str, shift: float = 0.0) -> str:
    points = [str(value + shift) for point in range(98) for value in (point, point + 0.5)]
    return " ".join([*points, "1", "2", "30", "19", *"010001", name])


def test_wflw_keeps_five_points_and_several_faces_an_image(home: Path) -> None:
    draw(home, "1--Handshaking/h.jpg")
    lines = f"{wflw_line('1--Handshaking/h.jpg')}\n{wflw_line('1--Handshaking/h.jpg', 1)}\n"
    faces = truths(opened(home, "wflw-98", lines))["1--Handshaking/h"]["faces"]
    assert isinstance(faces, list)
    assert faces[0] == {
        "box": [1.0, 2.0, 30.0, 19.0],
        "points": [[96.0, 96.5], [97.0, 97.5], [54.0, 54.5], [76.0, 76.5], [82.0, 82.5]],
        "attributes": ["expression", "blur"],
    }
    assert faces[1]["points"][0] == [97.0, 97.5]


def test_funsd_has_one_file_an_image(home: Path) -> None:
    draw(home, "form.png")
    (home / "truth.json").mkdir()
    words = [{"text": "Date:", "box": [1, 2, 9, 8]}, {"text": " ", "box": [0, 0, 1, 1]}]
    form = {
        "form": [
            {
                "box": [1, 2, 9, 8],
                "text": "Date:",
                "label": "question",
                "words": words,
                "linking": [],
                "id": 0,
            }
        ]
    }
    (home / "truth.json" / "form.json").write_text(json.dumps(form), encoding="utf-8")
    cards = home.parent.parent
    annotations = '{format = "funsd", file = "set/truth.json"}'
    (cards / "set.toml").write_text(CARD.format(count=1, annotations=annotations), encoding="utf-8")
    card = load_card(cards / "set.toml")
    assert truths(open_card(card, cards)) == {
        "form": {"words": [{"text": "Date:", "box": [1.0, 2.0, 9.0, 8.0]}]}
    }
    draw(home, "unread.png")
    with pytest.raises(DataError, match="cannot be read"):
        open_card(card, cards)


def test_class_folders_are_numbered_in_sorted_order(home: Path) -> None:
    draw(home, "n02/x.png", "n01/y.png", "n01/deeper/z.png")
    assert truths(opened(home, "class-folders", count=3)) == {
        "n01/y": {"label": 0, "class": "n01"},
        "n01/deeper/z": {"label": 0, "class": "n01"},
        "n02/x": {"label": 1, "class": "n02"},
    }
    draw(home, "flat.png")
    with pytest.raises(DataError, match=r"flat\.png lies in no class folder"):
        opened(home, "class-folders")


def test_a_wrong_number_of_images_is_refused_unless_it_is_not_known(home: Path) -> None:
    draw(home, "a.png", "b.jpg")
    assert len(opened(home, "tokbench-words", TOKBENCH_WORDS).items) == 2
    with pytest.raises(DigestError, match="the card says 3 images"):
        opened(home, "tokbench-words", TOKBENCH_WORDS, count=3)


def test_listed_images_must_be_there_and_names_must_be_clear(home: Path) -> None:
    draw(home, "a.png")
    with pytest.raises(DataError, match=r"names 'b\.jpg', which is not among the images \(1 missing\)"):
        opened(home, "tokbench-words", TOKBENCH_WORDS)
    draw(home, "one/b.jpg", "two/b.jpg")
    with pytest.raises(DataError, match=r"names 'b\.jpg'"):
        opened(home, "tokbench-words", TOKBENCH_WORDS)
    twice = [{"file_name": name, "annotations": []} for name in ("a.png", "other/a.png")]
    with pytest.raises(DataError, match=r"describes a\.png twice"):
        opened(home, "tokbench-words", twice)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("tokbench-words", "not json"),
        ("tokbench-words", {"a.png": []}),
        ("tokbench-words", [{"file_name": "a.png", "annotations": [{"rec": 7, "bbox": [0, 0, 1, 1]}]}]),
        ("tokbench-words", [{"file_name": "a.png", "annotations": [{"rec": "x", "bbox": [9, 0, 1, 1]}]}]),
        ("tokbench-words", [{"file_name": "a.png", "annotations": []}] * 2),
        ("tokbench-faces", [{"image_name": "a.png", "faces": [{"kps": [[1, 2]], "box": [0, 0, 1, 1]}]}]),
        ("coco-instances", {"images": [], "categories": [], "annotations": [{"bbox": [0, 0, 1, 1]}]}),
        (
            "textocr",
            {"imgs": {}, "anns": {"1": {"utf8_string": "x", "bbox": [0, 0, 1, 1], "image_id": "none"}}},
        ),
        ("wflw-98", "1 2 3 a.png"),
        ("wflw-98", wflw_line("a.png").replace(" 0 1 0 0 0 1 ", " 0 2 0 0 0 1 ")),
    ],
)
def test_another_layout_is_named(home: Path, kind: str, content: object) -> None:
    draw(home, "a.png")
    with pytest.raises(DataError, match=rf"set/truth\.json is not of the layout {kind}"):
        opened(home, kind, content)


def test_missing_truth_says_where_it_belongs(home: Path) -> None:
    draw(home, "a.png")
    opened(home, "tokbench-words", [{"file_name": "a.png", "annotations": []}])
    (home / "truth.json").unlink()
    cards = home.parent.parent / "cards"
    with pytest.raises(DataError, match="its truth is missing") as caught:
        open_card(load_card(cards / "set.toml"), cards)
    assert caught.value.hint is not None
    assert str(home / "truth.json") in caught.value.hint


def test_hub_parquet_labels_and_bytes(home: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = home.parent / "hub"
    folder.mkdir()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for part, (first, labels) in enumerate([(0, [7, 3]), (2, [3])]):
        rows = []
        for offset in range(len(labels)):
            stream = io.BytesIO()
            Image.new("RGB", (4, 4), (first + offset, 0, 0)).save(stream, "PNG")
            rows.append({"bytes": stream.getvalue(), "path": f"ILSVRC2012_val_{first + offset:08d}.png"})
        table = pa.table({"image": pa.array(rows, kind), "label": pa.array(labels, pa.int64())})
        pq.write_table(table, folder / f"validation-{part:05d}-of-00002.parquet")
    text = CARD.replace('"folder"', '"parquet"').replace("set/images", "hub")
    (home / "set.toml").write_text(text.format(count=3, annotations="{}"), encoding="utf-8")
    images = open_card(load_card(home / "set.toml"), home)
    assert [(item.id, item.truth["label"]) for item in images.items] == [
        (f"ILSVRC2012_val_{number:08d}", label) for number, label in enumerate([7, 3, 3])
    ]
    pixels = [Image.open(io.BytesIO(data)).getpixel((0, 0)) for _, data in images.read(images.items) if data]  # type: ignore[arg-type]
    assert pixels == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
