"""Layouts of published annotation files, each turned into truth by image.

Every reader returns file name to truth. Boxes become ``[x0, y0, x1, y1]`` in pixels of the file, whatever the layout
writes. A reader raises the `KeyError`, `TypeError` or `ValueError` of what it stumbles over; `tokbench.images.annotate`
makes that a `DataError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Truths = dict[str, dict[str, Any]]

_WFLW_POINTS = (96, 97, 54, 76, 82)
"""Eye left and right in the image, tip of the nose, corner of the mouth left and right, among the 98."""

_WFLW_ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")


def read_tokbench_words(content: Any) -> Truths:
    """Read TokBench's text annotations (arXiv 2505.18142): ``[{file_name, annotations: [{rec, bbox, ratio}]}]``.

    ``bbox`` is ``[x0, y0, x1, y1]`` in pixels of the original; ``ratio`` is kept as it stands, where it stands.
    """
    truths: Truths = {}
    for image in content:
        words = []
        for entry in image["annotations"]:
            word = {"text": _text(entry["rec"]), "box": _box(entry["bbox"])}
            words.append(word | ({"ratio": float(entry["ratio"])} if "ratio" in entry else {}))
        _add(truths, image["file_name"], {"words": words})
    return truths


def read_tokbench_faces(content: Any) -> Truths:
    """Read TokBench's ``face_meta.json``: ``[{image_name, faces: [{kps, box, ratio}]}]``.

    The keys are those that its eval_face.py (commit 855802d) reads; ``kps`` are five points ``[x, y]``. That ``box``
    is ``[x0, y0, x1, y1]`` is an assumption: no code of theirs computes with it. It is checked for order only.
    """
    truths: Truths = {}
    for image in content:
        faces = []
        for entry in image["faces"]:
            points = [[float(x), float(y)] for x, y in entry["kps"]]
            if len(points) != 5:
                raise ValueError(f"{image['image_name']}: {len(points)} points where 5 belong")
            face = {"box": _box(entry["box"]), "points": points}
            faces.append(face | ({"ratio": float(entry["ratio"])} if "ratio" in entry else {}))
        _add(truths, image["image_name"], {"faces": faces})
    return truths


def read_coco_instances(content: Any) -> Truths:
    """Read COCO's ``instances_*.json``: boxes with the name of their category, as ``objects``.

    Crowds (``iscrowd``) are left out: their box covers many objects. An image without objects has an empty list.
    """
    names = {entry["id"]: _text(entry["name"]) for entry in content["categories"]}
    truths: Truths = {}
    by_id: dict[Any, list[dict[str, Any]]] = {}
    for image in content["images"]:
        by_id[image["id"]] = []
        _add(truths, image["file_name"], {"objects": by_id[image["id"]]})
    for entry in content["annotations"]:
        if not entry.get("iscrowd", 0):
            found = {"category": names[entry["category_id"]], "box": _corners(entry["bbox"])}
            by_id[entry["image_id"]].append(found)
    return truths


def read_textocr(content: Any) -> Truths:
    """Read TextOCR v0.1: ``imgs`` and ``anns`` keyed by id, ``bbox`` as ``[x, y, width, height]``.

    Words written ``.`` are illegible or not English by TextOCR's own rule and are left out.
    """
    truths: Truths = {}
    by_id: dict[str, list[dict[str, Any]]] = {}
    for key, image in content["imgs"].items():
        by_id[key] = []
        _add(truths, image["file_name"], {"words": by_id[key]})
    for entry in content["anns"].values():
        text = _text(entry["utf8_string"])
        if text.strip() not in {"", "."}:
            by_id[entry["image_id"]].append({"text": text, "box": _corners(entry["bbox"])})
    return truths


def read_wflw(content: str) -> Truths:
    """Read a list of WFLW: a line a face of 98 points, the detector's box, six attributes and the image.

    Kept are the box, the five points that face metrics align by (pupils, tip of the nose, corners of the mouth) and
    the names of the attributes that are set; the other points are not.
    """
    truths: Truths = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        fields = line.split()
        if len(fields) != 207:
            raise ValueError(f"line {number} has {len(fields)} fields where 207 belong")
        values = [float(value) for value in fields[:196]]
        flags = fields[200:206]
        if set(flags) - {"0", "1"}:
            raise ValueError(f"line {number}: attributes must be 0 or 1, got {' '.join(flags)}")
        face = {
            "box": _box(fields[196:200]),
            "points": [values[2 * point : 2 * point + 2] for point in _WFLW_POINTS],
            "attributes": [name for name, flag in zip(_WFLW_ATTRIBUTES, flags, strict=True) if flag == "1"],
        }
        truths.setdefault(fields[206], {"faces": []})["faces"].append(face)
    return truths


def read_funsd(content: Any) -> dict[str, Any]:
    """Read the file that FUNSD has for one image: ``{form: [{words: [{text, box}]}]}``; empty words are left out."""
    words = [
        {"text": _text(word["text"]), "box": _box(word["box"])}
        for block in content["form"]
        for word in block["words"]
        if word["text"].strip()
    ]
    return {"words": words}


LISTS: Mapping[str, Callable[[Any], Truths]] = {
    "coco-instances": read_coco_instances,
    "textocr": read_textocr,
    "tokbench-faces": read_tokbench_faces,
    "tokbench-words": read_tokbench_words,
    "wflw-98": read_wflw,
}
"""Layouts of one file for all images."""


def _add(truths: Truths, name: Any, truth: dict[str, Any]) -> None:
    if _text(name) in truths:
        raise ValueError(f"{name} is described twice")
    truths[name] = truth


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where text belongs")
    return value


def _box(values: Any) -> list[float]:
    x0, y0, x1, y1 = (float(value) for value in values)
    if not (x0 <= x1 and y0 <= y1):
        raise ValueError(f"box {list(values)} is not [x0, y0, x1, y1]")
    return [x0, y0, x1, y1]


def _corners(values: Any) -> list[float]:
    x, y, width, height = (float(value) for value in values)
    return _box((x, y, x + width, y + height))
