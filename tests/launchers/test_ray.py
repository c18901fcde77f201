"""A real Ray cluster of several nodes on this machine: numbers stay the same while actors and nodes are lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tokbench import Results, evaluate
from tokbench.engine import ray_launcher, ray_member
from tokbench.errors import MissingPackageError, SetupError, UsageError, WorkerError

ray = pytest.importorskip("ray")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE = 90.0
"""Seconds after which something that should happen at once has not; only a failing test waits so long."""

SMALL = {"object_store_memory": 80 << 20, "include_log_monitor": False, "include_dashboard": False}

Request = dict[str, Any]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster whose only node has no CPU to give."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        cluster = Cluster()
        cluster.add_node(num_cpus=0, **SMALL)
        patch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def cluster(head: Any) -> Any:
    """The cluster with two nodes of one CPU each."""
    for _ in range(2):
        head.add_node(num_cpus=1, wait=False, **SMALL)
    head.wait_for_nodes()
    return head


def until(happened: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE
    while not (found := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def raylet_of(node: Any) -> int:
    (info,) = node.all_processes["raylet"]
    return int(info.process.pid)


def parent_of(process: int) -> int:
    with open(f"/proc/{process}/stat") as file:  # noqa: PTH123
        return int(file.read().rpartition(")")[2].split()[1])


class Holding:
    """Lets one actor lie still in the middle of a unit, again and again."""

    def __init__(self, adapter: Path) -> None:
        self._folder = adapter.parent
        self.held: list[int] = []

    def order(self) -> None:
        (self._folder / "hold").touch()

    def wait(self) -> int:
        """Return the process of the actor that lies still."""

        def new() -> list[int]:
            found = [int(path.name.removeprefix("held-")) for path in self._folder.glob("held-*")]
            return [number for number in found if number not in self.held]

        (process,) = until(new)
        self.held.append(process)
        return process


@pytest.fixture
def holding(mortal: Path) -> Iterator[Holding]:
    yield Holding(mortal)
    for name in ("hold", "kill", *(path.name for path in mortal.parent.glob("held-*"))):
        (mortal.parent / name).unlink(missing_ok=True)


def test_a_head_node_that_does_not_answer(request_of: Request, tmp_path: Path, monkeypatch: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(SetupError, match=f"nobody listens at 127.0.0.1:{port}: Connection refused") as caught:
        evaluate(**request_of, out=tmp_path / "o", launcher="ray")
    assert "RAY_ADDRESS" in (caught.value.hint or "")


def test_ray_is_not_installed(request_of: Request, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match="needs the package `ray`") as caught:
        evaluate(**request_of, out=tmp_path / "o", launcher="ray")
    assert caught.value.hint == "pip install 'tokbench[ray]'"


def test_a_cluster_without_room(head: Any, request_of: Request, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no room for an actor: no node that is alive has a CPU") as caught:
        evaluate(**request_of, out=tmp_path / "o", launcher="ray")
    assert "ray start" in (caught.value.hint or "")
    with pytest.raises(SetupError, match="the Ray cluster has no GPU"):
        evaluate(**request_of, out=tmp_path / "o", launcher="ray", device="cuda")
    with pytest.raises(UsageError, match="cuda:1 names a device of one machine"):
        evaluate(**request_of, out=tmp_path / "o", launcher="ray", device="cuda:1")


def test_a_killed_actor_and_a_lost_node_change_nothing(
    cluster: Any, request_of: Request, same: Callable[[Results], None], holding: Holding, tmp_path: Path
) -> None:
    counts: list[int] = []
    holding.order()

    def disturb() -> None:
        first = holding.wait()
        os.kill(first, signal.SIGKILL)
        holding.order()
        second = holding.wait()
        (raylet,) = (node for node in cluster.worker_nodes if parent_of(second) == raylet_of(node))
        cluster.remove_node(raylet, allow_graceful=False)

    thread = Thread(target=disturb)
    thread.start()
    results = evaluate(**request_of, out=tmp_path / "o", launcher="ray", on_images=counts.append)
    thread.join()
    same(results)
    assert len(holding.held) == 2
    assert sum(counts) == 3 * 40
    assert not ray.is_initialized()


def test_an_interrupted_run_leaves_no_actor_behind(
    cluster: Any, request_of: Request, holding: Holding, tmp_path: Path
) -> None:
    holding.order()

    def interrupt(count: int) -> None:
        if list(tmp_path.glob("stop")):
            raise KeyboardInterrupt

    def press() -> None:
        holding.wait()
        (tmp_path / "stop").touch()

    thread = Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        evaluate(**request_of, out=tmp_path / "o", launcher="ray", on_images=interrupt)
    thread.join()
    until(lambda: not is_alive(holding.held[0]))
    assert not list((tmp_path / "o").glob("summary*"))


def test_a_killed_driver_takes_its_actors_along_and_the_same_command_goes_on(
    cluster: Any,
    request_of: Request,
    same: Callable[[Results], None],
    holding: Holding,
    images: Path,
    tmp_path: Path,
) -> None:
    holding.order()
    names = [word for name in request_of["tokenizer"] for word in ("-t", name)]
    words = ["run", *names, "--images", str(images), "--protocol", "adm-64", "--batch-size", "8"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "tokbench", *words, "--launcher", "ray", "--out", str(tmp_path / "o")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    actor = holding.wait()
    driver.kill()
    driver.wait()
    until(lambda: not is_alive(actor))
    assert not list((tmp_path / "o").glob("summary*"))
    same(evaluate(**request_of, out=tmp_path / "o", launcher="ray"))


def test_a_unit_that_ends_its_actors_is_named(
    cluster: Any, request_of: Request, holding: Holding, mortal: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ray_launcher, "LOSSES", 1)
    (mortal.parent / "kill").touch()
    with pytest.raises(
        WorkerError, match=r"shard 1 of 3 of `images:small` \(adm-64\) ended 1 actors"
    ) as caught:
        evaluate(**request_of, out=tmp_path / "o", launcher="ray", workers=1)
    assert caught.value.exit_code == 5
    assert "run the same command again" in (caught.value.hint or "")


def test_a_busy_cluster_is_waited_for_and_then_left(
    cluster: Any, request_of: Request, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ray_launcher, "PATIENCE", 1.0)
    ray.init(log_to_driver=False)  # a caller's own connection is used, and left open
    try:
        group = ray.util.placement_group([{"CPU": 1}] * int(ray.cluster_resources()["CPU"]))
        ray.get(group.ready())
        with pytest.raises(SetupError, match=r"for 1 s: it has room for [12], 0 CPU are free"):
            evaluate(**request_of, out=tmp_path / "o", launcher="ray")
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_a_node_with_other_packages_is_refused(
    cluster: Any, request_of: Request, tmp_path: Path, monkeypatch: Any
) -> None:
    driver = {"tokbench": "0.0.1", "torch-geometry-of-tomorrow": "7.0"}
    monkeypatch.setattr(ray_member, "PACKAGES", ("torch-geometry-of-tomorrow",))
    monkeypatch.setattr(ray_member, "_version", driver.get)
    with pytest.raises(SetupError) as caught:
        evaluate(**request_of, out=tmp_path / "o", launcher="ray")
    assert "tokbench is 0.1.0, on the driver 0.0.1" in caught.value.message
    assert "torch-geometry-of-tomorrow is not installed, on the driver 7.0" in caught.value.message
    assert caught.value.message.startswith("node ")


def test_actors_take_gpus_where_there_are_any(cluster: Any, request_of: Request, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("the node below has a GPU in name only, and torch must not find one")
    node = cluster.add_node(num_cpus=1, num_gpus=1, **SMALL)
    try:
        with pytest.raises(SetupError, match=r"^node .*: device `cuda` cannot be used") as caught:
            evaluate(**request_of, out=tmp_path / "o", launcher="ray")
    finally:
        cluster.remove_node(node)
    assert caught.value.exit_code == 3
