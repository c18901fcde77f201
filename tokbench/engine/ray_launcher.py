"""Hands units of work to actors on a Ray cluster: one actor a device, each given the next unit when it is free.

Units are idempotent and the results folder is shared, so a lost actor or node costs the units it had in hand: they go
to other actors, and new ones are started while the cluster has room. The actors' side is `tokbench.engine.ray_member`.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.engine.ray_connection import connected
from tokbench.engine.ray_member import Order, make_order, make_shell
from tokbench.errors import SetupError, TokbenchError, UsageError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tokbench.engine.run import Run

Unit = tuple[int, int]

LOSSES = 3
"""Actors that one unit may take with it, or that may be lost on every device while starting, before the run ends."""
CPUS = 4
"""CPUs that an actor on CPUs reserves, and lanes that it measures in, or what the largest node has: networks are loaded
once an actor, so one a CPU would cost a large node its memory. An actor on a GPU reserves one."""
PATIENCE = 600.0
"""Seconds without a single actor at work after which the run ends; a cluster may take minutes to grow."""
TICK = 0.5
"""Seconds between two looks at progress, interrupts and room for more actors."""


def run_units_on_ray(
    run: Run,
    folder: Path | str,
    units: Sequence[Unit],
    workers: int | None,
    on_images: Callable[[int], None],
) -> dict[str, TokbenchError]:
    """Carry out units of work on the Ray cluster of ``RAY_ADDRESS``, or else on one started here.

    Args:
        run: the run they belong to.
        folder: the results folder, by a path or URL that means the same on every node.
        units: (pass number, shard number) each.
        workers: at most so many actors; None takes every GPU of the cluster, or every CPU where it has none.
        on_images: called with the number of image reconstructions finished, twice a second with 0 (interrupts are
            taken there), and with a negative number when those of a lost actor have to be made again.

    Returns:
        ``{job id: error}`` of tokenizers that broke.

    Raises:
        MissingPackageError: Ray is not installed.
        SetupError: the cluster cannot be reached, has no room, or one of its nodes is not like this machine.
        WorkerError: a unit ended one actor after another.
        TokbenchError: whatever else stopped the whole run.
    """
    with connected() as ray:
        order = make_order(run, folder if isinstance(folder, str) else folder.resolve())
        return _Crew(ray, order, workers, on_images).work(list(units))


@dataclass(eq=False)
class _Member:
    """An actor as the driver sees it.

    Attributes:
        actor: its handle.
        node: where it runs, for messages; "" until it has started.
        unit: what it is at, or None.
        done: image reconstructions it has reported, in its whole life.
        kept: those of them that are in finished units.
        asked: the report that has been asked for, or None.
    """

    actor: Any
    node: str = ""
    unit: Unit | None = None
    done: int = 0
    kept: int = 0
    asked: Any = None


class _Crew:
    """The driver's side of all actors."""

    def __init__(self, ray: Any, order: Order, limit: int | None, on_images: Callable[[int], None]) -> None:
        self._ray, self._order, self._limit, self._on_images = ray, order, limit, on_images
        self._units: list[Unit] = []
        self._members: list[_Member] = []
        self._pending: dict[Any, _Member] = {}
        self._losses: Counter[Unit] = Counter()
        self._failed: dict[str, TokbenchError] = {}
        self._kind = self._device()
        self._cpus = min(CPUS, max(self._of_nodes("CPU"), default=1)) if self._kind == "CPU" else 1
        self._first_room = self._room()
        self._lost_starts = 0
        self._last_work = time.monotonic()
        if not self._first_room:
            raise SetupError(
                f"the Ray cluster has no room for an actor: no node that is alive has a {self._kind}",
                hint="start a node with `ray start --address=…`, then run the same command again",
            )
        self._packed = ray.put(order.packed(ray.cloudpickle))
        options = {"num_cpus": self._cpus, "num_gpus": int(self._kind == "GPU"), "max_restarts": 0}
        # The second thread answers how far the first has come.
        self._shell = ray.remote(max_concurrency=2, max_task_retries=0, **options)(make_shell())

    def work(self, units: list[Unit]) -> dict[str, TokbenchError]:
        """Hand out units until all are done."""
        self._units = units[::-1]
        try:
            while self._units or self._busy():
                self._recruit()
                if self._pending:
                    ready, _ = self._ray.wait(list(self._pending), timeout=TICK)
                    for reference in ready:
                        self._hear(reference)
                else:
                    time.sleep(TICK)
                self._look()
        finally:
            for member in self._members:
                self._ray.kill(member.actor)
        return self._failed

    def _busy(self) -> int:
        return sum(member.unit is not None for member in self._members)

    def _device(self) -> str:
        """Return the resource that an actor takes a device of: ``GPU`` or ``CPU``."""
        wanted = self._order.run.settings.device
        has_gpu = bool(self._of_nodes("GPU"))
        if wanted not in {"auto", "cpu", "cuda"}:
            raise UsageError(
                f"--device {wanted} names a device of one machine",
                hint="on a cluster every actor has a device of its own: --device auto, cpu or cuda",
            )
        if wanted == "cuda" and not has_gpu:
            raise SetupError("the Ray cluster has no GPU", hint="--device cpu works everywhere")
        return "GPU" if has_gpu and wanted != "cpu" else "CPU"

    def _of_nodes(self, kind: str) -> list[int]:
        """Return how many CPUs or GPUs each node has that is alive and has any."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return [int(each[kind]) for each in alive if each.get(kind, 0) >= 1]

    def _room(self) -> int:
        """Return how many actors the nodes that are alive can hold."""
        each = self._cpus if self._kind == "CPU" else 1
        return sum(count // each for count in self._of_nodes(self._kind))

    def _recruit(self) -> None:
        """Start as many actors as there is work, and room, for."""
        wanted = len(self._units) + self._busy()
        if self._limit is not None:
            wanted = min(wanted, self._limit)
        if len(self._members) >= wanted:
            return
        for _ in range(min(wanted, self._room()) - len(self._members)):
            member = _Member(self._shell.remote())
            self._members.append(member)
            started = member.actor.start.remote(
                self._order.wanted,
                self._order.environment,
                self._order.cwd,
                self._packed,
                "cuda" if self._kind == "GPU" else "cpu",
                self._cpus,
            )
            self._pending[started] = member

    def _hear(self, reference: Any) -> None:
        """Take the answer of an actor that has started or has ended a unit."""
        member = self._pending.pop(reference)
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError:
            raise  # a defect: Ray shows where in the actor
        except self._ray.exceptions.RayError as error:
            self._lose(member, error)
            return
        if member.unit is None:
            member.node, problem = answer
            if isinstance(problem, str):
                problem = SetupError(problem, hint="install the same versions on every node")
            if problem is not None:
                raise _on(member.node, problem)
            self._lost_starts = 0
        else:
            done, failed, problem = answer
            self._count(member, done)
            member.kept, member.unit = done, None
            self._failed |= {job: _on(member.node, error) for job, error in failed.items()}
            if problem is not None:
                raise _on(member.node, problem)
        if self._units:
            member.unit = self._units.pop()
            self._pending[member.actor.unit.remote(*member.unit)] = member
        else:
            self._members.remove(member)
            self._ray.kill(member.actor)

    def _lose(self, member: _Member, error: Exception) -> None:
        """Go on without an actor: what it had in hand goes to another."""
        self._members.remove(member)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(member.actor)  # it may only be out of reach
        reason = str(error).strip().splitlines()[0]
        if member.unit is None:
            self._lost_starts += 1
            if self._lost_starts >= LOSSES * self._first_room:
                raise SetupError(
                    f"{self._lost_starts} actors in a row were lost while starting, the last one: {reason}",
                    hint="`ray status` and the logs of the nodes say why; too little memory for the networks is usual",
                )
            return
        self._on_images(member.kept - member.done)
        self._losses[member.unit] += 1
        if self._losses[member.unit] >= LOSSES:
            number, shard = member.unit
            part = self._order.run.passes[number]
            raise WorkerError(
                f"shard {shard + 1} of {part.plan.shards} of `{part.images.name}` ({part.protocol.name}) ended "
                f"{LOSSES} actors, the last one on node {member.node}: {reason}",
                hint="out of memory or a crash in native code; finished shards are kept: run the same command again, "
                "with a smaller --batch-size",
            )
        self._units.append(member.unit)

    def _look(self) -> None:
        """See how far the actors are, and whether to go on at all."""
        now = time.monotonic()
        self._on_images(0)
        if self._busy():
            self._last_work = now
        elif now - self._last_work > PATIENCE:
            raise SetupError(
                f"no actor could be started on the Ray cluster for {PATIENCE:.0f} s: it has room for "
                f"{self._room()}, {self._ray.available_resources().get(self._kind, 0):.0f} {self._kind} are free",
                hint="finished shards are kept: run the same command again when `ray status` shows free devices",
            )
        asked = {}
        for member in self._members:
            if member.unit is not None:
                member.asked = member.asked or member.actor.done.remote()
                asked[member.asked] = member
        ready = self._ray.wait(list(asked), num_returns=len(asked), timeout=0)[0] if asked else []
        for reference in ready:
            asked[reference].asked = None
            with suppress(self._ray.exceptions.RayActorError):  # the unit's own answer says what happened
                self._count(asked[reference], self._ray.get(reference))

    def _count(self, member: _Member, done: int) -> None:
        if done > member.done:
            self._on_images(done - member.done)
            member.done = done


def _on(node: str, error: TokbenchError) -> TokbenchError:
    """Name the node in an error that came from there."""
    error.message = f"node {node}: {error.message}"
    return error
