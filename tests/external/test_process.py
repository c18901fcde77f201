"""Processes that die, hang, print and send garbage, without torch, which takes long to import."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokbench.errors import SetupError, WorkerError
from tokbench.external.frames import MAX_HEADER, Channel, Frame, FrameError, Part
from tokbench.external.frames import __file__ as frames_file
from tokbench.external.process import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[[str], Worker]

# The other side of the conversation: it answers with what it was asked, after the lines of a test.
PEER = """
import importlib.util, os, signal, struct, subprocess, sys, threading, time
spec = importlib.util.spec_from_file_location("frames", sys.argv[1] + "/external/frames.py")
frames = importlib.util.module_from_spec(spec)
spec.loader.exec_module(frames)
outgoing = int(sys.argv[3])
channel = frames.Channel(int(sys.argv[2]), outgoing)
while True:
    asked = channel.receive()
{lines}
    channel.send(asked)
"""
ASKED = Frame({"call": "encode", "text": "ÿ\n"}, (Part("ids", "int16", (2, 2), b"12345678"),))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    workers = []

    def start(lines: str = "") -> Worker:
        script = tmp_path / f"peer{len(workers)}.py"
        script.write_text(PEER.format(lines="".join(f"    {line}\n" for line in lines.splitlines())))
        workers.append(Worker("theirs", Path(sys.executable), tmp_path, script))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _gone(pid: int) -> bool:
    until = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not _alive(pid)


def _group(leader: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == leader:
            found.append(int(path.parent.name))
    return found


def test_frames_come_back_as_they_were_sent(start: Start) -> None:
    worker = start()
    large = Part("images", "uint8", (3, 1 << 20), os.urandom(3 << 20))  # more than a pipe holds
    for frame in (ASKED, Frame({"call": "x"}), Frame({"call": "x"}, (large, *ASKED.parts))):
        assert worker.ask(frame, 10) == frame


def test_a_process_that_dies_is_named_with_its_last_words(start: Start) -> None:
    worker = start(
        "print('early'); print('x' * 5000); print('out of\\x1b[31m memory')\n"
        "print('goodbye', file=sys.stderr); sys.stdout.flush(); os._exit(3)"
    )
    with pytest.raises(WorkerError) as caught:
        worker.ask(ASKED, 10)
    message = caught.value.message
    assert message.startswith("tokenizer `theirs`: its worker ended with exit status 3 during encode(); ")
    assert message.endswith("xxx | out of\N{REPLACEMENT CHARACTER}[31m memory | goodbye")
    assert len(message) < 2000
    assert caught.value.exit_code == 5


def test_a_process_that_is_killed_takes_along_what_it_started(start: Start) -> None:
    worker = start(
        "print(subprocess.Popen(['sleep', '60']).pid, flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)"
    )
    with pytest.raises(WorkerError, match=r"was killed by SIGSEGV during encode\(\)") as caught:
        worker.ask(ASKED, 10)
    assert _gone(int(caught.value.message.split()[-1]))


def test_a_death_is_noticed_although_a_child_holds_the_pipe(start: Start) -> None:
    worker = start("if os.fork(): os._exit(4)\nelse: time.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(WorkerError, match="ended with exit status 4"):
        worker.ask(ASKED, 60)
    assert time.monotonic() - begun < 10


def test_a_process_that_hangs_is_ended_in_time(start: Start) -> None:
    worker = start("print(os.getpid(), flush=True); time.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(WorkerError, match=r"gave no answer within 0\.5 s and was ended") as caught:
        worker.ask(ASKED, 0.5)
    assert time.monotonic() - begun < 5
    assert _gone(int(caught.value.message.split()[-1]))


def test_a_process_that_does_not_read_is_ended_in_time(start: Start) -> None:
    worker = start()
    worker.ask(ASKED, 10)
    os.kill(worker._process.pid, signal.SIGSTOP)
    with pytest.raises(WorkerError, match=r"gave no answer within 0\.5 s"):
        worker.ask(Frame({"call": "encode"}, (Part("images", "uint8", (1 << 22,), bytes(1 << 22)),)), 0.5)


def test_half_an_answer_is_no_answer(start: Start) -> None:
    worker = start("os.write(outgoing, struct.pack('<4sIQ', b'TOKB', 100, 0)); time.sleep(60)")
    with pytest.raises(WorkerError, match="gave no answer"):
        worker.ask(ASKED, 0.5)


def test_a_pipe_that_closes_early_is_noticed(start: Start) -> None:
    with pytest.raises(WorkerError, match="closed its pipe"):
        start("os.closerange(3, 256); time.sleep(60)").ask(ASKED, 10)


def test_an_interrupt_ends_it_since_its_answer_is_under_way(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start()

    def interrupted(channel: Channel, seconds: float) -> Frame:
        raise KeyboardInterrupt

    monkeypatch.setattr(Channel, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.ask(ASKED, 10)
    assert _gone(worker._process.pid)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("b'hello, this is no frame at all'", "it starts with b'hell'"),
        ("struct.pack('<4sIQ', b'TOKB', 1 << 31, 0)", "header of 2147483648 bytes"),
        ("struct.pack('<4sIQ', b'TOKB', 4, 0) + b'????'", "header that cannot be read: JSONDecodeError"),
        ("struct.pack('<4sIQ', b'TOKB', 3, 0) + b'[1]'", "header that cannot be read: TypeError"),
        ("struct.pack('<4sIQ', b'TOKB', 2, 0) + b'{}'", "header that cannot be read: KeyError: 'parts'"),
    ],
)
def test_garbage_is_refused(start: Start, sent: str, reason: str) -> None:
    worker = start(f"os.write(outgoing, {sent}); time.sleep(60)")
    with pytest.raises(WorkerError, match="sent what is no frame") as caught:
        worker.ask(ASKED, 10)
    assert reason in caught.value.message
    assert _gone(worker._process.pid)


@pytest.fixture
def loop() -> Iterator[Channel]:
    """A channel that reads what it writes."""
    channel = Channel(*os.pipe())
    yield channel
    channel.close()


@pytest.mark.parametrize(
    ("parts", "body", "reason"),
    [
        ('["ids", "object", [1]]', 8, "KeyError: 'object'"),
        ('["ids", "int8", [-1]]', 8, "shape"),
        ('["ids", "int8", [true]]', 1, "shape"),
        ('["ids", "int8", 1]', 1, "TypeError"),
        ('["ids", "int8"]', 1, "ValueError"),
        ('["ids", "int8", [3]]', 4, "body of 4 bytes, and parts of 3"),
        ('["ids", "int64", [1152921504606846976]]', 8, "body of 8 bytes, and parts of 9223372036854775808"),
        ('["ids", "int8", [1152921504606846976]]', 1 << 60, "body of 1152921504606846976 bytes"),
    ],
)
def test_lists_of_parts_that_lie_are_refused_before_anything_is_allocated(
    loop: Channel, parts: str, body: int, reason: str
) -> None:
    header = f'{{"parts": [{parts}]}}'.encode()
    os.write(
        loop._outgoing, b"TOKB" + len(header).to_bytes(4, "little") + body.to_bytes(8, "little") + header
    )
    with pytest.raises(FrameError) as caught:
        loop.receive(1)
    assert reason in str(caught.value)


def test_a_header_that_is_too_long_is_not_sent(loop: Channel) -> None:
    with pytest.raises(FrameError, match="header of"):
        loop.send(Frame({"text": "x" * MAX_HEADER}))


def test_a_python_that_is_not_there_is_a_setup_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"`theirs`: .*bin/python cannot be started"):
        Worker("theirs", tmp_path / "bin" / "python", tmp_path)


def test_dropping_it_ends_the_process(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(PEER.format(lines=""))
    worker = Worker("theirs", Path(sys.executable), tmp_path, script)
    pid = worker._process.pid
    assert _alive(pid)
    del worker
    assert not _alive(pid)


@pytest.mark.parametrize("busy", [False, True])
def test_a_worker_ends_with_its_parent_even_in_the_middle_of_a_call(tmp_path: Path, busy: bool) -> None:
    peer = tmp_path / "peer.py"
    # As the real worker does: one thread listens, so that the end of the pipe is noticed during a call.
    peer.write_text(
        "import sys\nsys.path.insert(0, sys.argv[1] + '/external')\nimport worker\n"
        "class Server:\n"
        "    def answer(self, asked):\n"
        "        import subprocess, time\n"
        "        subprocess.Popen(['sleep', '60']); open('busy', 'w').close(); time.sleep(60)\n"
        "worker.Server = Server\nworker.main()\n"
    )
    parent_script = tmp_path / "parent.py"
    parent_script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from tokbench.external.frames import Frame\nfrom tokbench.external.process import Worker\n"
        f"worker = Worker('theirs', Path(sys.executable), Path({str(tmp_path)!r}), Path({str(peer)!r}))\n"
        "print(worker._process.pid, flush=True)\n"
        f"worker.ask(Frame({{'call': 'encode'}}), 60) if {busy} else sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, parent_script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        until = time.monotonic() + 10
        while busy and not (tmp_path / "busy").exists() and time.monotonic() < until:
            time.sleep(0.02)
        members = _group(worker)
        parent.kill()
    assert len(members) == 1 + busy
    assert all(_gone(pid) for pid in members)


def test_what_the_worker_runs_is_old_python_without_packages() -> None:
    package = Path(frames_file).parents[1]
    names = ("__init__", "errors", "tokenizer", "stored", "weights")
    names += tuple(f"external/{name}" for name in ("__init__", "frames", "tensors", "worker"))
    for name in names:
        tree = ast.parse((package / f"{name}.py").read_text(), feature_version=(3, 9))
        guarded = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in tree.body if name == "weights" else ast.walk(tree):
            if id(node) in guarded or not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            modules = (
                [node.module] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            )
            roots = {str(module).partition(".")[0] for module in modules}
            assert roots <= sys.stdlib_module_names | {"torch", "numpy", "tokbench"}, (name, roots)
