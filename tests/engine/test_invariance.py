"""Workers, batch size, shards, merging and interrupts change no number; merging and resuming lose no shard."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tokbench import Results, evaluate
from tokbench.catalog import discover
from tokbench.results.merge import merge_folders

if TYPE_CHECKING:
    from pathlib import Path

TOKENIZERS = ["identity", "jpeg-q50", "vq-patch-8", "rvq-patch-8"]
PROTOCOL = "adm-64"

# The rows are sums in a fixed order over values that do not depend on the batch, so they should be equal to the last
# bit; 1e-9 leaves room for another thread count inside a matrix product.
TOLERANCE = 1e-9

WALL_CLOCK = {"encode_ips", "decode_ips"}


def numbers(results: Results) -> dict[tuple[str, str], tuple[float, float, float, int, int]]:
    return {
        (row.tokenizer, row.metric): (row.value, row.ci_low, row.ci_high, row.n, row.failed)
        for row in results.rows
        if row.metric not in WALL_CLOCK
    }


def assert_equal(one: Results, other: Results) -> None:
    a, b = numbers(one), numbers(other)
    assert a.keys() == b.keys()
    for key, values in a.items():
        for x, y in zip(values, b[key], strict=True):
            assert (math.isnan(x) and math.isnan(y)) or math.isclose(
                x, y, rel_tol=TOLERANCE, abs_tol=TOLERANCE
            ), key


def command(images: Path, out: Path) -> list[str]:
    names = [word for name in TOKENIZERS for word in ("--tokenizer", name)]
    return [
        sys.executable,
        "-m",
        "tokbench",
        "run",
        *names,
        "--images",
        str(images),
        "--protocol",
        PROTOCOL,
        *("--out", str(out), "--workers", "1", "--batch-size", "4", "--json"),
    ]


@pytest.fixture(scope="module")
def undisturbed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return evaluate(
        TOKENIZERS, images, protocol=PROTOCOL, out=tmp_path_factory.mktemp("runs") / "one", batch_size=32
    )


def test_the_reference_run_measured_something(undisturbed: Results) -> None:
    assert undisturbed.complete
    measured = [key for key, values in numbers(undisturbed).items() if not math.isnan(values[0])]
    assert len(measured) >= 30
    assert undisturbed.value("jpeg-q50", "psnr") > undisturbed.value("vq-patch-8", "psnr")


def test_batch_size_changes_nothing(undisturbed: Results, images: Path, tmp_path: Path) -> None:
    assert_equal(
        undisturbed, evaluate(TOKENIZERS, images, protocol=PROTOCOL, out=tmp_path / "o", batch_size=1)
    )


def test_workers_change_nothing(undisturbed: Results, images: Path, tmp_path: Path) -> None:
    assert_equal(undisturbed, evaluate(TOKENIZERS, images, protocol=PROTOCOL, out=tmp_path / "o", workers=4))


def test_seven_parts_merged_are_the_whole(undisturbed: Results, images: Path, tmp_path: Path) -> None:
    from tokbench.results.finish import UnfinishedError

    folders = [tmp_path / f"part{number}" for number in range(1, 8)]
    for number, folder in enumerate(folders, 1):
        with pytest.raises(UnfinishedError, match="have yet to be computed"):
            evaluate(TOKENIZERS, images, protocol=PROTOCOL, out=folder, shard=(number, 7))
        assert not (folder / "summary.json").exists()
    shards = [path for folder in folders for path in folder.rglob("*.parquet")]
    assert len(shards) == 3 * len(TOKENIZERS)
    assert_equal(undisturbed, merge_folders(folders, tmp_path / "whole", discover()))
    assert_equal(undisturbed, Results.load(tmp_path / "whole"))


def test_merging_refuses_another_run(undisturbed: Results, images: Path, tmp_path: Path) -> None:
    from tokbench.errors import IntegrityError

    evaluate(TOKENIZERS, images, protocol=PROTOCOL, out=tmp_path / "other", limit=5)
    with pytest.raises(IntegrityError, match="selection"):
        merge_folders([undisturbed.folder, tmp_path / "other"], tmp_path / "whole", discover())


def test_a_killed_run_goes_on_where_it_was(undisturbed: Results, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    process = subprocess.Popen(command(images, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(out.rglob("00000.parquet")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    survivors = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert survivors
    assert not (out / "summary.json").exists()
    resumed = evaluate(TOKENIZERS, images, protocol=PROTOCOL, out=out)
    assert_equal(undisturbed, resumed)
    assert {path: path.stat().st_mtime_ns for path in survivors} == survivors


@pytest.mark.parametrize(
    ("workers", "signal_", "code"),
    [("1", signal.SIGINT, 130), ("2", signal.SIGINT, 130), ("1", signal.SIGTERM, 143)],
)
def test_a_signal_stops_between_batches_and_says_how_to_go_on(
    images: Path, tmp_path: Path, workers: str, signal_: signal.Signals, code: int
) -> None:
    out = tmp_path / "interrupted"
    words = command(images, out)
    words[words.index("--workers") + 1] = workers
    with subprocess.Popen(
        words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    ) as run:
        deadline = time.monotonic() + 120
        while not list(out.rglob("*.parquet")):
            assert run.poll() is None, "the run ended before it could be interrupted"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # As a terminal does it: Ctrl-C reaches the workers too.
        (os.killpg if signal_ == signal.SIGINT else os.kill)(run.pid, signal_)
        _, errors = run.communicate(timeout=60)
    assert (run.returncode, errors) == (
        code,
        "stopping once the batch in hand is done; press again to stop at once\n"
        "interrupted: finished shards are kept; run the same command again to go on\n",
    )
    assert not list(out.rglob("summary*.json"))


def test_a_damaged_shard_is_made_again(undisturbed: Results, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "damaged"
    evaluate(TOKENIZERS, images, protocol=PROTOCOL, out=out)
    (rows, states) = (sorted(out.rglob("*.parquet"))[0], sorted(out.rglob("*.npz"))[-1])
    rows.write_bytes(rows.read_bytes()[:-10])
    states.write_bytes(states.read_bytes()[:-1] + b"\x00")
    assert_equal(undisturbed, evaluate(TOKENIZERS, images, protocol=PROTOCOL, out=out))


def test_images_may_arrive_in_any_container(undisturbed: Results, images: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "small.tar", "w") as archive:
        for path in sorted(images.iterdir(), reverse=True):
            archive.add(path, path.name)
    assert_equal(
        undisturbed, evaluate(TOKENIZERS, tmp_path / "small.tar", protocol=PROTOCOL, out=tmp_path / "o")
    )
