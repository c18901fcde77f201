"""Image sets: one set in every layout and storage, and what is refused."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tokbench.errors import DataError, DigestError, EmptyImageSetError, ImageError, MissingPackageError
from tokbench.images.card import Item, load_card
from tokbench.images.decode import decode, set_digest
from tokbench.images.imageset import ImageSet, open_card, open_images
from tokbench.images.storage import MAX_FILE_BYTES, ids_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


FILES = {"cats/a.png": picture(0), "cats/b.png": picture(1), "dogs/a.png": picture(2), "z.PNG": picture(3)}
IDS = ["cats/a", "cats/b", "dogs/a", "z"]


def make_folder(root: Path, files: Mapping[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def tar_bytes(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def parquet_bytes(files: Mapping[str, bytes] = FILES, *, group: int = 3, **columns: list[object]) -> bytes:
    rows = [{"bytes": data, "path": name} for name, data in files.items()]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": rows, **columns}), buffer, row_group_size=group)
    return buffer.getvalue()


def contents(images: ImageSet) -> list[tuple[str, bytes | ImageError]]:
    return [(item.id, data) for item, data in images.read(images.items)]


def digest_of(images: ImageSet) -> str:
    return set_digest((item.id, decode(data, item.file).digest) for item, data in images.read(images.items))


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """One set as a folder, a tar and Parquet (in one file and in two), locally and in memory."""
    import fsspec

    memory = fsspec.filesystem("memory")
    root = f"/{tmp_path.name}"
    for name, data in FILES.items():
        memory.pipe_file(f"{root}/set/{name}", data)
    backwards = dict(reversed(FILES.items()))
    half = len(FILES) // 2
    parts = [dict(list(FILES.items())[:half]), dict(list(FILES.items())[half:])]
    (tmp_path / "set.tar").write_bytes(tar_bytes(backwards))
    (tmp_path / "set.parquet").write_bytes(parquet_bytes(backwards))
    for index, part in enumerate(parts):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / "parts" / f"{index}.parquet").write_bytes(parquet_bytes(part, group=1))
    for name in ("set.tar", "set.parquet"):
        memory.pipe_file(f"{root}/{name}", (tmp_path / name).read_bytes())
    return {
        "folder": str(make_folder(tmp_path / "set")),
        "file URL": f"file://{tmp_path}/set",
        "tar": f"{tmp_path}/set.tar",
        "parquet": f"{tmp_path}/set.parquet",
        "parquet folder": f"{tmp_path}/parts",
        "memory folder": f"memory:/{root}/set",
        "memory tar": f"memory:/{root}/set.tar",
        "memory parquet": f"memory:/{root}/set.parquet",
    }


def test_every_layout_and_storage_gives_the_same_set(places: dict[str, str]) -> None:
    sets = {name: open_images(source) for name, source in places.items()}
    wanted = sorted((name.rpartition(".")[0], data) for name, data in FILES.items())
    assert [name for name, _ in wanted] == IDS
    for name, images in sets.items():
        assert contents(images) == wanted, name
        assert images.name == ("images:parts" if name == "parquet folder" else "images:set")
        assert [item.size for item in images.items] == [len(data) for _, data in wanted]
        again = pickle.loads(pickle.dumps(images))
        assert contents(again) == wanted, name
    assert len({digest_of(images) for images in sets.values()}) == 1
    listing = "".join(f"{name}\0{len(data)}\n" for name, data in wanted)
    assert {images.identity for images in sets.values()} == {
        "listing:" + hashlib.sha256(listing.encode()).hexdigest()
    }


def test_items_are_yielded_in_the_order_asked_for(places: dict[str, str]) -> None:
    for source in places.values():
        images = open_images(source)
        chosen = [images.items[index] for index in (2, 0, 3)]
        assert [item.id for item, _ in images.read(chosen)] == ["dogs/a", "cats/a", "z"]


def test_identity_prefers_what_is_pinned() -> None:
    item = Item("a", "a.png", 3, sha256="0" * 64)
    assert ImageSet("n", "1", "", "sha256:x", (item,), None).identity == "sha256:x"
    pinned = ImageSet("n", "1", "", "", (item,), None).identity
    assert pinned == "files:" + hashlib.sha256(b"a\0" + b"0" * 64 + b"\n").hexdigest()
    assert ImageSet("n", "1", "", "", (item, Item("b", "b.png", 4)), None).identity.startswith("listing:")


def test_folder_skips_hidden_files_and_counts_others(tmp_path: Path) -> None:
    extra = {".hidden.png": b"x", ".git/c.png": b"x", "notes.txt": b"x", "sub/data.csv": b"x", "c.JPEG": b"x"}
    make_folder(tmp_path, {**FILES, **extra})
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    images = open_images(str(tmp_path))
    assert [item.id for item in images.items] == ["c", *IDS]
    assert images.ignored == 2


def test_ids_keep_their_suffix_where_stems_collide() -> None:
    paths = ["a.png", "a.jpg", "b.png", "c.png", "c.png.jpg", "d.v1.png", "e"]
    assert ids_of(paths) == {
        "a.png": "a.png",
        "a.jpg": "a.jpg",
        "b.png": "b",
        "c.png": "c",
        "c.png.jpg": "c.png.jpg",  # its stem is the name of another file
        "d.v1.png": "d.v1",
        "e": "e",
    }


def test_names_that_are_not_utf8_are_read_and_digested(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(picture(0))
    images = open_images(str(tmp_path))
    assert images.identity.startswith("listing:")
    assert digest_of(images).startswith("sha256:")


def test_missing_and_empty_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing at `.*/nowhere`") as caught:
        open_images(str(tmp_path / "nowhere"))
    assert caught.value.hint
    make_folder(tmp_path / "empty", {"a.txt": b"", "b/c.csv": b""})
    with pytest.raises(EmptyImageSetError, match=r"empty` holds no image \(2 other files\)"):
        open_images(str(tmp_path / "empty"))
    (tmp_path / "one.png").write_bytes(picture(0))
    with pytest.raises(DataError, match="not a folder") as caught:
        open_images(str(tmp_path / "one.png"))
    assert "folder that holds the image" in str(caught.value)
    with pytest.raises(DataError, match="cannot be opened"):
        open_images("nosuchscheme://x")


def test_a_scheme_whose_package_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", refuse)
    with pytest.raises(MissingPackageError, match="s3fs"):
        open_images("s3://bucket/set")


def test_a_file_that_vanishes_is_an_image_error_and_the_rest_follows(tmp_path: Path) -> None:
    images = open_images(str(make_folder(tmp_path)))
    (tmp_path / "cats/b.png").unlink()
    got = contents(images)
    assert isinstance(got[1][1], ImageError)
    assert got[1][1].message == "cats/b.png: cannot be read: No such file or directory"
    assert [data for _, data in (got[0], got[2], got[3])] == [
        FILES[name] for name in ("cats/a.png", "dogs/a.png", "z.PNG")
    ]


def test_a_file_beyond_the_size_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    [(_, error)] = contents(open_images(str(tmp_path)))
    assert isinstance(error, ImageError)
    assert "huge.png: 512 MiB is more" in error.message


# ---- tar


def open_tar(tmp_path: Path, data: bytes) -> ImageSet:
    (tmp_path / "x.tar").write_bytes(data)
    return open_images(str(tmp_path / "x.tar"))


def test_tar_groups_members_by_webdataset_keys(tmp_path: Path) -> None:
    files = {
        "s/1.jpg": b"one",
        "s/1.txt": b" a word\n",
        "s/1.cls": b"7",
        "s/1.json": b'{"boxes": [[1, 2]]}',
        "s/1.seg.png": b"mask",
        "s/2.png": b"two",
        "s/README": b"?",
        "s/._2.png": b"finder",
        "v.1.png": b"three",
        "v.2.png": b"four",
    }
    images = open_tar(tmp_path, tar_bytes(files))
    assert contents(images) == [("s/1", b"one"), ("s/2", b"two"), ("v.1", b"three"), ("v.2", b"four")]
    assert images.items[0].truth == {"text": "a word", "label": 7, "boxes": [[1, 2]]}
    assert images.items[1].truth == {}
    assert images.ignored == 2  # the mask and README


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png"])
def test_tar_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"member '{name}' is refused: its name leads out"):
        open_tar(tmp_path, tar_bytes({"a.png": b"x", name: b"y"}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_tar_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("link.png")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(DataError, match=r"'link\.png' is refused: it is a link"):
        open_tar(tmp_path, buffer.getvalue())


def test_tar_duplicates_are_refused(tmp_path: Path) -> None:
    twice = tar_bytes({"a.png": b"x"})[:1024] + tar_bytes({"./a.png": b"y"})
    with pytest.raises(DataError, match=r"'\./a\.png' is refused: its name occurs twice"):
        open_tar(tmp_path, twice)


def test_tar_damage_is_never_a_shorter_set(tmp_path: Path) -> None:
    whole = tar_bytes({"a.png": b"x" * 600, "b.png": b"y" * 600})  # 1536 bytes each
    for damaged in (whole[:1000], whole[:1536], whole[:2000], whole[:1536] + b"\x99" * 512 + whole[2048:]):
        with pytest.raises(DataError, match="tar"):
            open_tar(tmp_path, damaged)
    with pytest.raises(DataError, match="not a readable tar"):
        open_tar(tmp_path, b"\x1f\x8b garbage")


@pytest.mark.parametrize(
    "truth", [("a.json", b"{"), ("a.json", b"[1]"), ("a.cls", b"cat"), ("a.txt", b"\xff\xfe")]
)
def test_tar_truth_that_cannot_be_read_is_named(tmp_path: Path, truth: tuple[str, bytes]) -> None:
    with pytest.raises(DataError, match=rf"member '{truth[0]}' cannot be read as truth"):
        open_tar(tmp_path, tar_bytes({"a.png": b"x", truth[0]: truth[1]}))


def test_a_tar_cut_after_indexing_gives_image_errors(tmp_path: Path) -> None:
    images = open_tar(tmp_path, tar_bytes({"a.png": b"x" * 600, "b.png": b"y" * 600}))
    os.truncate(tmp_path / "x.tar", 2100)
    (_, first), (_, second) = contents(images)
    assert first == b"x" * 600
    assert isinstance(second, ImageError)
    assert "b.png in" in second.message


# ---- Parquet


def open_parquet(tmp_path: Path, data: bytes) -> ImageSet:
    (tmp_path / "x.parquet").write_bytes(data)
    return open_images(str(tmp_path / "x.parquet"))


def test_parquet_scalars_become_truth_and_an_id_column_names_rows(tmp_path: Path) -> None:
    data = parquet_bytes(
        id=[9, 3, 5, 4], label=[1, 2, None, 4], word=["a", "b", "c", "d"], boxes=[[1], [], [2], [3]]
    )
    images = open_parquet(tmp_path, data)
    assert [item.id for item in images.items] == ["3", "4", "5", "9"]
    assert images.items[0].truth == {"label": 2, "word": "b"}
    assert images.items[0].file == "cats/b.png"
    assert dict(contents(images))["9"] == FILES["cats/a.png"]


@pytest.mark.parametrize("paths", [[None] * 4, ["same.png"] * 4])
def test_parquet_without_usable_paths_is_numbered(tmp_path: Path, paths: list[str | None]) -> None:
    rows = [{"bytes": data, "path": path} for data, path in zip(FILES.values(), paths, strict=True)]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": rows}), buffer)
    assert [item.id for item in open_parquet(tmp_path, buffer.getvalue()).items] == [
        f"{row:08d}" for row in range(4)
    ]


def test_parquet_of_plain_bytes_and_null_rows(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": pa.array([b"one", None, b"three"], pa.binary())}), buffer)
    (_, one), (_, two), (_, three) = contents(open_parquet(tmp_path, buffer.getvalue()))
    assert (one, three) == (b"one", b"three")
    assert isinstance(two, ImageError)
    assert two.message == "00000001: the row holds no image bytes"


def test_parquet_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"picture": [b"x"]}), buffer)
    with pytest.raises(DataError, match=r"x\.parquet has no column `image`") as caught:
        open_parquet(tmp_path, buffer.getvalue())
    assert "picture" in str(caught.value)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": [1, 2]}), buffer)
    with pytest.raises(DataError, match=r"`image` must hold bytes"):
        open_parquet(tmp_path, buffer.getvalue())
    with pytest.raises(DataError, match=r"id '7' occurs twice"):
        open_parquet(tmp_path, parquet_bytes(id=[7, 1, 7, 2]))
    with pytest.raises(DataError, match=r"x\.parquet cannot be read"):
        open_parquet(tmp_path, parquet_bytes()[:200])
    (tmp_path / "two").mkdir()
    (tmp_path / "two/0.parquet").write_bytes(parquet_bytes())
    (tmp_path / "two/1.parquet").write_bytes(parquet_bytes(label=[1, 2, 3, 4]))
    with pytest.raises(DataError, match=r"1\.parquet has other columns"):
        open_images(str(tmp_path / "two"))


def test_parquet_reads_more_images_than_it_holds(tmp_path: Path) -> None:
    files = {f"{index:03d}.png": bytes([index % 251]) * 10 for index in range(300)}
    shuffled = {name: files[name] for name in np.random.default_rng(0).permutation(list(files))}
    images = open_parquet(tmp_path, parquet_bytes(shuffled, group=90))
    assert contents(images) == [(name[:-4], data) for name, data in files.items()]


# ---- cards


def make_card(tmp_path: Path, **changes: object) -> Path:
    values: dict[str, object] = {
        "name": "mini",
        "version": "1",
        "title": "t",
        "license": "CC0-1.0",
        "source": "https://example.org",
        "purpose": "p",
        "reader": "folder",
        "path": "set",
        "count": 4,
    }
    lines = [
        f"{key} = {value!r}".replace("'", '"') for key, value in (values | changes).items() if key != "items"
    ]
    for item in changes.get("items", []):
        lines += ["[[items]]", *(f'{key} = "{value}"' for key, value in item.items())]
    path = tmp_path / "mini.toml"
    path.write_text("\n".join(lines).replace("True", "true"))
    return path


def opened(path: Path) -> ImageSet:
    return open_card(load_card(path), path.parent)


def listed(names: list[str], **changes: str) -> list[dict[str, str]]:
    return [
        {
            "id": name.rpartition(".")[0],
            "file": name,
            "sha256": hashlib.sha256(FILES[name]).hexdigest(),
            **changes,
        }
        for name in names
    ]


def test_a_card_without_items_counts_what_it_finds(tmp_path: Path) -> None:
    make_folder(tmp_path / "set")
    images = opened(make_card(tmp_path))
    assert (images.name, images.version, images.license) == ("mini", "1", "CC0-1.0")
    assert [item.id for item in images.items] == IDS
    with pytest.raises(DigestError, match=r"`mini`: the card says 5 images, set holds 4"):
        opened(make_card(tmp_path, count=5))


@pytest.mark.parametrize("reader", ["folder", "tar", "parquet"])
def test_pinned_files_are_verified_while_reading(tmp_path: Path, reader: str) -> None:
    make_folder(tmp_path / "set")
    (tmp_path / "set.tar").write_bytes(tar_bytes(FILES))
    (tmp_path / "set.parquet").write_bytes(parquet_bytes())
    path = "set" if reader == "folder" else f"set.{reader}"
    items = listed(["cats/b.png", "cats/a.png"], credit="me")
    images = opened(make_card(tmp_path, count=2, reader=reader, path=path, items=items))
    assert contents(images) == [("cats/a", FILES["cats/a.png"]), ("cats/b", FILES["cats/b.png"])]
    assert {item.credit for item in images.items} == {"me"}
    assert images.identity.startswith("files:")
    items[0]["sha256"] = "0" * 64
    reading = opened(make_card(tmp_path, count=2, reader=reader, path=path, items=items))
    stream = reading.read(reading.items)
    assert next(stream)[0].id == "cats/a"
    with pytest.raises(DigestError, match=r"`mini`: cats/b\.png is not the file the card names"):
        next(stream)


def test_a_card_whose_images_are_missing_says_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`mini`: there is nothing at `set`") as caught:
        opened(make_card(tmp_path))
    assert "https://example.org" in str(caught.value)
    make_folder(tmp_path / "set")
    items = [*listed(["cats/b.png"]), {"id": "q", "file": "q.png"}]
    with pytest.raises(DataError, match=r"`mini`: q\.png is missing in set") as caught:
        opened(make_card(tmp_path, count=2, embedded=True, items=items))
    assert caught.value.hint == "reinstall tokbench"
    (tmp_path / "set.tar").write_bytes(tar_bytes(FILES))
    with pytest.raises(DigestError, match=r"set\.tar has no image `q` \(1 missing\)"):
        opened(make_card(tmp_path, count=2, reader="tar", path="set.tar", items=items))


def test_a_pinned_digest_is_the_identity_and_parquet_is_then_not_measured(tmp_path: Path) -> None:
    (tmp_path / "set.parquet").write_bytes(parquet_bytes())
    digest = "sha256:" + "1" * 64
    images = opened(make_card(tmp_path, reader="parquet", path="set.parquet", digest=digest))
    assert images.identity == images.digest == digest
    assert {item.size for item in images.items} == {0}
    assert len(contents(images)) == 4
