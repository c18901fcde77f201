"""Truth in the coordinates of the reference image: what a protocol does to pixels, it does to boxes and points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokbench.images.preprocess import Prepared

PLACED = ("words", "faces", "regions", "objects")
"""Entries of a truth that are lists of tables with a ``box``."""

STRUCTURED = frozenset({*PLACED, "paper"})
"""Entries of a truth that are no plain text or number."""

_FARTHEST = 1e9
_TEXTS = ("text", "script", "identity", "category")
_NUMBERS = ("size", "ratio")


def wrong_truth(truth: Mapping[str, Any]) -> str:
    """Say what of a truth no metric could use, or "".

    Checked is the form of what `place_truth` moves: boxes ``[x0, y0, x1, y1]`` in order, points ``[x, y]``, all of them
    finite and below 1e9; texts, font sizes and ratios; and ``paper``, a colour of three levels.
    """
    for name in PLACED:
        entries = truth.get(name, [])
        if not isinstance(entries, list | tuple):
            return f"`{name}` must be a list of tables"
        for number, entry in enumerate(entries):
            reason = _wrong_entry(entry)
            if reason:
                return f"`{name}[{number}]` {reason}"
    paper = truth.get("paper", [0, 0, 0])
    if not _numbers(paper, 3) or not all(isinstance(level, int) and 0 <= level <= 255 for level in paper):
        return "`paper` must be three levels from 0 to 255"
    return ""


def _wrong_entry(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "must be a table"
    box: Any = entry.get("box")
    if not _numbers(box, 4) or box[0] > box[2] or box[1] > box[3]:
        return "must have a `box` of four finite numbers [x0, y0, x1, y1]"
    points = entry.get("points", [])
    if not isinstance(points, list | tuple) or not all(_numbers(point, 2) for point in points):
        return "must have `points` that are [x, y], finite numbers"
    for name in _NUMBERS:
        if name in entry and not _numbers([entry[name]], 1):
            return f"must have a finite `{name}`"
    for name in _TEXTS:
        if not isinstance(entry.get(name, ""), str):
            return f"must have a `{name}` that is text"
    return ""


def _numbers(values: Any, count: int) -> bool:
    """Whether these are so many finite numbers of a size that pixels can have."""
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and abs(value) < _FARTHEST
            for value in values
        )
    )


def place_truth(truth: Mapping[str, Any], prepared: Prepared) -> dict[str, Any]:
    """Move boxes and points from the file's pixels to those of ``prepared.reference``.

    Args:
        truth: what the card knows; under ``words``, ``faces``, ``regions`` and ``objects`` lie mappings with
            ``box`` (``[x0, y0, x1, y1]``), for faces ``points`` (``[[x, y], …]``) and for words
            the ``size`` of their font.
        prepared: the image after the protocol.

    Returns:
        A copy; words, faces, regions and objects that are not wholly inside the reference are left out.
    """
    height, width = prepared.reference.shape[:2]
    placed = dict(truth)
    for name in PLACED:
        if name in truth:
            found = [_place(entry, prepared) for entry in truth[name]]
            placed[name] = [entry for entry in found if _inside(entry["box"], width, height)]
    return placed


def _place(entry: Mapping[str, Any], prepared: Prepared) -> dict[str, Any]:
    moved = dict(entry)
    x0, y0, x1, y1 = entry["box"]
    moved["box"] = [*_point((x0, y0), prepared), *_point((x1, y1), prepared)]
    if "points" in entry:
        moved["points"] = [list(_point(point, prepared)) for point in entry["points"]]
    if "size" in entry:
        moved["size"] = entry["size"] * prepared.placement.scale_y
    return moved


def _point(point: Sequence[float], prepared: Prepared) -> tuple[float, float]:
    where = prepared.placement
    return point[0] * where.scale_x - where.left, point[1] * where.scale_y - where.top


def _inside(box: Sequence[float], width: int, height: int) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
