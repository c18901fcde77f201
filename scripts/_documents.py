"""Real documents for text-mini: scans, a map, a chart and a printed pangram, with every word typed by hand.

All come from the source archive of OCRmyPDF on PyPI, whose ``REUSE.toml`` states holder and licence per file. The words
were typed while looking at the page and are written as printed, with straight quotation marks; a word broken at the end
of a line stays broken. A line is given by a rough box in pixels of the page; the ink inside it decides the boxes of its
words, split at the widest gaps, so that no coordinate of a word is a guess.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from _photo_list import PUBLIC_DOMAIN, Package
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT_PACKAGE = Package("ocrmypdf", "17.13.0", "sdist")
_FOLDER = "ocrmypdf-17.13.0/tests/resources"

# Rough box of a line (x0, y0, x1, y1), pixels of the page, and what stands in it.
Line = tuple[int, int, int, int, str]


@dataclass(frozen=True)
class Page:
    """A file of the package; ``sha256`` is of its bytes, ``size`` of the image in a PDF that holds one."""

    file: str
    sha256: str
    title: str
    author: str
    licence: str
    url: str
    ink_below: int  # grey level below which a pixel counts as ink
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Excerpt:
    """One image of text-mini: a region (x0, y0, x1, y1) of a page, reduced to fit, on the colour of the paper."""

    id: str
    page: str
    region: tuple[int, int, int, int]
    lines: tuple[Line, ...]


_COMMONS = "https://commons.wikimedia.org/wiki/File:"
_ENWIKI = "https://en.wikipedia.org/wiki/File:"

PAGES: dict[str, Page] = {
    "typewriter": Page(
        "typewriter.png",
        "6f7a83685a83af954e9672b3e2db3253af165513d2826d780a48e175742f4469",
        "Triumph typewriter text Linzensoep",
        "Ellywa",
        "CC-BY-SA-3.0",
        f"{_COMMONS}Triumph.typewriter_text_Linzensoep.gif",
        100,
    ),
    "flyer": Page(
        "linn.png",
        "dcd90f08a6b8a733612f818330153636c13283dd548e2e092cad1fe628ec7bf3",
        "LinnSequencer hardware MIDI sequencer brochure, page 2",
        "Forat Electronics",
        "CC-BY-SA-3.0",
        f"{_ENWIKI}LinnSequencer_hardware_MIDI_sequencer_brochure_page_2_300dpi.jpg",
        120,
    ),
    "book": Page(
        "c03-29.pdf",
        "c2ff83af7d028c95209cc7eebdf80fd5bb4cd292973ed6601e4bab7d1929f201",
        "Adventures of Huckleberry Finn, page 29",
        "Mark Twain and E. W. Kemble",
        PUBLIC_DOMAIN,
        "https://www.gutenberg.org/files/76/76-h/images/",
        150,
        (770, 995),
    ),
    "map": Page(
        "baiona.png",
        "b51658d4f7feea0a3022af5bca74d2c98b674c889e17ed8a14d717d9ef66ea71",
        "Baionako udalerri mugakideak",
        "Euskaldunaa",
        "CC-BY-SA-4.0",
        f"{_COMMONS}Baionako_udalerri_mugakideak.png",
        185,
    ),
    "chart": Page(
        "graph.pdf",
        "11fa2cef6845341795dc4103e68b31df5ff4fc72a7b7fa42904eb22b9bd70613",
        "Simple line graph of ACE 2012 results by candidate",
        "SmokeyJoe",
        "CC-BY-SA-3.0",
        f"{_ENWIKI}Simple_line_graph_of_ACE_2012_results_by_candidate_sj01.png",
        160,
        (958, 400),
    ),
    "pangram": Page(
        "francais.pdf",
        "600c27f8dd2ef085a94d3500f6ccdb3b37f4b89aa8ffdf9a00a06a1367887e8b",
        "A page with French accents",
        "James R. Barlow",
        "CC-BY-SA-4.0",
        "",
        160,
        (900, 900),
    ),
}


def _rows(x0: int, x1: int, lines: tuple[tuple[int, int, str], ...]) -> tuple[Line, ...]:
    return tuple((x0, top, x1, bottom, text) for top, bottom, text in lines)


EXCERPTS: tuple[Excerpt, ...] = (
    Excerpt(
        "typewriter-recipe",
        "typewriter",
        (80, 100, 3800, 2800),
        _rows(
            80,
            3800,
            (
                (130, 255, "Linzensoep à la Waterman"),
                (408, 520, "4 ons linzen"),
                (564, 672, "3 liter water"),
                (700, 810, "3 uien"),
                (841, 954, "bloem, boter"),
                (975, 1090, "2 kopjes melk"),
                (1105, 1226, "laurier, kruidnagel, kerrie, zout"),
                (1378, 1478, "De linzen wassen en in 1 liter kokend wa-"),
                (1510, 1638, "ter 1 dag laten weken. 2 liter water bij"),
                (1653, 1772, "de linzen voegen, zonder het water waarin"),
                (1786, 1910, "ze geweekt zijn af te gieten. De helft van"),
                (1924, 2040, "de uien bakken met laurier en kruidnagel."),
                (2062, 2184, "Alle uien, kerrie en zout bij de linzen"),
                (2200, 2322, "voegen. Alles aan de kook brengen. Van de"),
                (2336, 2452, "bloem met boter en melk een papje maken en"),
                (2472, 2591, "verder afmaken met de soep. Als de linzen"),
                (2614, 2736, "gaar zijn is de soep klaar."),
            ),
        ),
    ),
    Excerpt(
        "typewriter-list",
        "typewriter",
        (100, 380, 1300, 1110),
        _rows(
            100,
            1300,
            (
                (408, 520, "4 ons linzen"),
                (564, 672, "3 liter water"),
                (700, 810, "3 uien"),
                (841, 954, "bloem, boter"),
                (975, 1090, "2 kopjes melk"),
            ),
        ),
    ),
    Excerpt(
        "flyer-title",
        "flyer",
        (560, 110, 1990, 320),
        _rows(
            560,
            1990,
            ((125, 207, "The LinnSequencer"), (212, 310, "32 Track MIDI Sequence Recorder")),
        ),
    ),
    Excerpt(
        "flyer-address",
        "flyer",
        (1520, 2955, 2210, 3240),
        _rows(
            1520,
            2210,
            (
                (2965, 3095, "Linn"),
                (3106, 3144, "Linn Electronics, Inc."),
                (3148, 3186, "18720 Oxnard Street, Tarzana, CA 91356"),
                (3190, 3228, "(818) 708-8131 TELEX #298949 LINN UR"),
            ),
        ),
    ),
    Excerpt(
        "book-column",
        "book",
        (336, 264, 756, 684),
        _rows(
            336,
            756,
            (
                (269, 290, "from old Miss Watson, on account of my"),
                (297, 317, "clothes ; but the widow she didn't scold, but"),
                (326, 347, "only cleaned off the grease and clay and"),
                (353, 375, "looked so sorry that I thought I would be-"),
                (382, 399, "have a while if I could. Then Miss Watson"),
                (411, 432, "she took me in the closet and prayed, but"),
                (439, 461, "nothing come of it. She told me to pray"),
                (468, 489, "every day, and whatever I asked for I would"),
                (496, 517, "get it. But it warn't so. I tried it. Once"),
                (524, 545, "I got a fish-line, but no hooks. It warn't"),
                (553, 574, "any good to me without hooks. I tried for"),
                (581, 601, "the hooks three or four times, but somehow"),
                (609, 631, "I couldn't make it work. By-and-by, one"),
                (638, 659, "day, I asked Miss Watson to try for me, but"),
                (666, 683, "she said I was a fool. She never told me"),
            ),
        ),
    ),
    Excerpt("book-caption", "book", (56, 430, 312, 686), ((80, 664, 280, 677, "MISS WATSON'S LECTURE."),)),
    Excerpt(
        "map-town",
        "map",
        (118, 462, 408, 682),
        (
            (200, 542, 300, 568, "Milafranga"),
            (215, 582, 405, 622, "BAIONA"),
            (118, 635, 204, 660, "Basusarri"),
            (226, 642, 330, 660, "Eguneratua: 2014/10/04"),
        ),
    ),
    Excerpt(
        "map-legend",
        "map",
        (420, 540, 640, 638),
        (
            (430, 548, 610, 574, "Komunikabideak"),
            (490, 580, 572, 600, "Autobideak"),
            (460, 600, 578, 618, "Errepide nagusiak"),
            (465, 619, 541, 637, "Trenbideak"),
        ),
    ),
    Excerpt(
        "chart-legend",
        "chart",
        (702, 10, 958, 266),
        (
            (833, 143, 956, 160, "Support"),
            (833, 167, 956, 185, "No vote[note 1]"),
            (833, 191, 956, 209, "Oppose"),
            (833, 215, 956, 233, "Net[note 2]"),
            (833, 239, 956, 257, "Percentage [note 3]"),
        ),
    ),
    Excerpt(
        "pangram",
        "pangram",
        (170, 140, 770, 760),
        _rows(
            170,
            770,
            (
                (157, 200, "Portez ce vieux whisky au juge"),
                (207, 250, "blond qui fume sur son île"),
                (257, 298, "intérieure, à côté de l'alcôve"),
                (306, 350, "ovoïde, où les bûches se"),
                (356, 400, "consument dans l'âtre, ce qui"),
                (406, 450, "lui permet de penser à la"),
                (456, 500, "cænogénèse de l'être dont il"),
                (506, 550, "est question dans la cause"),
                (556, 600, "ambiguë entendue à Moÿ, dans"),
                (606, 650, "un capharnaüm qui, pense-t-il,"),
                (656, 700, "diminue çà et là la qualité de son"),
                (706, 745, "œuvre."),
            ),
        ),
    ),
)


def read_page(name: str, root: Path) -> Image.Image:
    """The page as RGB from the unpacked archive; a PDF's page is the one image of the stated size in it.

    Raises:
        ValueError: the file is not the one the words were typed from.
    """
    page = PAGES[name]
    data = (root / _FOLDER / page.file).read_bytes()
    if hashlib.sha256(data).hexdigest() != page.sha256:
        raise ValueError(f"{page.file}: not the file whose words were typed")
    image = _image_of_pdf(data, page.size) if page.file.endswith(".pdf") else Image.open(io.BytesIO(data))
    return image.convert("RGB")


def _image_of_pdf(data: bytes, size: tuple[int, int]) -> Image.Image:
    for header, body in _streams(data):
        if b"/Image" not in header or f"/Width {size[0]}".encode() not in header:
            continue
        if b"/DCTDecode" in header:
            return Image.open(io.BytesIO(body))
        # Flate with PNG's predictors is what a PNG file holds between its other chunks.
        head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
        png = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)
        return Image.open(io.BytesIO(png))
    raise ValueError(f"no image {size[0]} pixels wide in the PDF")


def _streams(data: bytes) -> list[tuple[bytes, bytes]]:
    """Dictionary and body of each stream of a PDF, as far as one scan finds them."""
    found = []
    for part in data.split(b" obj")[1:]:
        header, mark, rest = part.partition(b"stream")
        if mark:
            found.append((header, rest.lstrip(b"\r").removeprefix(b"\n").partition(b"endstream")[0]))
    return found


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def word_boxes(ink: np.ndarray, line: Line) -> list[tuple[str, tuple[int, int, int, int]]]:
    """The words of a line with the boxes of their ink, pixels of the page: split at the widest gaps.

    Raises:
        ValueError: the line has too few gaps, or the choice between two of equal width decides.
    """
    left, top, right, bottom, text = line
    words = text.split()
    part = ink[top:bottom, left:right]
    columns = np.flatnonzero(part.any(axis=0))
    gaps = np.diff(columns)
    order = np.argsort(-gaps, kind="stable")
    count = len(words) - 1
    if count > len(order) or (0 < count < len(order) and gaps[order[count - 1]] <= gaps[order[count]]):
        raise ValueError(f"the gaps of `{text}` do not tell its words apart")
    found = []
    for word, run in zip(words, np.split(columns, np.sort(order[:count]) + 1), strict=True):
        rows = np.flatnonzero(part[:, run[0] : run[-1] + 1].any(axis=1))
        x0, y0 = left + int(run[0]), top + int(rows[0])
        found.append((word, (x0, y0, left + int(run[-1]) + 1, top + int(rows[-1]) + 1)))
    return found


def render(
    excerpt: Excerpt, page: Image.Image, side: int
) -> tuple[Image.Image, list[tuple[str, list[int]]], float]:
    """The excerpt as a ``side`` x ``side`` image, its words with their boxes, and the factor it was reduced by.

    Boxes are widened to whole pixels of the image.
    """
    x0, y0, x1, y1 = excerpt.region
    cropped = page.crop(excerpt.region)
    scale = min(1.0, side / max(cropped.size))
    size = (round(cropped.width * scale), round(cropped.height * scale))
    if scale < 1:
        cropped = cropped.resize(size, Image.Resampling.LANCZOS)
    # The most frequent colour of the excerpt is that of its paper.
    colours, counts = np.unique(np.asarray(cropped).reshape(-1, 3), axis=0, return_counts=True)
    paper = tuple(int(level) for level in colours[counts.argmax()])
    canvas = Image.new("RGB", (side, side), paper)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    canvas.paste(cropped, (left, top))
    ink = np.asarray(page.convert("L")) < PAGES[excerpt.page].ink_below
    across, down = size[0] / (x1 - x0), size[1] / (y1 - y0)
    words = []
    for line in excerpt.lines:
        for word, box in word_boxes(ink, line):
            low = [int((box[0] - x0) * across) + left, int((box[1] - y0) * down) + top]
            high = [-int(-(box[2] - x0) * across // 1) + left, -int(-(box[3] - y0) * down // 1) + top]
            words.append((word, [*low, *high]))
    return canvas, words, scale
