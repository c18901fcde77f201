"""How word boxes of real documents are found: the script that cuts them for text-mini, on pages made here."""

from __future__ import annotations

import hashlib
import importlib
import io
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from types import ModuleType

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def documents(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("_documents")


def ink(*runs: tuple[int, int, int, int]) -> np.ndarray:
    page = np.zeros((40, 100), bool)
    for x0, y0, x1, y1 in runs:
        page[y0:y1, x0:x1] = True
    return page


def test_a_line_is_split_at_its_widest_gaps(documents: ModuleType) -> None:
    # Two letters 2 pixels apart, a gap of 5, one letter that hangs below the line, a gap of 6, a full stop's worth.
    page = ink((10, 12, 14, 20), (16, 10, 20, 20), (25, 14, 30, 24), (36, 18, 38, 20), (0, 0, 100, 2))
    assert documents.word_boxes(page, (5, 5, 90, 30, "ab g .")) == [
        ("ab", (10, 10, 20, 20)),
        ("g", (25, 14, 30, 24)),
        (".", (36, 18, 38, 20)),
    ]
    assert documents.word_boxes(page, (5, 5, 90, 30, "abg.")) == [("abg.", (10, 10, 38, 24))]


def test_gaps_that_do_not_decide_are_refused(documents: ModuleType) -> None:
    page = ink((10, 10, 14, 20), (20, 10, 24, 20), (30, 10, 34, 20))
    with pytest.raises(ValueError, match="do not tell its words apart"):
        documents.word_boxes(page, (0, 0, 100, 40, "ab c"))
    with pytest.raises(ValueError, match="do not tell its words apart"):
        documents.word_boxes(ink((10, 10, 14, 20)), (0, 0, 100, 40, "a b c d e"))


def test_an_excerpt_is_reduced_to_fit_and_boxes_go_along(
    documents: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Image.new("RGB", (200, 100), (240, 230, 220))
    page.paste((0, 0, 0), (21, 30, 60, 50))
    about = replace(documents.PAGES["book"], ink_below=128)
    monkeypatch.setitem(documents.PAGES, "test", about)
    excerpt = documents.Excerpt("e", "test", (0, 0, 200, 100), ((0, 20, 200, 60, "word"),))
    image, words, scale = documents.render(excerpt, page, 100)
    assert scale == 0.5
    # 200 x 100 becomes 100 x 50, in the middle of 100 x 100; the box is widened to whole pixels.
    assert words == [("word", [10, 40, 30, 50])]
    assert image.size == (100, 100)
    assert image.getpixel((0, 0)) == (240, 230, 220)
    assert max(image.getpixel((20, 45))) < 30


def test_the_image_of_a_pdf_is_read_and_its_bytes_are_checked(
    documents: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # PNG's filter 0: bytes as they are
    jpeg = io.BytesIO()
    Image.new("RGB", (8, 8), (0, 128, 0)).save(jpeg, "JPEG")
    data = b"%PDF-1.4\n1 0 obj <</Length 3>>\nstream\nabc\nendstream endobj\n2 0 obj <</Subtype /Image /Width 6>>\n"
    data += b"stream\r\n" + zlib.compress(rows) + b"\nendstream endobj\n3 0 obj <</Subtype /Image /Width 8 "
    data += b"/Filter /DCTDecode>>\nstream\n" + jpeg.getvalue() + b"\nendstream"
    path = tmp_path / documents._FOLDER / "page.pdf"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    about = replace(
        documents.PAGES["book"], file="page.pdf", sha256=hashlib.sha256(data).hexdigest(), size=(6, 4)
    )
    monkeypatch.setitem(documents.PAGES, "png", about)
    monkeypatch.setitem(documents.PAGES, "jpeg", replace(about, size=(8, 8)))
    monkeypatch.setitem(documents.PAGES, "other", replace(about, sha256="0" * 64))
    monkeypatch.setitem(documents.PAGES, "none", replace(about, size=(7, 7)))
    assert np.array_equal(np.asarray(documents.read_page("png", tmp_path)), pixels)
    assert documents.read_page("jpeg", tmp_path).size == (8, 8)
    with pytest.raises(ValueError, match="not the file whose words were typed"):
        documents.read_page("other", tmp_path)
    with pytest.raises(ValueError, match="no image 7 pixels wide"):
        documents.read_page("none", tmp_path)
