"""How long tokbench takes to get going, in processor time beside that of ``import torch``.

    python benchmarks/startup.py             # about two minutes
    python benchmarks/startup.py --times 3

Reported are `tokbench --help`, `tokbench list`, a run of one image until the image is done, with the phases of its
profile, and the same command once more when everything is there. Commands take turns, and the least of a few times
counts, so that other work on the machine matters little. Nothing touches the network. Linux or macOS only: processor
time of children is read from getrusage.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

RUN = ("-m", "tokbench", "run", "-t", "jpeg-q50", "-d", "photos-mini", "--limit", "1")


class Cost(NamedTuple):
    """What a command took: seconds of the processor and of the clock."""

    processor: float
    wall: float


def measure(words: list[str], cache: Path) -> Cost:
    """Run a Python command and return what it took; its output is dropped unless it fails."""
    environment = {**os.environ, "TOKBENCH_CACHE": str(cache), "TOKBENCH_PLUGINS": "", "OMP_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, check=False
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def phases(folder: Path) -> list[tuple[str, float]]:
    """Return the stages of a profile in the order in which they began, with seconds of their threads."""
    events = json.loads((folder / "profile.json").read_text())["traceEvents"]
    found: dict[str, float] = {}
    for event in sorted((each for each in events if each["ph"] == "X"), key=lambda each: float(each["ts"])):
        found[event["name"]] = found.get(event["name"], 0.0) + event["args"]["own_us"] / 1e6
    return list(found.items())


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="how often each command is run")
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "run", Path(place) / "cache"
        steps = {
            "python": ["-c", "pass"],
            "import torch": ["-c", "import torch"],
            "tokbench --help": ["-m", "tokbench", "--help"],
            "tokbench list": ["-m", "tokbench", "list"],
            "first image, nothing cached": [*RUN, "--out", str(folder), "--profile"],
            "the same command again": [*RUN, "--out", str(folder)],
            "first image of another folder": [*RUN, "--out", str(folder) + "-2"],
        }
        least: dict[str, Cost] = {}
        stages: list[tuple[str, float]] = []
        for _ in range(times):
            subprocess.run(["rm", "-rf", folder, f"{folder}-2", cache], check=True)
            for name, words in steps.items():
                cost = measure(words, cache)
                best = least.get(name, cost)
                least[name] = Cost(min(best.processor, cost.processor), min(best.wall, cost.wall))
            stages = min(stages or phases(folder), phases(folder), key=lambda each: sum(s for _, s in each))
    torch = least["import torch"]
    print("| command | processor, s | of `import torch` | wall, s |")
    print("|---|---|---|---|")
    for name, cost in least.items():
        print(f"| {name} | {cost.processor:.3f} | {cost.processor / torch.processor:.2f} | {cost.wall:.2f} |")
    print("\n| phase of the first image, nothing cached | s | of `import torch` |")
    print("|---|---|---|")
    for name, seconds in stages:
        if seconds >= torch.wall / 1000:
            print(f"| {name} | {seconds:.3f} | {seconds / torch.wall:.3f} |")


if __name__ == "__main__":
    main()
