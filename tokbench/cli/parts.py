"""``--shard``: which part of a run this process has, given as ``i/n`` or read from what started it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTO = "auto"


def parse_shard(text: str | None, environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Turn ``--shard`` into (part, parts), the part from 1.

    Args:
        text: ``i/n``, ``auto``, or None.
        environment: where ``auto`` looks.

    Raises:
        UsageError: it is of neither form, or nothing in the environment says which part this is.
    """
    if text is None:
        return None
    if text == AUTO:
        return part_of(environment)
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None:
        raise UsageError(f"--shard {text} is not i/n", hint="e.g. --shard 1/4 … --shard 4/4, or --shard auto")
    return int(match[1]), int(match[2])


def part_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """Return which part of how many this process has, the part from 1.

    A task of a Slurm array has one part, or as many as it starts processes: torchrun's (``RANK`` of ``WORLD_SIZE``,
    from 0), else srun's (``SLURM_PROCID`` of ``SLURM_NTASKS``, from 0).

    Raises:
        UsageError: nothing says so, or what does cannot be understood.
    """
    array = _array(environment)
    inner = _rank(environment, "RANK", "WORLD_SIZE") or _rank(environment, "SLURM_PROCID", "SLURM_NTASKS")
    if array is None and inner is None:
        raise UsageError(
            "--shard auto: nothing says which part this is: looked for RANK and WORLD_SIZE (torchrun), "
            "SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT (sbatch --array), SLURM_PROCID and SLURM_NTASKS (srun)",
            hint="give the part: --shard 1/4 … --shard 4/4",
        )
    task, tasks = array or (0, 1)
    rank, ranks = inner or (0, 1)
    return task * ranks + rank + 1, tasks * ranks


def own_device(device: str, environment: Mapping[str, str]) -> str:
    """Apply `device_of` to the GPUs that this process sees."""
    import torch

    return device_of(device, environment, torch.cuda.device_count())


def device_of(device: str, environment: Mapping[str, str], count: int) -> str:
    """Give every process of a machine a GPU of its own.

    Args:
        device: the value of ``--device``; one that is not ``auto`` or ``cuda`` stays.
        environment: holds ``LOCAL_RANK`` (torchrun) or ``SLURM_LOCALID`` (srun), from 0, or neither.
        count: GPUs that this process sees; with one, it was given its own already.
    """
    local = _number(environment, "LOCAL_RANK", _number(environment, "SLURM_LOCALID", 0))
    return f"cuda:{local % count}" if count > 1 and device in {"auto", "cuda"} else device


def _array(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the position of this task in its Slurm array, from 0, and the number of tasks."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return None
    number = _number(environment, "SLURM_ARRAY_TASK_ID")
    count = _number(environment, "SLURM_ARRAY_TASK_COUNT")
    first = _number(environment, "SLURM_ARRAY_TASK_MIN", 0)
    step = _number(environment, "SLURM_ARRAY_TASK_STEP", 1) or 1
    position, rest = divmod(number - first, step)
    if rest or not 0 <= position < count:
        raise UsageError(
            f"--shard auto: task {number} has no place in a Slurm array of {count} from {first} in steps of {step}",
            hint="use an array without gaps, e.g. --array=0-63, or give the part: --shard i/n",
        )
    return position, count


def _rank(environment: Mapping[str, str], rank: str, size: str) -> tuple[int, int] | None:
    if rank not in environment or size not in environment:
        return None
    number, count = _number(environment, rank), _number(environment, size)
    if not 0 <= number < count:
        raise UsageError(f"--shard auto: {rank}={number} is not below {size}={count}")
    return number, count


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, default)
    try:
        return int(text)  # type: ignore[arg-type]  # None is refused below
    except (TypeError, ValueError):
        raise UsageError(
            f"--shard auto: {name} is {'not set' if text is None else f'`{text}`, no whole number'}"
        ) from None
