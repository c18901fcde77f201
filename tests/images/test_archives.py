"""Archives that claim more than an image set can hold are refused before anything of it is read."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokbench.errors import DataError
from tokbench.images import parquet, tar
from tokbench.images.imageset import open_images
from tokbench.images.storage import MAX_FILE_BYTES

if TYPE_CHECKING:
    from pathlib import Path


def test_a_member_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    for size, refused in ((MAX_FILE_BYTES + 1, True), (MAX_FILE_BYTES, False), (8 << 30, True)):
        member = tarfile.TarInfo("bomb.png")
        member.size = size
        (tmp_path / "x.tar").write_bytes(member.tobuf() + bytes(1024))
        with pytest.raises(DataError, match="is refused: it is .* MiB, above 512" if refused else "tar"):
            open_images(
                str(tmp_path / "x.tar")
            )  # what may be that large is not there, which is another error


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_the_index_of_a_tar_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: bytes) -> None:
    monkeypatch.setattr(tar, "_MAX_MEMBERS", 50)
    for count in (50, 51):
        with tarfile.open(tmp_path / f"{count}.tar", "w") as archive:
            for number in range(count - 1):
                member = tarfile.TarInfo(f"{number}.txt")
                member.type = kind
                archive.addfile(member)
            archive.addfile(tarfile.TarInfo("a.png"))
    assert [item.id for item in open_images(str(tmp_path / "50.tar")).items] == ["a"]
    with pytest.raises(DataError, match=r"'a\.png' is refused: the archive has more than 50 members"):
        open_images(str(tmp_path / "51.tar"))


def test_parquet_rows_that_claim_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    pq.write_table(
        pa.table({"image": [bytes(100_000)] * 3}), buffer, compression="zstd", use_dictionary=False
    )
    (tmp_path / "x.parquet").write_bytes(buffer.getvalue())
    assert len(buffer.getvalue()) < 5_000
    assert len(open_images(str(tmp_path / "x.parquet")).items) == 3
    monkeypatch.setattr(parquet, "MAX_FILE_BYTES", 99_000)
    with pytest.raises(DataError, match=r"x\.parquet is refused: its rows claim"):
        open_images(str(tmp_path / "x.parquet"))
