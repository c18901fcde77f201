"""The actors' side of `tokbench.engine.ray_launcher`: is this node like the driver's machine? Then work.

A node that is not would give other numbers, or mark every image as unreadable, and nobody would notice. So an actor
first compares packages, adapters, weights and one image of each set with what the driver saw.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokbench.engine.manifest import PACKAGES
from tokbench.errors import DataError, IntegrityError, MissingPackageError, TokbenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokbench.engine.run import Pass, Run

_PASSED_ON = ("TOKBENCH_", "OMP_WAIT_POLICY", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
_TRIED = 16


@dataclass(frozen=True)
class Order:
    """What every actor is told.

    Attributes:
        run: the run.
        folder: the results folder.
        samples: of each pass, the position of an image that can be read and the SHA-256 of its file; None where the
            driver can read none of the first few.
        wanted: ``{distribution: version}``: what decides numbers on the driver's machine.
        environment: variables that matter to tokbench there.
        cwd: the driver's working folder, where relative paths start.
    """

    run: Run
    folder: Path | str
    samples: tuple[tuple[int, str] | None, ...]
    wanted: Mapping[str, str]
    environment: Mapping[str, str]
    cwd: str

    def packed(self, pickler: Any) -> bytes:
        """Return the order as bytes.

        Args:
            pickler: cloudpickle, which takes classes defined at a prompt along.

        Raises:
            UsageError: something in the run cannot be sent.
        """
        try:
            packed: bytes = pickler.dumps(self)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UsageError(
                f"this run cannot be sent to other machines: {error}",
                hint="hand over tokenizers by name or file instead of as objects, or use --launcher local",
            ) from error
        return packed


def make_order(run: Run, folder: Path | str) -> Order:
    """Look at this machine, so that others can be compared with it."""
    wanted = {name: found for name in ("tokbench", *PACKAGES) if (found := _version(name))}
    environment = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    samples = tuple(_first_readable(part) for part in run.passes)
    return Order(run, folder, samples, wanted, environment, str(Path.cwd()))


def make_shell() -> type:
    """Return the class of the actors.

    It is made in here so that Ray sends its code along: it must be able to say that tokbench is not installed.
    """

    class Shell:
        """Checks the node before anything of tokbench is imported, then passes everything on to a `Member`."""

        def start(
            self,
            wanted: Mapping[str, str],
            environment: Mapping[str, str],
            cwd: str,
            packed: bytes,
            *device: Any,
        ) -> tuple[str, TokbenchError | str | None]:
            """Make ready to work; return the node's address and what is wrong with it, if anything."""
            import os
            from importlib.metadata import PackageNotFoundError, version
            from pathlib import Path

            import ray

            node: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
            os.environ.update(environment)
            if Path(cwd).is_dir():
                os.chdir(cwd)
            others = []
            for name, there in wanted.items():
                try:
                    here = version(name).partition("+")[0]
                except PackageNotFoundError:
                    here = "not installed"
                if here != there:
                    others.append(f"{name} is {here}, on the driver {there}")
            if others:
                return node, "; ".join(others)
            from tokbench.engine.ray_member import Member

            self.member = Member()
            return node, self.member.start(packed, *device)

        def unit(self, pass_number: int, shard: int) -> tuple[int, dict[str, TokbenchError], Any]:
            """Carry out a unit."""
            return self.member.unit(pass_number, shard)

        def done(self) -> int:
            """Return how many image reconstructions were finished so far."""
            return self.member.done

    return Shell


class Member:
    """Owns a `Loop`, so that tokenizers and networks are loaded once an actor.

    Attributes:
        done: image reconstructions finished so far.
    """

    def __init__(self) -> None:
        self.done = 0

    def start(self, packed: bytes, device: str, threads: int) -> TokbenchError | None:
        """Unpack the order, compare the node with it, and build the loop.

        Args:
            packed: an `Order`.
            device: ``cpu``, or ``cuda`` where Ray shows this process one GPU.
            threads: how many to compute with.

        Returns:
            What is wrong with this node, or None.
        """
        from tokbench.engine.loop import Loop
        from tokbench.results.store import Store

        try:
            order: Order = pickle.loads(packed)
            self._threads = threads
            check_identity(order.run)
            check_images(order)
            self._loop = Loop(order.run, Store(order.folder), self._count, device=device)
        except TokbenchError as error:
            return error
        except ModuleNotFoundError as error:
            return MissingPackageError(
                f"the run needs the module `{error.name}`, which is not installed",
                hint="install the same packages on every node",
            )
        return None

    def unit(
        self, pass_number: int, shard: int
    ) -> tuple[int, dict[str, TokbenchError], TokbenchError | None]:
        """Carry out a unit.

        Returns:
            `done`; the tokenizers that broke, by job id; and what stopped the whole run, or None.
        """
        import torch

        torch.set_num_threads(self._threads)  # it holds for the calling thread, and Ray has two
        try:
            self._loop.unit(pass_number, shard)
        except TokbenchError as error:
            return self.done, self._loop.failed, error
        return self.done, self._loop.failed, None

    def _count(self, images: int) -> None:
        self.done += images


def check_identity(run: Run) -> None:
    """See that adapters and weights on this machine are those that the keys of the results name.

    Raises:
        IntegrityError: an adapter or a weights file is another one.
        SetupError: one is absent, or a package that a network needs.
        DigestError: weights are not the pinned ones.
    """
    from tokbench.engine.subject import FolderSubject
    from tokbench.loading import fingerprint, require_packages

    overrides = run.settings.overrides
    for job in run.jobs:
        if isinstance(job.subject, FolderSubject):
            continue  # its identity is every byte of the folder: too much to read in every process
        name = job.subject.spec.name
        wanted = job.identity["tokenizer"]
        for field, value in job.subject.identity(overrides).items():
            _same(f"tokenizer `{name}`: its {field}", value, wanted[field])
    for part, job in {id(job.part): (job.part, job) for job in run.jobs}.values():
        for evaluator in part.evaluators:
            require_packages(evaluator)
            here = fingerprint(evaluator.weights, overrides).weights
            _same(
                f"evaluator `{evaluator.name}`: its weights", here, job.identity["evaluators"][evaluator.name]
            )


def check_images(order: Order) -> None:
    """See that an image of each set can be read here and is the one that the driver reads.

    Raises:
        DataError: it is not.
    """
    for part, sample in zip(order.run.passes, order.samples, strict=True):
        if sample is None:
            continue
        position, wanted = sample
        if (found := _sha256(part, position)) != wanted:
            raise DataError(
                f"image set `{part.images.name}`: {part.plan.items[position].file} "
                + ("is another file than on the driver" if found else "cannot be read"),
                hint="every node must see the images under the path or URL that the driver was given",
            )


def _same(what: str, here: object, wanted: object) -> None:
    if here != wanted:
        raise IntegrityError(
            f"{what} differs from the driver's",
            hint="every node must have the same adapter files and weights under the same paths",
        )


def _first_readable(part: Pass) -> tuple[int, str] | None:
    for position in range(min(_TRIED, len(part.plan.items))):
        if found := _sha256(part, position):
            return position, found
    return None


def _sha256(part: Pass, position: int) -> str:
    """Return the SHA-256 of an image's file, or "" when it cannot be read."""
    ((_, data),) = part.images.read([part.plan.items[position]])
    return hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else ""


def _version(name: str) -> str:
    try:
        return version(name).partition("+")[0]  # not which CUDA torch was built for: the driver may have none
    except PackageNotFoundError:
        return ""
