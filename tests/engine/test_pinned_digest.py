"""A card that pins one digest over all its images: others do not get a summary under its name."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tokbench import evaluate
from tokbench.errors import DigestError
from tokbench.images.card import Card
from tokbench.images.decode import decode, set_digest
from tokbench.images.imageset import ImageSet, open_card

if TYPE_CHECKING:
    from pathlib import Path


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {f"{name}.png": picture(seed) for seed, name in enumerate("abc")}
DIGEST = set_digest((name[:-4], decode(data, name).digest) for name, data in FILES.items())


def write(root: Path, reader: str, files: dict[str, bytes]) -> str:
    if reader == "folder":
        (root / "set").mkdir(exist_ok=True)
        for name, data in files.items():
            (root / "set" / name).write_bytes(data)
        return "set"
    if reader == "tar":
        with tarfile.open(root / "set.tar", "w") as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    else:
        rows = [{"bytes": data, "path": name} for name, data in files.items()]
        pq.write_table(pa.table({"image": rows}), root / "set.parquet")
    return f"set.{reader}"


def opened(root: Path, reader: str, files: dict[str, bytes]) -> ImageSet:
    path = write(root, reader, files)
    card = Card("mini", "1", "t", "CC0-1.0", "here", "p", reader, path, len(FILES), digest=DIGEST)
    return open_card(card, root)


def measure(images: ImageSet, out: Path, **options: object) -> object:
    return evaluate(["identity", "jpeg-q50"], images, protocol="adm-64", out=out, device="cpu", **options)


@pytest.mark.parametrize("reader", ["folder", "tar", "parquet"])
def test_changed_images_get_no_summary_under_the_cards_name(tmp_path: Path, reader: str) -> None:
    assert measure(opened(tmp_path, reader, FILES), tmp_path / "right").complete
    changed = opened(tmp_path, reader, {**FILES, "b.png": picture(9)})
    for _ in range(2):  # nor when the finished run is asked for again
        with pytest.raises(DigestError, match=r"image set `mini`: its 3 images are not the ones") as caught:
            measure(changed, tmp_path / "wrong")
        assert DIGEST in caught.value.message
        assert "--images" in str(caught.value)
        assert not list((tmp_path / "wrong").glob("summary*"))


def test_other_bytes_of_the_same_pixels_are_the_same_set(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(FILES["b.png"])).save(buffer, "BMP")
    files = {**FILES, "b.png": buffer.getvalue()}
    assert measure(opened(tmp_path, "folder", files), tmp_path / "out").complete


def test_a_part_of_the_set_cannot_be_judged(tmp_path: Path) -> None:
    changed = opened(tmp_path, "folder", {**FILES, "b.png": picture(9)})
    assert measure(changed, tmp_path / "some", limit=2).complete
    damaged = opened(tmp_path, "folder", {**FILES, "b.png": b"no image"})
    results = measure(damaged, tmp_path / "damaged")
    assert set(results.unreadable["mini"]) == {"b"}
