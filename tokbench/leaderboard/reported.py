"""Tables of published figures: what others report, beside nothing that was measured here, and never ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokbench.published import Figure


@dataclass(frozen=True)
class Group:
    """Figures of one image set by one protocol.

    Attributes:
        dataset: image set; "" for properties of the tokenizer alone.
        split: part of it.
        image: the one picture the figures are of, "" for the whole set.
        images: number of images, None when not stated.
        resolution: side in pixels, None for original size.
        protocol: protocol, "" where images do not matter.
        columns: ``(metric, unit, evaluator)``, sorted; one network a column.
        lines: ``(tokenizer or "", system, source, {column: figures})``, sorted by system and source.
    """

    dataset: str
    split: str
    image: str
    images: int | None
    resolution: int | None
    protocol: str
    columns: tuple[tuple[str, str, str], ...]
    lines: tuple[tuple[str, str, str, dict[tuple[str, str, str], tuple[Figure, ...]]], ...]

    @property
    def title(self) -> str:
        """One line that says what the figures are of."""
        parts = [
            self.dataset or "no images: properties of the tokenizer alone",
            self.split,
            self.image,
            f"{self.images:,} images" if self.images and not self.image else "",
            f"{self.resolution} px" if self.resolution else "",
            self.protocol,
        ]
        return " · ".join(part for part in parts if part)


def groups(figures: Sequence[Figure]) -> tuple[Group, ...]:
    """Arrange figures so that no column holds two protocols, image sets, sizes or networks."""
    found: dict[tuple[str, str, str, int, int, str], list[Figure]] = {}
    for each in figures:
        key = (each.dataset, each.split, each.image, each.images or 0, each.resolution or 0, each.protocol)
        found.setdefault(key, []).append(each)
    return tuple(_group(found[key]) for key in sorted(found))


def heading(column: tuple[str, str, str]) -> str:
    """Return a column's heading: metric, unit and network."""
    metric, unit, evaluator = column
    return metric + (f" {unit}" if unit else "") + (f" ({evaluator})" if evaluator else "")


def printed(figures: Sequence[Figure]) -> str:
    """Return a cell: the numbers as printed; ``!`` marks a disputed one, ``≈`` an inexact, ``?`` one from memory."""
    return " / ".join(figure.printed + marks(figure) for figure in figures)


def marks(figure: Figure) -> str:
    """Return the marks of a figure's flags."""
    flag = {"disputed": "!", "inexact": "≈", "": ""}[figure.flag]
    return flag + ("?" if figure.checked == "unchecked" else "")


def _group(figures: Sequence[Figure]) -> Group:
    first = figures[0]
    lines: dict[tuple[str, str, str], dict[tuple[str, str, str], list[Figure]]] = {}
    for each in sorted(
        figures, key=lambda each: (each.place.partition(",")[0], int(each.place.rpartition(" ")[2]))
    ):
        line = lines.setdefault((each.system, each.source, each.tokenizer), {})
        line.setdefault((each.metric, each.unit, each.evaluator), []).append(each)
    return Group(
        first.dataset,
        first.split,
        first.image,
        first.images,
        first.resolution,
        first.protocol,
        tuple(sorted({(each.metric, each.unit, each.evaluator) for each in figures})),
        tuple(
            (tokenizer, system, source, {column: tuple(cells) for column, cells in line.items()})
            for (system, source, tokenizer), line in sorted(lines.items(), key=lambda item: item[0])
        ),
    )
