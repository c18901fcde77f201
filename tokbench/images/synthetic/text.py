"""Text pages with the exact ink box of every word."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.errors import UsageError
from tokbench.images.synthetic import Picture
from tokbench.images.synthetic.words import SCRIPTS, draw_word

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from PIL.ImageFont import FreeTypeFont

MARGIN = 8
SIZES = (6, 8, 10, 12, 16, 24)
_PAPER = {"white": (255, 255, 255), "black": (0, 0, 0), "grey": (128, 128, 128), "cream": (250, 243, 220)}
_DIGITS = "0123456789.:"


@dataclass(frozen=True)
class TextStyle:
    """How text pages look.

    Attributes:
        script: a name of `tokbench.images.synthetic.words.SCRIPTS`.
        font: a font file that Pillow reads; None for Aileron, which Pillow carries and which draws ASCII only.
        sizes: em sizes in pixels; pages take them in turn, so that every page has one size.
        contrast: how far the ink is from the paper, above 0 and at most 1: of the way to black, on dark paper to white.
        background: white, black, grey or cream.
        side: of a page, in pixels.
    """

    script: str = "latin"
    font: Path | None = None
    sizes: tuple[int, ...] = SIZES
    contrast: float = 1.0
    background: str = "white"
    side: int = 256

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            UsageError: a value is unknown or out of range.
        """
        for value, known, what in (
            (self.script, SCRIPTS, "script"),
            (self.background, _PAPER, "background"),
        ):
            if value not in known:
                raise UsageError(f"unknown {what} `{value}`", hint=f"{what}s are {', '.join(known)}")
        if not 0 < self.contrast <= 1:
            raise UsageError(
                f"contrast {self.contrast} is out of range", hint="use a number above 0, at most 1"
            )
        most = (self.side - 2 * MARGIN) // 4
        if not self.sizes or not all(4 <= size <= most for size in self.sizes):
            raise UsageError(
                f"sizes {', '.join(map(str, self.sizes)) or '(none)'} do not fit",
                hint=f"use whole pixels from 4 to {most}, or a larger --side",
            )


def text_pages(count: int, style: TextStyle, source: random.Random) -> list[Picture]:
    """Draw `count` pages; page i has the size ``sizes[i % len(sizes)]``.

    Truth: ``words`` with ``text``, ``box`` ([x0, y0, x1, y1), the pixels that have ink), ``script``, ``font`` and
    ``size``.

    Raises:
        UsageError: the font cannot be read, or does not draw the script.
    """
    fonts = {size: load_font(style.font, size) for size in style.sizes}
    code, stock = SCRIPTS[style.script]
    _check_glyphs(fonts[style.sizes[0]], stock.replace(" ", "") + _DIGITS, style)
    return [
        _page(number, code, style, fonts[style.sizes[number % len(style.sizes)]], source)
        for number in range(count)
    ]


def load_font(path: Path | None, size: int) -> FreeTypeFont:
    """Load a font at an em size in pixels; None is Pillow's own.

    Raises:
        UsageError: the file is no font, or Pillow lacks FreeType.
    """
    from PIL import ImageFont

    if path is None:
        found = ImageFont.load_default(size)
        if not isinstance(found, ImageFont.FreeTypeFont):
            raise UsageError("this Pillow was built without FreeType", hint="install Pillow from its wheel")
        return found
    try:
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise UsageError(
            f"font {path} cannot be read: {error}", hint="give a .ttf, .otf or .ttc file"
        ) from error


def _check_glyphs(font: FreeTypeFont, text: str, style: TextStyle) -> None:
    """Refuse a font that would draw its box for missing characters."""
    missing = bytes(font.getmask("\uffff"))
    lacking = next((letter for letter in text if bytes(font.getmask(letter)) == missing), "")
    if lacking:
        raise UsageError(
            f"font {font.getname()[0]} has no `{lacking}`, which pages in {style.script} need",
            hint="name another font file with --font",
        )


def _page(number: int, code: str, style: TextStyle, font: FreeTypeFont, source: random.Random) -> Picture:
    import numpy as np
    from PIL import Image, ImageDraw

    paper = _PAPER[style.background]
    end = 255 if sum(paper) < 3 * 128 else 0
    ink = tuple(round(level + style.contrast * (end - level)) for level in paper)
    page = Image.new("RGB", (style.side, style.side), paper)
    draw = ImageDraw.Draw(page)
    name = font.getname()[0] or "unnamed"
    ascent, descent = font.getmetrics()
    # An empty column and an empty line at least lie between the boxes of any two words.
    space, advance = max(3, round(font.size * 0.4)), round((ascent + descent) * 1.1) + 1
    words: list[dict[str, Any]] = []
    left, baseline = MARGIN, MARGIN + ascent
    while baseline + descent <= style.side - MARGIN:
        # The first of three words that still fits; none: the line is full.
        fitting = next(
            (
                word
                for word in (draw_word(style.script, source) for _ in range(3))
                if _end(font, word, left) <= style.side - MARGIN
            ),
            None,
        )
        if fitting is None:
            left, baseline = MARGIN, baseline + advance
            continue
        draw.text((left, baseline), fitting, font=font, fill=ink, anchor="ls")
        box = ink_box(font, fitting, left, baseline)
        words.append(
            {"text": fitting, "box": list(box), "script": code, "font": name, "size": round(font.size)}
        )
        left = box[2] + space
    return Picture(f"text-{round(font.size):03d}px-{number:04d}", np.array(page), {"words": words})


def _end(font: FreeTypeFont, word: str, left: int) -> int:
    return left + math.ceil(font.getbbox(word, anchor="ls")[2])


def ink_box(font: FreeTypeFont, word: str, x: int, baseline: int) -> tuple[int, int, int, int]:
    """Return the pixels [x0, y0, x1, y1) that have ink when the pen starts at (x, baseline).

    Measured on the word drawn alone: a font's own boxes may be a pixel too large.
    """
    from PIL import Image, ImageDraw

    left, top, right, bottom = font.getbbox(word, anchor="ls")
    origin = (2 - math.floor(left), 2 - math.floor(top))
    alone = Image.new("L", (math.ceil(right) + origin[0] + 2, math.ceil(bottom) + origin[1] + 2), 0)
    ImageDraw.Draw(alone).text(origin, word, font=font, fill=255, anchor="ls")
    found = alone.getbbox()
    assert found is not None  # a word that draws nothing does not pass _check_glyphs
    x0, y0, x1, y1 = found
    return x0 + x - origin[0], y0 + baseline - origin[1], x1 + x - origin[0], y1 + baseline - origin[1]
