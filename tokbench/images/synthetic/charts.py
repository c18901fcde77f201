"""Bar, line and scatter charts whose values and text are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.images.synthetic import Picture
from tokbench.images.synthetic.text import MARGIN, ink_box, load_font
from tokbench.images.synthetic.words import SCRIPTS

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

KINDS = ("bars", "line", "scatter")
_INK = (20, 20, 20)
_COLOURS = ((31, 90, 160), (200, 80, 30), (40, 130, 60), (140, 60, 140))


def charts(
    count: int, side: int, sizes: tuple[int, ...], font: Path | None, source: random.Random
) -> list[Picture]:
    """Draw `count` charts of `KINDS` in turn, labels in the sizes in turn.

    Truth: ``chart`` (its kind), ``values`` (0 to 100 in drawing order, bottom of the plot to its top), ``plot``
    ([x0, y0, x1, y1), the plot without its axes), and ``words`` as on text pages.

    Raises:
        UsageError: the font cannot be read.
    """
    return [
        _chart(number, KINDS[number % len(KINDS)], side, load_font(font, sizes[number % len(sizes)]), source)
        for number in range(count)
    ]


def _chart(number: int, kind: str, side: int, font: FreeTypeFont, source: random.Random) -> Picture:
    import numpy as np
    from PIL import Image
    from PIL.ImageDraw import Draw

    page = Image.new("RGB", (side, side), (255, 255, 255))
    draw = Draw(page)
    words: list[dict[str, Any]] = []
    line = sum(font.getmetrics()) + 2
    width = round(font.getlength("100")) + 4
    x0, y0, x1, y1 = MARGIN + width, MARGIN + line, side - MARGIN, side - MARGIN
    _label(draw, font, source.choice(SCRIPTS["latin"][1].split()), (x0, MARGIN), words)
    for value in (0, 50, 100):
        at = y1 - 1 - round((y1 - 1 - y0) * value / 100)
        draw.line((x0 - 3, at, x0 - 1, at), fill=_INK)
        top = min(max(at - line // 2, MARGIN + line), side - MARGIN - line)
        _label(draw, font, str(value), (MARGIN - 2, top), words)
    draw.line((x0 - 1, y0, x0 - 1, y1), fill=_INK)
    draw.line((x0 - 1, y1, x1, y1), fill=_INK)
    values = [source.randrange(5, 96) for _ in range(source.randrange(5, 11))]
    _plot(draw, kind, values, (x0, y0, x1, y1), source.choice(_COLOURS))
    truth = {"chart": kind, "values": values, "plot": [x0, y0, x1, y1], "words": words}
    return Picture(f"chart-{kind}-{round(font.size):03d}px-{number:04d}", np.array(page), truth)


def _label(
    draw: ImageDraw, font: FreeTypeFont, text: str, at: tuple[int, int], words: list[dict[str, Any]]
) -> None:
    """Draw a label with its upper left corner at a place, and note it."""
    baseline = at[1] + font.getmetrics()[0]
    draw.text((at[0], baseline), text, font=font, fill=_INK, anchor="ls")
    box = list(ink_box(font, text, at[0], baseline))
    name = font.getname()[0] or "unnamed"
    words.append({"text": text, "box": box, "script": "Latn", "font": name, "size": round(font.size)})


def _plot(
    draw: ImageDraw,
    kind: str,
    values: list[int],
    area: tuple[int, int, int, int],
    colour: tuple[int, int, int],
) -> None:
    x0, y0, x1, y1 = area
    step = (x1 - x0) / len(values)
    points = [
        (x0 + round((at + 0.5) * step), y1 - 1 - round((y1 - 1 - y0) * value / 100))
        for at, value in enumerate(values)
    ]
    if kind == "bars":
        half = max(1, round(step * 0.3))
        for x, y in points:
            draw.rectangle((x - half, y, x + half, y1 - 1), fill=colour)
    elif kind == "line":
        draw.line(points, fill=colour, width=2)
    else:
        for x, y in points:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
