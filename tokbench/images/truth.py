"""Truth in the coordinates of the reference image: what a protocol does to pixels, it does to boxes and points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokbench.images.preprocess import Prepared

_PLACED = ("words", "faces", "regions", "objects")


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
    for name in _PLACED:
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
