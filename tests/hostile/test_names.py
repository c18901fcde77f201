"""Names that files may have: measured like any other, shown as text, stored as UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tokbench.errors import DataError, TokbenchError
from tokbench.images.card import Item
from tokbench.images.imageset import ImageSet, open_images
from tokbench.results.results import Results

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {
    b"line\nbreak.png": "line\nbreak",
    b"esc\x1b[31m\x07.png": "esc\x1b[31m\x07",
    b"n" * 240 + b".png": "n" * 240,
    b"not\xff\xfeutf8.png": "not\\udcff\\udcfeutf8",
    "é.png".encode(): "é",
    "e\u0301.png".encode(): "e\u0301",
    b"C:\\windows\\system32.png": "C:\\windows\\system32",
    b"@@infinity@@.png": "@@infinity@@",
    b"=cmd|'calc'!A1.png": "=cmd|'calc'!A1",
    b"[red]x[link=http:x].png": "[red]x[link=http:x]",
    b"<b>.png": "<b>",
    "\u202egnp.png".encode(): "\u202egnp",
    b" two  words .png": " two  words ",
    b"a..png": "a.",
}


@pytest.fixture(scope="module")
def done(
    make_picture: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[bytes]]:
    """A run on pictures of all these names, one of them broken, in a folder whose own name is not UTF-8."""
    root = tmp_path_factory.mktemp("names")
    folder = os.path.join(os.fsencode(root), b"set\xff\x1b[31m")  # noqa: PTH118 (bytes)
    os.mkdir(folder)  # noqa: PTH102
    make_picture(72, 64).save(root / "one.png")
    for name in NAMES:
        (root / "copy.png").write_bytes((root / "one.png").read_bytes())
        os.rename(root / "copy.png", os.path.join(folder, name))  # noqa: PTH104, PTH118
    (root / "broken").write_bytes((root / "one.png").read_bytes()[:300])
    os.rename(root / "broken", os.path.join(folder, b"broken\xff\x1b[2J\n.png"))  # noqa: PTH104, PTH118
    command = [
        sys.executable,
        "-m",
        "tokbench",
        "run",
        "-t",
        "identity",
        "--protocol",
        "adm-64",
        "--workers",
        "1",
    ]
    finished = subprocess.run(
        [*map(os.fsencode, command), b"--images", folder, b"--out", os.fsencode(root / "out")],
        capture_output=True,
        check=False,
        timeout=240,
    )
    return root / "out", finished


def test_every_name_is_measured_and_kept(done: Any) -> None:
    out, finished = done
    assert finished.returncode == 4, finished.stderr  # one picture is broken, and named
    results = Results.load(out)
    frame = results.images()
    assert set(frame["image"][frame["status"] == "ok"]) == set(NAMES.values())
    (lost,) = results.unreadable.values()
    assert list(lost) == ["broken\\udcff\x1b[2J\n"]
    assert results.value("identity", "psnr") == np.inf


def test_nothing_steers_the_terminal_and_everything_is_utf8(done: Any) -> None:
    out, finished = done
    for text in (finished.stdout.decode(), finished.stderr.decode()):
        assert not [letter for letter in text if not letter.isprintable() and letter not in "\n"]
        assert "\\udcff" in text
    for path in out.glob("*.json"):
        document = path.read_bytes().decode("utf-8")
        assert json.loads(document)
        assert not {letter for letter in document if not letter.isprintable() and letter != "\n"}


def test_bytes_that_are_not_utf8_are_escaped_in_ids_and_errors() -> None:
    assert Item("a\udcff", "a\udcff.png").id == "a\\udcff"
    assert Item("a\udcff", "a\udcff.png").file == "a\udcff.png"
    error = TokbenchError("a\udcff", hint="b\udcfe")
    assert str(error) == "a\\udcff\nhint: b\\udcfe"


def test_two_images_that_would_have_one_name_are_refused(make_picture: Any, tmp_path: Path) -> None:
    make_picture().save(tmp_path / "one.png")
    data = (tmp_path / "one.png").read_bytes()
    folder = os.fsencode(tmp_path / "set")
    os.mkdir(folder)  # noqa: PTH102
    for name in (b"a\xff.png", b"a\\udcff.png"):
        with open(os.path.join(folder, name), "wb") as file:  # noqa: PTH118, PTH123
            file.write(data)
    with pytest.raises(DataError, match="occurs twice") as caught:
        open_images(str(tmp_path / "set"))
    assert caught.value.exit_code == 4
    assert ImageSet(
        "n", "1", "", "", (Item("é", "x"), Item("e\u0301", "y")), None
    ).items  # two names, two images


def test_a_folder_below_the_set_may_be_called_anything(make_picture: Any, tmp_path: Path) -> None:
    inner = tmp_path / "set" / "a\nb" / "...c"
    inner.mkdir(parents=True)
    make_picture().save(tmp_path / "set" / "a\nb" / "d.png")
    make_picture().save(inner / "hidden.png")  # a name that starts with a dot is hidden
    assert [item.id for item in open_images(str(tmp_path / "set")).items] == ["a\nb/d"]


def test_a_card_cannot_name_files_outside(make_picture: Any, tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    for name in ("../secret.png", "/etc/passwd", "a\\b.png", "a\nb.png", "\x1b[31m.png", "file://x.png"):
        quoted = json.dumps(name)
        card.write_text(
            'name = "card"\nversion = "1"\ntitle = "t"\nlicense = "l"\nsource = "s"\npurpose = "p"\n'
            f'reader = "folder"\npath = "."\ncount = 1\n[[items]]\nid = "a"\nfile = {quoted}\n'
        )
        with pytest.raises(TokbenchError, match=r"items\[0\].file") as caught:
            open_images(str(card))
        assert caught.value.exit_code == 3
