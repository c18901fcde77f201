"""Bad input: each case has its own clear error and exit code, and nothing finished is lost."""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tokbench import Results, evaluate
from tokbench.errors import DigestError, EmptyImageSetError, IntegrityError, StorageError, UnknownNameError

SMALL = {"protocol": "adm-64"}

ADAPTER = """\
# /// script
# [[tool.tokbench.tokenizers]]
# name = "hostile"
# kind = "codec"
# vocab = 256
# ///
import torch
from tokbench import Codes

class Hostile:
    def __init__(self, spec):
        self.spec, self.calls = spec, 0
    def encode(self, images):
        return Codes(ids=(images * 255).round().long())
    def decode(self, codes):
        self.calls += 1
        images = codes.ids / 255
        {body}
        return images

def build(spec, *, device, dtype, weights):
    return Hostile(spec)
"""


def run(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "tokbench",
        "run",
        "--protocol",
        "adm-64",
        "--workers",
        "1",
        *map(str, words),
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=240, check=False)


def hostile(folder: Path, body: str) -> str:
    path = folder / "hostile.py"
    path.write_text(ADAPTER.format(body=body))
    return str(path)


def copied(images: Path, folder: Path, count: int) -> Path:
    target = folder / "mixed"
    target.mkdir()
    for path in sorted(images.iterdir())[:count]:
        shutil.copy(path, target)
    return target


def bomb() -> bytes:
    """The header of a 50,000 × 50,000 PNG."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + end


def test_unknown_tokenizer(images: Path, tmp_path: Path) -> None:
    done = run("--tokenizer", "jpg-q50", "--images", images, folder=tmp_path)
    assert done.returncode == 2
    assert "unknown tokenizer `jpg-q50`; did you mean `jpeg-q50`" in done.stderr
    assert "hint:" in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    with pytest.raises(EmptyImageSetError, match="empty") as caught:
        evaluate("identity", tmp_path / "empty", out=tmp_path / "out")
    assert caught.value.exit_code == 4
    assert not (tmp_path / "out").exists()


def test_bad_images_among_good_ones_are_named_and_counted(images: Path, tmp_path: Path) -> None:
    folder = copied(images, tmp_path, 6)
    photo = Image.fromarray(np.asarray(Image.open(folder / "image-000.png")))
    photo.save(folder / "truncated.jpg", quality=95)
    whole = (folder / "truncated.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "text.png").write_text("this is no image")
    done = run(
        "--tokenizer",
        "identity",
        "--tokenizer",
        "jpeg-q50",
        "--images",
        folder,
        "--out",
        "out",
        "--json",
        folder=tmp_path,
    )
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert set(document["unreadable"]["images:mixed"]) == {"truncated", "bomb", "text"}
    for name in ("truncated", "bomb", "text"):
        assert name in done.stderr
    assert "50000" in document["unreadable"]["images:mixed"]["bomb"].replace(",", "")
    rows = {(row["tokenizer"], row["metric"]): row for row in document["rows"]}
    assert rows["jpeg-q50", "psnr"]["n"] == 6
    assert rows["jpeg-q50", "psnr"]["failed"] == 3
    assert rows["identity", "psnr"]["value"] == math.inf
    for row in rows.values():
        if row["metric"] in {"fd_lite0", "psnr", "ssim"}:
            assert (row["n"], row["failed"]) == (6, 3)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("images[0, 0, 0, 0] = float('nan')", "decode() returned NaN in 1 of"),
        ("images = images[..., :-1]", "decode() returned shape (1, 3, 64, 63); wanted (1, 3, 64, 64)"),
        ("images = images * 2 - 1", "decode() returned values from -0."),
        ("images = (images * 255).byte()", "decode() returned dtype torch.uint8; wanted a floating dtype"),
        ("images = images + torch.rand(()) / 9", "decode() returned images that differ"),
        ("images = images.float() if self.calls < 5 else 1 / 0", "decode() raised ZeroDivisionError"),
        ("images = None", "decode() returned a NoneType; wanted a tensor"),
    ],
)
def test_a_hostile_adapter_costs_only_itself(images: Path, tmp_path: Path, body: str, complaint: str) -> None:
    names = ["identity", hostile(tmp_path, body)]
    results = evaluate(names, images, out=tmp_path / "out", batch_size=8, limit=24, **SMALL)
    assert not results.complete
    assert complaint in results.failures["hostile"]
    assert results.value("identity", "psnr") == math.inf
    rows = [row for row in results.rows if row.tokenizer == "hostile"]
    assert rows
    assert all(math.isnan(row.value) and row.status == "failed" and complaint in row.reason for row in rows)
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_tokenizer_of_one_size_refuses_another(images: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "one_size.py"
    adapter.write_text(
        ADAPTER.format(body="pass").replace("# vocab = 256", "# vocab = 256\n# resolution = 256")
    )
    results = evaluate([str(adapter), "area-8"], images, limit=4, out=tmp_path / "out", **SMALL)
    assert "takes images of 256×256 only, and the protocol gives 64×64" in results.failures["hostile"]
    assert results.value("area-8", "psnr") > 10


def test_an_adapter_that_raises_on_the_third_batch_keeps_its_finished_shard(
    images: Path, tmp_path: Path
) -> None:
    broken = hostile(tmp_path, "images = images if self.calls < 5 else 1 / 0  # two probes, then two batches")
    done = run("--tokenizer", broken, "--tokenizer", "identity", "--images", images, "--out", "out",
               "--batch-size", "8", folder=tmp_path)  # fmt: skip
    assert done.returncode == 5
    assert "hostile" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "identity" in done.stdout
    shards = {path.parent.name.split(".")[0]: 0 for path in (tmp_path / "out").rglob("*.parquet")}
    for path in (tmp_path / "out").rglob("*.parquet"):
        shards[path.parent.name.split(".")[0]] += 1
    assert shards == {"hostile": 1, "identity": 3}


def test_a_full_disk(images: Path, tmp_path: Path) -> None:
    """A real one: a file-size limit makes write() fail with EFBIG, /dev/full gives ENOSPC; both are StorageErrors."""
    from tokbench.results.store import Store

    store = Store(tmp_path)
    (tmp_path / ".full.json.tmp").symlink_to("/dev/full")
    with (
        pytest.raises(OSError, match="No space left"),
        (tmp_path / ".full.json.tmp").open("wb", buffering=0) as file,
    ):
        file.write(b"x")
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        f"sys.argv = ['tokbench', 'run', '-t', 'identity', '--images', {str(images)!r}, '--protocol', 'adm-64',\n"
        f"            '--out', {str(tmp_path / 'out')!r}, '--workers', '1']\n"
        "from tokbench.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 7
    assert "cannot be written" in done.stderr
    assert not list((tmp_path / "out").rglob("*.tmp"))
    assert not list((tmp_path / "out").rglob("*.parquet"))
    assert evaluate("identity", images, out=tmp_path / "out", **SMALL).complete
    assert store.read_json("absent.json") is None


def test_no_space_left_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from tokbench.results.store import Store

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left") as caught:
        Store(tmp_path).write_json("x.json", {})
    assert "finished shards are kept" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_results_folder(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        evaluate("identity", images, out=tmp_path / "file" / "out", **SMALL)
    assert caught.value.exit_code == 7
    assert "--out" in str(caught.value.hint)


def test_a_results_folder_of_another_run(images: Path, tmp_path: Path) -> None:
    evaluate("identity", images, out=tmp_path / "out", limit=4, **SMALL)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(IntegrityError, match=r"another run.*seed: 1 now, 0 in the folder") as caught:
        evaluate("identity", images, out=tmp_path / "out", limit=4, seed=1, **SMALL)
    assert caught.value.exit_code == 8
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_an_image_that_is_not_the_cards_stops_the_run(tmp_path: Path) -> None:
    from tokbench.catalog import Catalog, Entry, discover

    root = Path(__file__).parents[2] / "datasets"
    shutil.copy(root / "detail-mini.toml", tmp_path)
    shutil.copytree(root / "detail-mini", tmp_path / "detail-mini")
    victim = sorted((tmp_path / "detail-mini").iterdir())[0]
    Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(victim, lossless=True)
    here = discover()
    entry = Entry("detail-mini", "tests", card=tmp_path / "detail-mini.toml")
    catalog = Catalog(here.tokenizers, here.tasks, {"detail-mini": entry}, here.evaluators)
    with pytest.raises(DigestError, match=victim.stem):
        evaluate("identity", "detail-mini", out=tmp_path / "out", catalog=catalog)


def test_reconstructions_on_disk(images: Path, tmp_path: Path) -> None:
    """The output of another pipeline scores as the same pixels do here; gaps are named failures, not skips."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for path in sorted(images.iterdir())[:10]:
        pixels = np.asarray(Image.open(path))
        Image.fromarray((pixels // 4 * 4).astype(np.uint8)).save(folder / path.name)
    (folder / "image-003.png").unlink()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / "image-004.png")
    originals = copied(images, tmp_path, 10)
    results = evaluate(f"folder:{folder}", originals, out=tmp_path / "out", protocol="native")
    name = f"folder:{folder}"
    row = next(row for row in results.rows if row.metric == "psnr")
    assert (row.n, row.failed) == (8, 2)
    assert 30 < row.value < 45
    reasons = results.unreadable["images:mixed"]
    assert "no reconstruction named `image-003`" in reasons["image-003"]
    assert "9×9 pixels, the preprocessed original 72×64" in reasons["image-004"]
    assert math.isnan(results.value(name, "bpp"))


def test_a_folder_tokenizer_without_a_folder(images: Path) -> None:
    from tokbench.errors import UsageError

    with pytest.raises(UsageError, match="no folder"):
        evaluate("folder:/does/not/exist", images)


def test_unknown_image_set() -> None:
    with pytest.raises(UnknownNameError, match="did you mean `photos-mini`"):
        evaluate("identity", "photos-mni")


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["--dtype", "int8"], 2, "dtype `int8` is not one of"),
        (["--batch-size", "0"], 2, "batch size 0 is below 1"),
        (["--limit", "0"], 2, "leaves no image"),
        (["--shard", "9/7"], 2, "--shard 9/7 does not exist"),
        (["--shard", "one"], 2, "is not i/n"),
        (["--weights", "lite0"], 2, "is not NAME=PATH"),
        (["--weights", "lite0=/does/not/exist"], 4, "no such file"),
        (["--device", "cuda:77"], 3, "device `cuda:77` cannot be used"),
        (["--protocol", "adm-1"], 2, "out of range"),
        (["--task", "reconstuction"], 2, "did you mean `reconstruction`"),
    ],
)
def test_unusable_options(
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    complaint: str,
) -> None:
    from tokbench.cli.app import main

    here = ["tokbench", "run", "-t", "identity", "--images", str(images), "--protocol", "adm-64"]
    monkeypatch.setattr(sys, "argv", [*here, "--workers", "1", "--out", str(tmp_path / "out"), *words])
    with pytest.raises(SystemExit) as caught:
        main()
    errors = capsys.readouterr().err
    assert (caught.value.code, complaint in errors) == (code, True), errors
    assert not (tmp_path / "out" / "summary.json").exists()


def test_the_partial_summary_of_a_failed_run_can_be_read(images: Path, tmp_path: Path) -> None:
    evaluate(["identity", hostile(tmp_path, "1 / 0")], images, out=tmp_path / "out", limit=3, **SMALL)
    results = Results.load(tmp_path / "out")
    assert not results.complete
    assert results.value("identity", "psnr") == math.inf
    assert len(results.images()) == 3
