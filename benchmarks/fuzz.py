"""Fuzz everything that parses, longer than the test suite does.

    python benchmarks/fuzz.py --examples 20000 --seconds 30 --only tar --only results

Each parser is given so many inputs, or what its seconds allow, in a process of its own whose memory is limited. Printed
for each: inputs, how many were accepted or refused by which error, the slowest input, the memory that was taken on top
of what a sound input takes, and every defect: an exception that is no `TokbenchError`, or an input that took longer
than a limit. Exit code 1 when there is a defect.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent)]
from fuzz_targets import Target, targets  # noqa: E402

HANG_SECONDS = 10.0
MEMORY = 4 << 30
"""Address space that a parser may take beyond what the process holds when it starts."""


NEIGHBOURS = 10
"""Inputs made of each one that is drawn, by changing bytes: drawing costs ten times what parsing does."""


class _Hang(BaseException):
    """An input is not done in time."""


class Tally:
    """Counts what became of inputs.

    Args:
        target: what is fuzzed.
        seconds: when to stop.
    """

    def __init__(self, target: Target, seconds: float) -> None:
        self.outcomes: Counter[str] = Counter()
        self.defects: dict[str, str] = {}
        self.slowest = 0.0
        self._target = target
        self._end = time.monotonic() + seconds
        self._folder = Path(tempfile.mkdtemp())
        self._random = random.Random(0)

    def __call__(self, given: Any) -> None:
        """Give an input and its neighbours to the parser."""
        if time.monotonic() > self._end:
            raise KeyboardInterrupt
        self.one(given)
        for _ in range(NEIGHBOURS):
            self.one(self._neighbour(given))

    def _neighbour(self, given: Any) -> Any:
        """Change one to three bytes of an input, or of one part of it."""
        if isinstance(given, tuple):
            chosen = self._random.choice([at for at, part in enumerate(given) if isinstance(part, bytes)])
            return tuple(self._neighbour(part) if at == chosen else part for at, part in enumerate(given))
        data = bytearray(given)
        for _ in range(self._random.randint(1, 3) if data else 0):
            data[self._random.randrange(len(data))] = self._random.randrange(256)
        return bytes(data)

    def one(self, given: Any) -> None:
        """Give one input to the parser."""
        from tokbench.errors import TokbenchError

        began = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
        try:
            self._target.run(self._folder, given)
            self.outcomes["accepted"] += 1
        except TokbenchError as error:
            self.outcomes[type(error).__name__] += 1
        except (Exception, _Hang) as error:
            self.outcomes["DEFECT"] += 1
            place = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in place if "/tokbench/" in frame.filename] or list(place)
            where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
            self.defects.setdefault(
                f"{type(error).__name__} at {where}: {str(error)[:100]!r}", repr(given)[:1500]
            )
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.slowest = max(self.slowest, time.perf_counter() - began)


def fuzz(name: str, examples: int, seconds: float, seed: int) -> dict[str, Any]:
    """Fuzz one parser in this process."""
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings
    from hypothesis import seed as seeded

    os.environ["TOKBENCH_PLUGINS"] = ""
    warnings.simplefilter("ignore")

    def late(number: int, frame: object) -> None:
        raise _Hang("not done in time")

    signal.signal(signal.SIGALRM, late)
    target = targets()[name]
    tally = Tally(target, seconds)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )

    def one(drawn: Any) -> None:
        tally(drawn)

    with contextlib.suppress(KeyboardInterrupt):  # its seconds are over
        seeded(seed)(chosen(given(target.inputs)(one)))()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "name": name,
        "inputs": sum(tally.outcomes.values()),
        "outcomes": dict(tally.outcomes.most_common()),
        "slowest": tally.slowest,
        "seconds": time.perf_counter() - began,
        "megabytes": peak / 1024,
        "defects": tally.defects,
    }


def main() -> int:
    """Fuzz and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=20_000, help="inputs for each parser")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most, for each parser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="name of a parser; repeatable")
    chosen = parser.parse_args()
    bad = total = 0
    for name in chosen.only or targets():
        with get_context("spawn").Pool(1) as pool:
            found = pool.apply(fuzz, (name, chosen.examples, chosen.seconds, chosen.seed))
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in found["outcomes"].items())
        print(
            f"{name:<20}{found['inputs']:>8,} inputs {found['seconds']:>6.1f} s  slowest {found['slowest']:.3f} s  "
            f"memory +{found['megabytes']:.0f} MB: {outcomes}",
            flush=True,
        )
        for defect, given in found["defects"].items():
            print(f"  DEFECT {defect}\n    {given}")
        bad += len(found["defects"])
        total += found["inputs"]
    print(f"{total:,} inputs, {bad} defects")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
