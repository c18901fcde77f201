"""Parts of a run, as torchrun, Slurm and CI matrices start them, add up to the whole."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tokbench import Results, TokenSpec, evaluate
from tokbench.catalog import discover
from tokbench.cli.parts import device_of, parse_shard
from tokbench.errors import UsageError
from tokbench.results.finish import UnfinishedError, ranges
from tokbench.results.merge import merge_folders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def torchrun(rank: int, size: int) -> dict[str, str]:
    return {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank % 8)}


def array(task: int, count: int, first: int = 0, step: int = 1) -> dict[str, str]:
    numbers = {"ID": task, "COUNT": count, "MIN": first, "MAX": first + step * (count - 1), "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(number) for name, number in numbers.items()}


def srun(rank: int, size: int) -> dict[str, str]:
    return {"SLURM_PROCID": str(rank), "SLURM_NTASKS": str(size), "SLURM_LOCALID": str(rank % 4)}


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        (torchrun(0, 8), (1, 8)),
        (torchrun(7, 8), (8, 8)),
        (array(0, 64), (1, 64)),
        (array(64, 64, first=1), (64, 64)),
        (array(14, 5, first=10, step=2), (3, 5)),
        (srun(3, 4), (4, 4)),
        ({**array(2, 4), **srun(1, 8)}, (18, 32)),
        ({**array(1, 2), **srun(0, 1), **torchrun(3, 8)}, (12, 16)),
        ({**srun(1, 2), **torchrun(3, 16)}, (4, 16)),
    ],
)
def test_auto_reads_what_started_the_process(environment: dict[str, str], part: tuple[int, int]) -> None:
    assert parse_shard("auto", environment) == part


@pytest.mark.parametrize(
    "environments",
    [
        [torchrun(n, 6) for n in range(6)],
        [array(n, 6, first=1) for n in range(1, 7)],
        [{**array(task, 2), **srun(rank, 3)} for task in range(2) for rank in range(3)],
    ],
)
def test_every_part_is_somebodys_and_nobody_has_two(environments: list[dict[str, str]]) -> None:
    assert sorted(parse_shard("auto", each) or () for each in environments) == [(n, 6) for n in range(1, 7)]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, r"looked for RANK and WORLD_SIZE \(torchrun\), SLURM_ARRAY_TASK_ID"),
        ({"RANK": "1"}, "nothing says which part this is"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_COUNT is not set"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK is `x`, no whole number"),
        (torchrun(8, 8), "RANK=8 is not below WORLD_SIZE=8"),
        # --array=0,3,7: three tasks, but not the parts 1, 2 and 3
        (array(7, 3), "task 7 has no place in a Slurm array of 3"),
        (array(3, 4, step=2), "task 3 has no place"),
    ],
)
def test_what_does_not_say_it_is_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_shard("auto", environment)


def test_given_parts_win_over_the_environment() -> None:
    assert parse_shard("2/4", torchrun(0, 8)) == (2, 4)
    assert parse_shard(None, torchrun(0, 8)) is None
    with pytest.raises(UsageError, match="is not i/n"):
        parse_shard("two of four", {})


@pytest.mark.parametrize(
    ("device", "environment", "count", "expected"),
    [
        ("auto", torchrun(11, 16), 8, "cuda:3"),
        ("cuda", srun(5, 8), 4, "cuda:1"),
        ("cuda", torchrun(3, 8), 1, "cuda"),  # it sees only its own
        ("auto", torchrun(3, 8), 0, "auto"),
        ("cuda:1", torchrun(3, 8), 8, "cuda:1"),
        ("cpu", torchrun(3, 8), 8, "cpu"),
        ("auto", array(3, 8), 8, "cuda:0"),
    ],
)
def test_every_process_of_a_machine_has_a_gpu_of_its_own(
    device: str, environment: dict[str, str], count: int, expected: str
) -> None:
    assert device_of(device, environment, count) == expected


def test_torchrun_and_a_shared_folder_give_the_numbers_of_one_process(
    request_of: dict[str, Any], same: Callable[[Results], None], tmp_path: Path
) -> None:
    for rank in (1, 2):
        with pytest.raises(UnfinishedError):
            evaluate(**request_of, out=tmp_path / "o", shard=parse_shard("auto", torchrun(rank, 3)))
    same(evaluate(**request_of, out=tmp_path / "o", shard=parse_shard("auto", torchrun(0, 3))))


def test_a_slurm_array_merged_gives_the_numbers_of_one_process(
    request_of: dict[str, Any], same: Callable[[Results], None], alone: Results, tmp_path: Path
) -> None:
    folders = [tmp_path / f"part{task}" for task in (1, 2)]
    for task, folder in enumerate(folders, 1):
        with pytest.raises(UnfinishedError):
            evaluate(**request_of, out=folder, shard=parse_shard("auto", array(task, 2, first=1)))
    # Part 1 has shard 2, part 2 has shards 1 and 3.
    with pytest.raises(UnfinishedError) as caught:
        merge_folders(folders[:1], tmp_path / "half", discover())
    assert caught.value.message.endswith(
        ": 6 shards have yet to be computed: 1, 3 of 3 of `jpeg-q50` and 2 other tokenizers on images:small"
    )
    same(merge_folders(folders, tmp_path / "whole", discover()))
    # Of one tokenizer a shard is lost: the others are summarised all the same, when that is asked for.
    (lost,) = (tmp_path / "whole").glob("shards/mortal.*/00001.parquet")
    lost.unlink()
    partial = merge_folders([tmp_path / "whole"], tmp_path / "whole", discover(), partial=True)
    assert partial.failures == {"mortal": "UnfinishedError: shards 2 of 3 are missing"}
    assert not partial.complete
    assert partial.value("jpeg-q50", "psnr") == alone.value("jpeg-q50", "psnr")


def test_a_part_says_which_tokenizer_broke(images: Path, tmp_path: Path) -> None:
    class Broken:
        spec = TokenSpec("broken", "codec")

        def encode(self, images: Any) -> Any:
            raise RuntimeError("no")

        def decode(self, codes: Any) -> Any:
            raise RuntimeError("no")

    with pytest.raises(UnfinishedError) as caught:
        evaluate(["identity", Broken()], images, protocol="adm-64", out=tmp_path / "o", shard=(2, 3))
    assert list(caught.value.failures) == ["broken"]
    assert "RuntimeError: no" in caught.value.failures["broken"]
    assert "1–2 of 3 of `identity` on images:small" in caught.value.message


def test_missing_shards_are_counted_as_people_count() -> None:
    assert ranges([]) == ""
    assert ranges([0, 2, 3, 4, 9]) == "1, 3–5, 10"
    assert ranges(range(0, 40, 2)) == "1, 3, 5, 7, 9, 11, 13, 15, …"


def test_the_command_line_asks_the_environment(images: Path, tmp_path: Path) -> None:
    words = ["run", "-t", "identity", "--images", str(images), "--protocol", "adm-64", "--out", "o"]
    done = subprocess.run(
        [sys.executable, "-m", "tokbench", *words, "--workers", "1", "--shard", "auto"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **torchrun(1, 3)},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "part 2/3 is done" in done.stderr
    assert [path.name for path in (tmp_path / "o").rglob("*.parquet")] == ["00002.parquet"]
