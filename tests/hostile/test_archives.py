"""Archives and tables that lie: refused whole, in words, and never extracted."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.errors import DataError
from tokbench.images.imageset import open_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def refused(path: Path | str, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        open_images(str(path))
    assert caught.value.exit_code == 4


def test_thousands_of_long_names_in_a_row_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    """Each header of a long name says that another header follows; Python's reader calls itself for each."""
    member = tarfile.TarInfo("././@LongLink")
    member.type = tarfile.GNUTYPE_LONGNAME
    member.size = 2
    block = member.tobuf(tarfile.GNU_FORMAT) + b"x\0".ljust(512, b"\0")
    path = tmp_path / "long.tar"
    path.write_bytes(block * 4000 + bytes(1024))
    refused(path, "is not a readable tar file")


def test_a_size_beyond_the_file_is_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.png")
    member.size = 2**40
    path = tmp_path / "size.tar"
    path.write_bytes(member.tobuf() + bytes(1024))
    refused(path, r"a\.png.* is refused: it is 1,048,576 MiB")


@pytest.mark.parametrize("name", ["a.png", "./a.png", "b/../a.png", "/a.png", "../a.png"])
def test_names_that_mean_another_place_or_the_same_one(make_tar: Callable[..., Path], encode: Any, make_picture: Any,
                                                       name: str) -> None:  # fmt: skip
    data = encode(make_picture())
    refused(make_tar(("a.png", data), (name, data)), "occurs twice|leads out")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices(make_tar: Callable[..., Path], kind: bytes) -> None:
    member = tarfile.TarInfo("a.png")
    member.type, member.linkname = kind, "/etc/passwd"
    refused(make_tar((member, b"")), "a link, a device or a sparse file")


@pytest.mark.parametrize(
    "truth",
    [
        b"[" * 100_000,
        b'{"words": [{"text": "a", "box": [NaN, 0, 1, 1]}]}',
        b'{"words": [{"text": "a", "box": [0, 0, 1e999, 1]}]}',
        b'{"words": "a"}',
        b'{"faces": [{"box": [0, 0, 1, 1], "points": 5}]}',
        b'{"objects": [{"box": [3, 3, 1, 1]}]}',
        b'{"paper": "white"}',
        b'{"label": ' + b"9" * 5000 + b"}",
        b'{"label": 99999999999999999999}',
        b"[[1, 2]",
        b"\xff\xfe",
    ],
)
def test_truth_that_no_metric_could_use(make_tar: Callable[..., Path], encode: Any, make_picture: Any,
                                        truth: bytes) -> None:  # fmt: skip
    path = make_tar(("a.png", encode(make_picture())), ("a.json", truth))
    refused(path, r"a\.(json|png)")


def test_a_zip_is_no_layout_and_says_so(tmp_path: Path, encode: Any, make_picture: Any) -> None:
    """Neither a sound zip nor one that climbs out is opened: there is nothing to defend where nothing is unpacked."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../outside.png", encode(make_picture()))
    with pytest.raises(DataError, match=r"is not a folder, a \.tar or a \.parquet file") as caught:
        open_images(str(path))
    assert "unpack" in str(caught.value.hint)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["set.zip"]


@pytest.mark.parametrize("damage", ["text", "encrypted", "sound"])
def test_a_zip_as_a_url_is_read_like_a_folder(
    tmp_path: Path, encode: Any, make_picture: Any, damage: str
) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", encode(make_picture()))
    data = bytearray(path.read_bytes())
    if damage == "encrypted":
        for at in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
            data[at] |= 1
    path.write_bytes(b"no archive" if damage == "text" else bytes(data))
    source = f"zip://::{path}"
    if damage == "text":
        refused(source, "cannot be opened")
        return
    images = open_images(source)
    ((item, read),) = images.read(images.items)
    assert item.id == "a"
    assert isinstance(read, bytes) == (damage == "sound")


def parquet(folder: Path, **columns: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "set.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_of_wrong_types(tmp_path: Path, encode: Any, make_picture: Any) -> None:
    import pyarrow as pa

    data = encode(make_picture())
    refused(parquet(tmp_path, image=[1, 2]), "must hold bytes")
    refused(parquet(tmp_path, image=["a", "b"]), "must hold bytes")
    refused(parquet(tmp_path, image=[{"path": "a"}]), "must hold bytes")
    refused(parquet(tmp_path, picture=[data]), "has no column `image`")
    refused(parquet(tmp_path, image=[data, data], id=["a", "a"]), "occurs twice")
    nulls = pa.array([None, None], pa.string())
    refused(parquet(tmp_path, image=[data, data], id=nulls), "occurs twice")
    (tmp_path / "set.parquet").write_bytes(b"PAR1" + bytes(100) + struct.pack("<I", 2**31 - 1) + b"PAR1")
    refused(tmp_path / "set.parquet", "cannot be read")


def test_parquet_columns_that_look_like_truth_and_long_text(
    tmp_path: Path, encode: Any, make_picture: Any
) -> None:
    data = encode(make_picture())
    path = parquet(
        tmp_path, image=[data, None], words=["ink", "pen"], paper=[1, 2], text=["x" * 1_000_000, None]
    )
    images = open_images(str(path))
    assert [set(item.truth) for item in images.items] == [{"text"}, {"text"}]
    assert [isinstance(read, bytes) for _, read in images.read(images.items)] == [True, False]


def test_parquet_text_that_is_not_utf8(tmp_path: Path, encode: Any, make_picture: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(struct.pack("<ii", 0, 2)), pa.py_buffer(b"\xff\xfe")]
    )
    pq.write_table(pa.table({"image": [encode(make_picture())], "id": broken}), tmp_path / "set.parquet")
    refused(tmp_path / "set.parquet", "cannot be read")


@pytest.mark.parametrize(
    "content",
    [
        b'[{"file_name": "a.png", "annotations": [{"rec": "x", "bbox": [NaN, 0, 1, 1]}]}]',
        b'[{"file_name": "a.png", "annotations": [{"rec": "x", "bbox": [0, 0, Infinity, 1]}]}]',
        b'[{"file_name": "a.png", "annotations": [{"rec": "x", "bbox": [0, 0, 1, 1], "ratio": NaN}]}]',
        b'[{"file_name": "a.png", "annotations": [{"rec": "x", "bbox": [0, 0, ' + b"9" * 5000 + b", 1]}]}]",
        b"[" * 50_000,
        b'[{"file_name": "a.png", "annotations": 5}]',
        b'[{"file_name": ["a.png"], "annotations": []}]',
        b"null",
        b"",
    ],
)
def test_annotations_that_are_no_numbers(
    tmp_path: Path, encode: Any, make_picture: Any, content: bytes
) -> None:
    (tmp_path / "a.png").write_bytes(encode(make_picture()))
    (tmp_path / "truth.json").write_bytes(content)
    (tmp_path / "card.toml").write_text(
        'name = "card"\nversion = "1"\ntitle = "t"\nlicense = "l"\nsource = "s"\npurpose = "p"\nreader = "folder"\n'
        'path = "."\ncount = 1\nannotations = {format = "tokbench-words", file = "truth.json"}\n'
    )
    refused(tmp_path / "card.toml", "truth.json is not of the layout|truth of a.png")


def test_a_member_cannot_hide_in_a_header_of_another(tmp_path: Path, encode: Any, make_picture: Any) -> None:
    """PAX headers may rename what follows; the new name is checked like any."""
    stream = io.BytesIO()
    data = encode(make_picture())
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a.png")
        member.size, member.pax_headers = len(data), {"path": "../../outside.png"}
        tar.addfile(member, io.BytesIO(data))
    path = tmp_path / "pax.tar"
    path.write_bytes(stream.getvalue())
    refused(path, "leads out of the archive")
    assert json.dumps(sorted(each.name for each in tmp_path.iterdir())) == '["pax.tar"]'


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_names_of_any_length_and_letters_in_a_tar(
    make_tar: Callable[..., Path], encode: Any, make_picture: Any, format_: int
) -> None:
    data = encode(make_picture())
    names = ["n" * 300, "a\nb", "esc\x1b[31m", "C:\\x", "é", "e\u0301", "not\udcffutf8", "=cmd|x"]
    path = make_tar(*((f"{name}.png", data) for name in names), format=format_)
    images = open_images(str(path))
    assert {item.id for item in images.items} == {*names} - {"not\udcffutf8"} | {"not\\udcffutf8"}
    assert all(read == data for _, read in images.read(images.items))


def test_a_shard_whose_text_is_not_utf8_is_damaged(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tokbench.errors import IntegrityError
    from tokbench.results.store import Store

    path = tmp_path / "shards" / "job" / "00000.parquet"
    path.parent.mkdir(parents=True)
    text = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(struct.pack("<ii", 0, 2)), pa.py_buffer(b"\xff\xfe")]
    )
    marks = {"tokbench.key": "key", "tokbench.shard": "0"}
    pq.write_table(pa.table({"image": text}).replace_schema_metadata(marks), path)
    with pytest.raises(IntegrityError, match="cannot be used"):
        Store(tmp_path).read_rows("job", "key", 0)
    assert not Store(tmp_path).done("job", "key", 0)


def test_parquet_whose_columns_are_shorter_than_it_says(
    tmp_path: Path, encode: Any, make_picture: Any
) -> None:
    """Found by fuzzing: a footer may say that a group has more rows than its columns hold."""
    from tokbench.errors import TokbenchError

    data = encode(make_picture())
    whole = parquet(tmp_path, image=[data, data], id=["a", "b"], label=[1, 2]).read_bytes()
    size = int.from_bytes(whole[-8:-4], "little")
    footer = whole[-8 - size : -8]
    refusals = 0
    for at in range(len(footer)):
        if footer[at] != 4:  # a row count of 2, as a zigzag number
            continue
        changed = footer[:at] + bytes([6]) + footer[at + 1 :]
        (tmp_path / "set.parquet").write_bytes(whole[: -8 - size] + changed + whole[-8:])
        try:
            open_images(str(tmp_path / "set.parquet"))
        except TokbenchError:
            refusals += 1
    assert refusals >= 2
