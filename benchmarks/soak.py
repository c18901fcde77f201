"""Thousands of images of mixed quality, faults at random, and the numbers of an undisturbed run at the end.

    python benchmarks/soak.py --images 20000

Measures four embedded tokenizers on seeded small images (corrupt, tiny, CMYK, 16-bit, elongated, …) twice: once
undisturbed, once under a supervisor that kills the run and its workers, fills the disk and spoils finished shards, and
starts the same command again each time. Afterwards the numbers and every shard must be the same, nothing finished may
have been lost, exactly the unreadable images must be missing, and memory must not have grown. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tokbench.errors import TokbenchError
from tokbench.metrics.pixel import L1, PSNR
from tokbench.metrics.pooled import PSNR_POOLED
from tokbench.metrics.rate import BPP
from tokbench.metrics.structural import SSIM
from tokbench.protocol import get_protocol
from tokbench.results.disk import Disk
from tokbench.tasks.base import Task

TOKENIZERS = ("identity", "jpeg-q50", "area-8", "vq-patch-8")
TASK = Task(
    "soak", 1, "cheap metrics", get_protocol("adm-64"), (BPP, PSNR, SSIM, L1, PSNR_POOLED), ("psnr",), "psnr"
)
WORKERS = 2
STEP = 1000
SAMPLES = 8
LIMIT = 3600
TYPED = {0, 5, 7, 8}
FULL = "SOAK_FULL_DISK"
"""Environment of a run whose disk is full now and then: ``seed probability``; spawned workers have it too."""

if FULL in os.environ:
    _seed, _share = os.environ[FULL].split()
    _random, _write = random.Random(f"{_seed} {os.getpid()}"), Disk.write

    def _full(disk: Disk, descriptor: int, data: memoryview) -> int:
        if _random.random() < float(_share):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return _write(disk, descriptor, data)

    Disk.write = _full  # type: ignore[method-assign]


def run(images: Path, out: Path, log: Path) -> int:
    """Be the run: evaluate into `out`, write what was found to `log`; returns an exit code."""
    from tokbench import evaluate

    done, memory, last = 0, [], 0

    def on_images(count: int) -> None:
        nonlocal done, last
        done += count
        if done // len(TOKENIZERS) // STEP > last:
            last = done // len(TOKENIZERS) // STEP
            memory.append(
                (last * STEP, resident(os.getpid()), max(map(resident, workers(os.getpid())), default=0))
            )

    try:
        results = evaluate(
            TOKENIZERS, images, TASK, out=out, batch_size=16, workers=WORKERS, on_images=on_images
        )
    except TokbenchError as error:
        print(f"{type(error).__name__}: {error.message}", file=sys.stderr)
        return error.exit_code
    rows = [
        [r.tokenizer, r.metric, repr(r.value), repr(r.ci_low), repr(r.ci_high), r.n, r.failed]
        for r in results.rows
    ]
    memory.append((done // len(TOKENIZERS), resident(os.getpid()), 0))
    lost = sorted(name for found in results.unreadable.values() for name in found)
    log.write_text(
        json.dumps({"rows": rows, "memory": memory, "unreadable": lost, "complete": results.complete})
    )
    return 0


def resident(process: int) -> float:
    """Resident memory of a process in MB; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def workers(process: int) -> list[int]:
    """The worker processes of a run."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            for child in path.read_text().split():
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
        except OSError:
            continue
    return found


def shards(out: Path) -> dict[str, tuple[int, int]]:
    """Finished shards, with what changes when one is written again."""
    found = {}
    for path in out.rglob("*.parquet"):
        status = path.stat()
        found[path.relative_to(out).as_posix()] = (status.st_ino, status.st_mtime_ns)
    return found


def content(out: Path) -> dict[str, str]:
    """SHA-256 of every file of every shard."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.glob("shards/*/*"))
    }


@dataclass
class Supervisor:
    """Starts the run again and again, and spoils it in between.

    Attributes:
        images: what is measured.
        out: the results folder.
        faults: how many faults are to be injected.
        random: draws them.
        counts: faults by kind.
        exits: exit codes of the attempts.
        lost: finished shards that were written again although nothing was wrong with them.
    """

    images: Path
    out: Path
    faults: int
    random: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def work(self, log: Path) -> None:
        """Go on until a run ends well after all faults."""
        before: dict[str, tuple[int, int]] = {}
        while True:
            kind = self.random.choice(["kill run", "kill group", "kill worker", "terminate", "full disk"])
            if self.counts.total() >= self.faults:
                kind = ""
            code = self.attempt(kind, log)
            self.exits[code] += 1
            after = shards(self.out)
            print(
                f"  start {self.exits.total()}: {kind or 'undisturbed'}, exit {code}, {len(after)} shards",
                flush=True,
            )
            self.lost += [name for name, mark in before.items() if after.get(name) != mark]
            if code == 0 and not kind:
                return
            if code not in TYPED | {-signal.SIGKILL, -signal.SIGTERM}:
                raise SystemExit(f"a run under `{kind}` ended with {code}")
            spoilt = self.spoil(sorted(after))
            before = {name: mark for name, mark in after.items() if name not in spoilt}

    def attempt(self, kind: str, log: Path) -> int:
        """Run once under one kind of fault; return the exit code."""
        environment = dict(os.environ)
        if kind == "full disk":
            environment[FULL] = f"{self.random.random()} 0.03"
        process = start(self.images, self.out, log, environment)
        if kind in {"", "full disk"}:
            code = process.wait(LIMIT)
            if code == 7:
                self.counts[kind] += 1
            return code
        deadline = time.monotonic() + 300
        done = len(shards(self.out))
        # Some progress first, so that there is something to lose; then any moment.
        while process.poll() is None and len(shards(self.out)) < done + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(self.random.uniform(0, 3))
        if process.poll() is None:
            self.counts[kind] += 1
            if kind == "kill run":
                process.kill()  # its workers must end by themselves
            elif kind == "kill group":
                os.killpg(process.pid, signal.SIGKILL)
            elif kind == "terminate":
                process.terminate()
            else:
                os.kill(self.random.choice(workers(process.pid) or [process.pid]), signal.SIGKILL)
        return process.wait(LIMIT)

    def spoil(self, names: list[str]) -> set[str]:
        """Damage up to two finished shards; return their names."""
        chosen = self.random.sample(names, min(len(names), self.random.randrange(3)))
        spoilt = set()
        for name in chosen:
            path = self.out / name
            states = next(path.parent.glob(f"{path.stem}.*.npz"))
            harm = self.random.choice(["cut", "alter", "delete", "zero", "exchange"])
            victim = self.random.choice([path, states])
            data = bytearray(victim.read_bytes())
            if harm == "cut":
                victim.write_bytes(data[: self.random.randrange(len(data))])
            elif harm == "alter":
                for at in range(len(data) // 8, len(data) // 2):
                    data[at] ^= 0x55
                victim.write_bytes(data)
            elif harm == "delete":
                victim.unlink()
            elif harm == "zero":
                victim.write_bytes(bytes(len(data)))
            else:
                shutil.copyfile(
                    self.random.choice(
                        [each for each in path.parent.glob("*.parquet") if each != path] or [states]
                    ),
                    path,
                )
            self.counts[f"shard {harm}"] += 1
            spoilt.add(name)
        return spoilt


def start(
    images: Path, out: Path, log: Path, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a run in a process group of its own."""
    command = [sys.executable, __file__, "--run", str(images), str(out), str(log)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)


def soak(count: int, faults: int, seed: int, folder: Path) -> list[str]:
    """Do all of it; return what is wrong."""
    from soak_images import UNREADABLE, write_images

    kinds = write_images(folder / "images", count, seed)
    print(f"{count} images, seed {seed}: {dict(Counter(kinds.values()).most_common())}")
    begin = time.monotonic()
    if start(folder / "images", folder / "whole", folder / "whole.json").wait(LIMIT) != 0:
        return ["the undisturbed run failed"]
    wanted = json.loads((folder / "whole.json").read_text())
    print(f"undisturbed: {time.monotonic() - begin:.0f} s, {len(shards(folder / 'whole'))} shards")
    print("images   run MB   largest worker MB")
    for images, main, worker in wanted["memory"]:
        print(f"{images:6}   {main:6.0f}   {worker:6.0f}")

    begin = time.monotonic()
    supervisor = Supervisor(folder / "images", folder / "disturbed", faults, random.Random(seed))
    supervisor.work(folder / "disturbed.json")
    found = json.loads((folder / "disturbed.json").read_text())
    print(f"disturbed: {time.monotonic() - begin:.0f} s, {supervisor.exits.total()} starts")
    print(f"faults: {supervisor.counts.total()}: {dict(sorted(supervisor.counts.items()))}")
    print(f"exit codes: {dict(sorted(supervisor.exits.items()))}")
    print(f"finished shards written again without reason: {len(supervisor.lost)}")

    wrong = [f"lost: {name}" for name in supervisor.lost]
    if found["rows"] != wanted["rows"] or not found["complete"]:
        wrong.append("other numbers than undisturbed")
    whole, disturbed = content(folder / "whole"), content(folder / "disturbed")
    stray = [name for name in disturbed if name not in whole]
    wrong += [f"shard differs: {name}" for name, digest in whole.items() if disturbed.get(name) != digest]
    wrong += [f"left behind: {name}" for name in stray]
    unreadable = sorted(name for name, kind in kinds.items() if kind in UNREADABLE)
    if wanted["unreadable"] != unreadable or found["unreadable"] != unreadable:
        wrong.append(f"unreadable: {len(wanted['unreadable'])} found, {len(unreadable)} made")
    wrong += grown(wanted["memory"])
    print(f"numbers: {len(wanted['rows'])} rows to the last digit, {len(whole)} files of shards by SHA-256")
    return wrong


def grown(memory: list[list[float]]) -> list[str]:
    """Say if a process held more in the last quarter of a run than in the second, by over a tenth."""
    samples = memory[:-1]
    if len(samples) < SAMPLES:
        print(f"memory is judged from {SAMPLES * STEP} images on")
        return []
    quarter = len(samples) // 4
    wrong = []
    for column, name in ((1, "the run"), (2, "a worker")):
        early = max(each[column] for each in samples[quarter : 2 * quarter])
        late = max(each[column] for each in samples[-quarter:])
        if late > 1.1 * early:
            wrong.append(f"memory of {name} grew from {early:.0f} to {late:.0f} MB")
    return wrong


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--faults", type=int, default=30, help="faults to inject, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", nargs=3, metavar=("IMAGES", "OUT", "LOG"), help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.run:
        sys.exit(run(*map(Path, words.run)))
    with tempfile.TemporaryDirectory() as name:
        os.environ["TOKBENCH_CACHE"] = f"{name}/cache"
        wrong = soak(words.images, words.faults, words.seed, Path(name))
    for each in wrong[:20]:
        print(f"WRONG {each}")
    print("FAILED" if wrong else "ok")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
