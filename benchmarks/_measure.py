"""What a command and all its child processes cost: wall time, processor time, memory."""

from __future__ import annotations

import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHORTEST, LONGEST = 0.05, 0.5
"""Seconds between two looks at memory."""


@dataclass(frozen=True)
class Usage:
    """The cost of one command, or of several one after another.

    Attributes:
        wall: seconds.
        cpu: seconds of processor time, user and system, of the process and its descendants.
        largest: peak resident memory of the largest process, MB (10⁶ bytes), as the kernel keeps it.
        together: peak of the sum over processes alive at once, MB; memory that they share counts once.
    """

    wall: float
    cpu: float
    largest: float
    together: float

    def then(self, other: Usage) -> Usage:
        """Return the cost of this and then the other."""
        return Usage(
            self.wall + other.wall,
            self.cpu + other.cpu,
            max(self.largest, other.largest),
            max(self.together, other.together),
        )


def measure(command: Sequence[str], environment: Mapping[str, str]) -> Usage:
    """Run a command and measure it.

    Raises:
        RuntimeError: it failed; carries what it wrote to standard error.
    """
    before = _children_cpu()
    start = time.perf_counter()
    with subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        peak = _Peak(process.pid)
        errors = ""
        while process.poll() is None:
            try:
                _, errors = process.communicate(timeout=peak.look())
            except subprocess.TimeoutExpired:
                continue
        wall = time.perf_counter() - start
    if process.returncode:
        message = f"{' '.join(command)} ended with {process.returncode}\n{errors}"
        raise RuntimeError(message)
    return Usage(wall, _children_cpu() - before, peak.largest / 1e6, peak.together / 1e6)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Peak:
    """Follows a process and its descendants through /proc."""

    def __init__(self, root: int) -> None:
        self._root = root
        self.largest = 0
        self.together = 0

    def look(self) -> float:
        """Take one sample; return the seconds to wait before the next."""
        start = time.perf_counter()
        anonymous, files = 0, 0
        for process in _descendants(self._root):
            status, maps = _fields(process, "status"), _fields(process, "smaps_rollup")
            self.largest = max(self.largest, status.get("VmHWM", 0))
            anonymous += maps.get("Pss_Anon", 0) + maps.get("Pss_Shmem", 0)
            # Code of libraries is shared with every process of the machine: that of one of ours stands for all.
            files = max(files, status.get("RssFile", 0))
        self.together = max(self.together, anonymous + files)
        # The kernel walks page tables to answer: no more than a fiftieth of one core shall go into asking.
        return min(LONGEST, max(SHORTEST, 50 * (time.perf_counter() - start)))


def _descendants(root: int) -> list[int]:
    parents = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                # "pid (name) state parent …", and a name may hold spaces and brackets.
                parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has ended
                continue
    found = [root]
    for process in found:
        found.extend(child for child, parent in parents.items() if parent == process)
    return found


def _fields(process: int, file: str) -> dict[str, int]:
    """Return the sizes that a file of /proc names, in bytes; none when the process has ended."""
    try:
        lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines if line.endswith("kB")]
    return {word[0].rstrip(":"): int(word[-2]) * 1024 for word in words}
