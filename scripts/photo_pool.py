"""Build the pool of real photographs that tokbench trains and evaluates on, from public packages.

The packages of ``_photo_list.py`` are downloaded through the user's own clients (``pip download`` and
``apt-get download``), unpacked without being installed, and their photographs written as PNG:

    POOL/train/<photo>.png, POOL/evaluation/<photo>.png, POOL/index.json

The split is by photograph. A perceptual hash refuses near duplicates anywhere in the pool, and a photograph
of the evaluation part is refused unless its package states a licence that allows redistribution.

    python scripts/photo_pool.py --cache CACHE --pool POOL [--record] [--check]

``--record`` writes the committed lists ``scripts/training_photos.json`` and
``datasets/evaluation_photos.json``; ``--check`` compares the pool with them and fails on any difference.
Needs Pillow, pip, and for the Debian packages apt-get and dpkg of Debian 12.
"""

from __future__ import annotations

import argparse
import bz2
import fnmatch
import hashlib
import io
import json
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from _photo_list import (
    GCOMPRIS,
    LOMIRI,
    MATE_TRAIN,
    OPENCV_TRAIN,
    PACKAGES,
    PLASMA_TRAIN,
    PUBLIC_DOMAIN,
    STATED,
    Package,
)
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
TRAINING_LIST = REPOSITORY / "scripts" / "training_photos.json"
EVALUATION_LIST = REPOSITORY / "datasets" / "evaluation_photos.json"

LEAST_SIDE = 250  # pixels; crops are 256 wide, so that hardly anything is enlarged
SHORT_SIDE = 1080  # pixels; larger photographs are reduced, smaller ones kept as they are
HASH_SIDE = 16  # the difference hash has HASH_SIDE**2 bits
NEAR_DUPLICATE_BITS = 40  # of 256; unrelated photographs differ in about 128
REDISTRIBUTABLE = re.compile(r"CC0-1\.0|CC-BY(-SA)?-[1234]\.[05]|LicenseRef-public-domain")

# Wheels are unpacked for their data files only, so any platform does; one is fixed to keep the bytes fixed.
PIP_PLATFORMS = (
    "manylinux2014_x86_64",
    "manylinux_2_24_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_28_x86_64",
)


@dataclass(frozen=True)
class Photo:
    """One photograph of the pool; ``data`` is the member's bytes as the package holds them."""

    id: str
    package: Package
    member: str
    data: bytes
    part: str
    licence: str
    licence_read_in: str
    author: str
    title: str
    url: str


def download(package: Package, cache: Path) -> Path:
    """The folder the package is unpacked in; downloads and unpacks it on the first call."""
    folder = cache / f"{package.name}_{package.version.replace(':', '%3a')}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_suffix(".part")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "archive").mkdir(parents=True)
    if package.client == "pip":
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--python-version", "3.11", "--dest", str(scratch / "archive")]
        for platform in PIP_PLATFORMS:
            command += ["--platform", platform]
        subprocess.run([*command, f"{package.name}=={package.version}"], check=True)
    elif package.client == "sdist":
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        wanted = f"{package.name}=={package.version}"
        subprocess.run([*command, "--dest", str(scratch / "archive"), wanted], check=True)
    else:
        command = ["apt-get", "-q", "download", f"{package.name}={package.version}"]
        subprocess.run(command, check=True, cwd=scratch / "archive", stderr=subprocess.DEVNULL)
    (archive,) = (scratch / "archive").iterdir()
    if archive.suffix == ".deb":
        subprocess.run(["dpkg", "-x", str(archive), str(scratch / "files")], check=True)
    elif archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as source:
            source.extractall(scratch / "files", filter="data")
    else:
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(scratch / "files")
    shutil.move(scratch / "files", folder)
    shutil.rmtree(scratch)
    return folder


def read_rcc(data: bytes) -> dict[str, bytes]:
    """Files of a binary Qt resource file (format versions 1 to 3), by path; zlib members are inflated.

    The tree is a table of fixed-size big-endian rows: name offset (uint32), flags (uint16), then for a folder
    the child count and the first child's row, and for a file four bytes of locale and its data offset.
    """
    magic, version, tree, payload, names = struct.unpack_from(">4s4I", data)
    if magic != b"qres":
        raise ValueError("not a Qt resource file")
    row_bytes = 14 if version == 1 else 22
    found: dict[str, bytes] = {}

    def walk(row: int, parents: tuple[str, ...]) -> None:
        start = tree + row * row_bytes
        name_offset, flags = struct.unpack_from(">IH", data, start)
        path = parents
        if row:
            (length,) = struct.unpack_from(">H", data, names + name_offset)
            first = names + name_offset + 6  # after the length and a hash of the name
            path = (*parents, data[first : first + 2 * length].decode("utf-16-be"))
        if flags & 2:
            count, child = struct.unpack_from(">II", data, start + 6)
            for index in range(child, child + count):
                walk(index, path)
            return
        (offset,) = struct.unpack_from(">I", data, start + 10)
        (size,) = struct.unpack_from(">I", data, payload + offset)
        body = data[payload + offset + 4 : payload + offset + 4 + size]
        if flags & 1:
            body = zlib.decompress(body[4:])
        elif flags & 4:
            raise ValueError(f"{'/'.join(path)}: compressed with zstd, which this reader does not know")
        found["/".join(path)] = body

    walk(0, ())
    return found


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Paragraphs of "Key: value" lines; a line without a key continues the value before it."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in paragraph.splitlines():
            match = re.match(r"([A-Z][A-Za-z-]+):\s*(.*)", line)
            if match:
                key = match[1]
                fields[key] = match[2]
            elif key:
                fields[key] += "\n" + line.strip()
        if fields:
            yield fields


def spdx(stated: str) -> str:
    """The SPDX id of a licence as these packages write it ("Public Domain", "CC-BY-SA 4.0", "GPL-2+")."""
    name = stated.split("\n", maxsplit=1)[0].strip()
    if name.lower().replace("-", " ") == "public domain":
        return PUBLIC_DOMAIN
    known = {"GPL-2+": "GPL-2.0-or-later", "LGPLv3": "LGPL-3.0-only"}
    return known.get(name, name.replace(" ", "-"))


def title_of(url: str, fallback: str) -> str:
    """A readable title: the file name in a Wikimedia Commons address, else the fallback."""
    match = re.search(r"/File:(.+)$", url)
    name = unquote(match[1]) if match else fallback
    return re.sub(r"\.(jpe?g|png|webp)$", "", name, flags=re.IGNORECASE).replace("_", " ").strip()


def gcompris(package: Package, root: Path) -> Iterator[Photo]:
    """Photographs of GCompris; author, licence and source from the README beside them."""
    folder = "usr/share/gcompris-qt/rcc"
    for activity, parts in GCOMPRIS.items():
        members = read_rcc((root / folder / f"{activity}.rcc").read_bytes())
        wanted = {f"{name}.webp": part for part, names in parts.items() for name in names.split()}
        for readme in sorted(path for path in members if path.endswith("/README")):
            for fields in stanzas(members[readme].decode("utf-8")):
                text = "\n".join(fields.values())
                for name in wanted.keys() & set(text.split()):
                    part = wanted.pop(name)
                    author = fields.get("Copyright", "author not stated").split("\n")[0]
                    url = fields.get("Source", "").split("\n")[0]
                    based_on = re.search(r"by (.+), license (CC\S+ [\d.]+), source at (\S+)", text)
                    if based_on:
                        author = f"{based_on[1]} ({based_on[2]}), adapted by {author}"
                        url = based_on[3]
                    path = readme.removesuffix("README") + name
                    short = name.rsplit("/", 1)[-1].removesuffix(".webp").removesuffix("_background")
                    yield Photo(
                        id=f"gcompris-{activity.removeprefix('explore_').replace('_', '-')}-{short}",
                        package=package,
                        member=f"{folder}/{activity}.rcc!{path}",
                        data=members[path],
                        part=part,
                        licence=spdx(fields["License"]),
                        licence_read_in=f"{folder}/{activity}.rcc!{readme}",
                        author=author,
                        title=title_of(url, short),
                        url=url,
                    )
        if wanted:
            raise ValueError(f"{activity}: no README entry for {sorted(wanted)}")


def by_copyright_file(
    package: Package, root: Path, names: dict[str, str], *, folder: str, prefix: str, listed_under: str
) -> Iterator[Photo]:
    """Photographs whose licence is in the package's machine-readable Debian copyright file.

    ``names`` maps file stems of ``folder`` to their part; ``listed_under`` is the folder under which the
    copyright file lists them (it describes the source package). The last matching entry counts.
    """
    notice = f"usr/share/doc/{package.name}/copyright"
    entries = [fields for fields in stanzas((root / notice).read_text("utf-8")) if "Files" in fields]
    for name, part in names.items():
        listed = f"{listed_under}{name}.jpg"
        matching = [e for e in entries if any(fnmatch.fnmatchcase(listed, p) for p in e["Files"].split())]
        fields = matching[-1]
        holder = re.sub(r"^[\d, .-]+|[, ]+\d{4}$", "", fields["Copyright"].split("\n")[0])
        yield Photo(
            id=f"{prefix}-{name.split('_by_')[0].lower().replace('_', '-')}",
            package=package,
            member=f"{folder}/{name}.jpg",
            data=(root / folder / f"{name}.jpg").read_bytes(),
            part=part,
            licence=spdx(fields["License"]),
            licence_read_in=notice,
            author=re.sub(r"\s*<[^>]*>", "", holder).replace('"', "").strip(" ´"),
            title=name.split("_by_")[0].replace("_", " "),
            url="",
        )


def lomiri(package: Package, root: Path) -> Iterator[Photo]:
    """Photographs of the Lomiri wallpaper packages."""
    series = package.name.rsplit("-", 1)[-1]
    names = {name: part for part, listed in LOMIRI[series].items() for name in listed.split()}
    yield from by_copyright_file(
        package, root, names, folder="usr/share/backgrounds", prefix="lomiri", listed_under=f"{series}/"
    )


def mate(package: Package, root: Path) -> Iterator[Photo]:
    """Nature photographs of the MATE desktop (training only: GPL)."""
    names = dict.fromkeys(MATE_TRAIN.split(), "train")
    yield from by_copyright_file(
        package,
        root,
        names,
        folder="usr/share/backgrounds/mate/nature",
        prefix="mate",
        listed_under="nature/",
    )


def plasma(package: Package, root: Path) -> Iterator[Photo]:
    """Photographs of the Plasma wallpapers (training only: LGPL by each wallpaper's own metadata)."""
    for name in PLASMA_TRAIN.split():
        folder = f"usr/share/wallpapers/{name}"
        about = json.loads((root / folder / "metadata.json").read_text("utf-8"))["KPlugin"]
        member = f"{folder}/contents/images/2560x1600.jpg"
        yield Photo(
            id=f"plasma-{name.lower().replace('_', '-')}",
            package=package,
            member=member,
            data=(root / member).read_bytes(),
            part="train",
            licence=spdx(about["License"]),
            licence_read_in=f"{folder}/metadata.json",
            author=", ".join(author["Name"] for author in about["Authors"]),
            title=about["Name"],
            url="",
        )


def opencv(package: Package, root: Path) -> Iterator[Photo]:
    """Example photographs of OpenCV (training only: the package's licence, no notice of their own)."""
    folder = "usr/share/doc/opencv-doc/examples"
    for name in OPENCV_TRAIN.split():
        yield Photo(
            id="opencv-" + re.sub(r"[/_]", "-", name.rsplit(".", 1)[0]).removeprefix("data-").lower(),
            package=package,
            member=f"{folder}/{name}",
            data=(root / folder / name).read_bytes(),
            part="train",
            licence="Apache-2.0",
            licence_read_in="usr/share/doc/opencv-doc/copyright",
            author="OpenCV contributors",
            title=Path(name).stem,
            url="",
        )


def stated(package: Package, root: Path) -> Iterator[Photo]:
    """Photographs of Python wheels; the sentence that states the licence must still be in the wheel."""
    for entry in STATED:
        if entry.package != package.name:
            continue
        if entry.stated_in:
            text = " ".join((root / entry.stated_in).read_text("utf-8").split())
            if " ".join(entry.evidence.split()) not in text:
                raise ValueError(f"{entry.photo}: the licence statement is no longer in {entry.stated_in}")
        yield Photo(
            id=entry.photo,
            package=package,
            member=entry.member,
            data=(root / entry.member).read_bytes(),
            part=entry.part,
            licence=entry.licence,
            licence_read_in=entry.stated_in or entry.evidence,
            author=entry.author,
            title=entry.title,
            url=entry.url,
        )


READERS = {
    "gcompris-qt-data": gcompris,
    "lomiri-wallpapers-16.04": lomiri,
    "lomiri-wallpapers-20.04": lomiri,
    "mate-backgrounds": mate,
    "plasma-workspace-wallpapers": plasma,
    "opencv-doc": opencv,
}


def decode(photo: Photo) -> Image.Image:
    """The photograph as RGB, upright, its short side at most ``SHORT_SIDE`` pixels."""
    if photo.member.endswith("face.dat"):
        # SciPy ships this one as bzip2 of raw 768x1024 RGB rows.
        image = Image.frombytes("RGB", (1024, 768), bz2.decompress(photo.data))
    else:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(photo.data)))
        if "A" in image.getbands() and image.getchannel("A").getextrema() != (255, 255):
            raise ValueError(f"{photo.id}: has transparent pixels, so it is no plain photograph")
        image = image.convert("RGB")
    scale = SHORT_SIDE / min(image.size)
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return image


def difference_hash(image: Image.Image) -> int:
    """256 bits: whether each cell of a 16x17 grey thumbnail is brighter than its right neighbour."""
    small = image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    levels = small.tobytes()
    bits = 0
    for row in range(HASH_SIDE):
        for column in range(HASH_SIDE):
            at = row * (HASH_SIDE + 1) + column
            bits = bits << 1 | (levels[at] > levels[at + 1])
    return bits


def near_duplicates(images: dict[str, Image.Image]) -> list[tuple[int, str, str]]:
    """Pairs of photographs that look alike, upright or mirrored, with the bits they differ in."""
    hashes = {name: difference_hash(image) for name, image in images.items()}
    mirrored = {name: difference_hash(ImageOps.mirror(image)) for name, image in images.items()}
    names = sorted(images)
    pairs = []
    for at, first in enumerate(names):
        for second in names[at + 1 :]:
            distance = min((hashes[first] ^ other[second]).bit_count() for other in (hashes, mirrored))
            if distance <= NEAR_DUPLICATE_BITS:
                pairs.append((distance, first, second))
    return sorted(pairs)


def collect(cache: Path) -> list[Photo]:
    """All photographs of the list, in id order, with the licence rule of the evaluation part enforced."""
    photos: list[Photo] = []
    for package in PACKAGES:
        root = download(package, cache)
        photos.extend(READERS.get(package.name, stated)(package, root))
    photos.sort(key=lambda photo: photo.id)
    identifiers = [photo.id for photo in photos]
    repeated = {name for name in identifiers if identifiers.count(name) > 1}
    if repeated:
        raise ValueError(f"ids used twice: {sorted(repeated)}")
    for photo in photos:
        if photo.part == "evaluation" and not REDISTRIBUTABLE.fullmatch(photo.licence):
            raise ValueError(f"{photo.id}: {photo.licence} does not allow crops to be redistributed")
    return photos


def write_pool(photos: list[Photo], pool: Path) -> list[dict[str, Any]]:
    """Write the PNG files and ``index.json``; returns the index rows, one per photograph."""
    images: dict[str, Image.Image] = {}
    rows: list[dict[str, Any]] = []
    for photo in photos:
        image = decode(photo)
        if min(image.size) < LEAST_SIDE:
            raise ValueError(f"{photo.id}: {image.width}x{image.height} is too small")
        folder = pool / photo.part
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{photo.id}.png", compress_level=3)
        images[photo.id] = image.resize((256, 256), Image.Resampling.BOX)
        rows.append(
            {
                "id": photo.id,
                "package": photo.package.name,
                "version": photo.package.version,
                "member": photo.member,
                "sha256": hashlib.sha256(photo.data).hexdigest(),
                "licence": photo.licence,
                "licence_read_in": photo.licence_read_in,
                "title": photo.title,
                "author": photo.author,
                "url": photo.url,
                "width": image.width,
                "height": image.height,
                "split": photo.part,
            }
        )
    alike = near_duplicates(images)
    if alike:
        raise ValueError(f"near duplicates (bits apart, photograph, photograph): {alike}")
    (pool / "index.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return rows


def committed_lists(rows: list[dict[str, Any]]) -> dict[Path, str]:
    """The texts of the two committed lists: what was trained on, and what the embedded sets come from."""
    training = ("id", "package", "version", "member", "sha256", "licence")
    evaluation = (*training, "licence_read_in", "title", "author", "url")
    texts = {}
    for path, part, keys in ((TRAINING_LIST, "train", training), (EVALUATION_LIST, "evaluation", evaluation)):
        listed = [{key: row[key] for key in keys} for row in rows if row["split"] == part]
        texts[path] = json.dumps(listed, indent=1, ensure_ascii=False) + "\n"
    return texts


def main() -> int:
    """Build the pool; exit status 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the downloaded packages")
    parser.add_argument("--pool", type=Path, required=True, help="folder to write the photographs to")
    parser.add_argument("--record", action="store_true", help="rewrite the committed lists")
    parser.add_argument(
        "--check", action="store_true", help="fail if the pool differs from the committed lists"
    )
    arguments = parser.parse_args()
    rows = write_pool(collect(arguments.cache), arguments.pool)
    status = 0
    for path, text in committed_lists(rows).items():
        if arguments.record:
            path.write_text(text, "utf-8")
        if arguments.check and (not path.is_file() or path.read_text("utf-8") != text):
            print(f"{path.relative_to(REPOSITORY)} does not describe this pool", file=sys.stderr)
            status = 1
    counts = {part: sum(row["split"] == part for row in rows) for part in ("train", "evaluation")}
    print(f"{counts['train']} training and {counts['evaluation']} evaluation photographs in {arguments.pool}")
    return status


if __name__ == "__main__":
    sys.exit(main())
