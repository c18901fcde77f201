"""Whether two sides may be compared at all; if not, which field differs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tokbench.results.side import Part, Place, Side


class IncomparableError(IntegrityError):
    """Two runs that cannot be compared.

    Args:
        a: label of the reference.
        b: label of the other.
        field: what differs, e.g. ``protocol`` or ``evaluators.inception``.
        values: the field's value on either side.
        hint: the next step.
    """

    def __init__(self, a: str, b: str, field: str, values: tuple[Any, Any], *, hint: str) -> None:
        theirs, ours = (value if isinstance(value, str) else json.dumps(value) for value in values)
        super().__init__(
            f"`{a}` and `{b}` cannot be compared: {field}: {theirs or 'none'} in `{a}`, {ours or 'none'} in `{b}`",
            hint=hint,
        )
        self.field = field


_FIELDS = {
    "schema": "run both with one version of tokbench",
    "protocol": "run both by one protocol (--protocol)",
    "images.identity": "the sets have one name and other images: run both on one set",
    "images.selection": "run both with the same --limit, or both without",
    "seed": "run both with the same --seed",
}


def common_places(a: Side, b: Side) -> list[Place]:
    """Return what both sides measured, in the order of the reference.

    Raises:
        IncomparableError: they have no image set, no protocol or no task in common.
    """
    common = [place for place in a.parts if place in b.parts]
    if common:
        return common
    fields = ("image set", "task", "protocol")
    # The first field, in this order, that keeps the two apart once the fields before it agree.
    depth = next(
        n for n in (1, 2, 3) if not {place[:n] for place in a.parts} & {place[:n] for place in b.parts}
    )
    shared = {place[: depth - 1] for place in a.parts} & {place[: depth - 1] for place in b.parts}
    mine, theirs = (
        ", ".join(sorted({place[depth - 1] for place in side.parts if place[: depth - 1] in shared}))
        for side in (a, b)
    )
    field = fields[depth - 1]
    raise IncomparableError(a.label, b.label, field, (mine, theirs), hint=f"run both with the same {field}")


def check_comparable(a: Side, b: Side, place: Place, *, ignore: Collection[str] = ()) -> None:
    """Refuse two sides whose numbers are not of one kind.

    Args:
        a: the reference.
        b: the other.
        place: a common place.
        ignore: fields that may differ, e.g. ``seed``.

    Raises:
        IncomparableError: a field differs: the protocol, the images, the seed, the version of the task (its metrics'
            definitions) or the weights of an evaluator that both used.
    """
    mine, theirs = a.parts[place], b.parts[place]
    counts = (f"{len(mine.images)}", f"{len(theirs.images)}")
    _check(a, b, "number of images", *counts, _FIELDS["images.selection"])
    for field, hint in _FIELDS.items():
        if field not in ignore:
            _check(a, b, field, _field(mine, field), _field(theirs, field), hint)
    task = place[1]
    _check(
        a,
        b,
        f"version of task {task}",
        mine.identity["tasks"].get(task),
        theirs.identity["tasks"].get(task),
        "its metrics' definitions changed: run both with one version of tokbench",
    )
    used: tuple[Mapping[str, Any], Mapping[str, Any]] = (
        mine.identity["evaluators"],
        theirs.identity["evaluators"],
    )
    for name in sorted(set(used[0]) & set(used[1])):
        hint = f"run both with the same weights of evaluator {name}"
        _check(a, b, f"weights of evaluator {name}", used[0][name], used[1][name], hint)
    _check_pixels(a, b, place)


def _check(a: Side, b: Side, field: str, mine: Any, theirs: Any, hint: str) -> None:
    if mine != theirs:
        raise IncomparableError(a.label, b.label, field, (mine, theirs), hint=hint)


def _field(part: Part, field: str) -> Any:
    value: Any = part.identity
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _check_pixels(a: Side, b: Side, place: Place) -> None:
    """Compare images by their pixels: an id and a size may stay the same while the picture is another."""
    known = dict(zip(a.parts[place].images, a.parts[place].pixels, strict=True))
    for image, theirs in zip(b.parts[place].images, b.parts[place].pixels, strict=True):
        mine = known.get(image, "")
        length = min(len(mine), len(theirs))
        if mine[:length] != theirs[:length]:
            hint = "the images changed between the runs: run both on the same files"
            raise IncomparableError(
                a.label, b.label, f"pixels of image {image}", (mine[:16], theirs[:16]), hint=hint
            )
