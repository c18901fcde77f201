"""tokbench's side of one worker process: starts it, asks it, notices when it dies or hangs, and ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING

from tokbench.errors import SetupError, WorkerError
from tokbench.external.frames import Channel, FrameError

if TYPE_CHECKING:
    from tokbench.external.frames import Frame

_PACKAGE = Path(__file__).parents[1]
_SCRIPT = Path(__file__).with_name("worker.py")
_PIPE_BYTES = 1 << 20
_TAIL_BYTES = 1 << 16
_TAIL_LINES = 12
_TAIL_CHARACTERS = 1500
_LAST_WORDS_SECONDS = 1


class Worker:
    """A process that runs `tokbench.external.worker`.

    It leads a process group of its own, so that it can be ended with everything it started, and a Ctrl-C in the
    terminal does not reach it. It ends by itself when this process does: its pipe is closed then.

    Args:
        name: the tokenizer, for messages.
        python: the interpreter of its environment.
        folder: where it starts.
        script: what it runs.
    """

    def __init__(self, name: str, python: Path, folder: Path, script: Path = _SCRIPT) -> None:
        if os.name != "posix":
            raise SetupError(
                f"tokenizer `{name}` runs in a worker process, which needs Linux or macOS",
                hint="leave it out here",
            )
        self._name = name
        their_in, our_out = _wide_pipe()
        our_in, their_out = _wide_pipe()
        # -I keeps PYTHONPATH and the user's own packages out; -B leaves the checkout as it is.
        flags = ["-I", "-B", "-u", "-X", "utf8"]
        command = [str(python), *flags, str(script), str(_PACKAGE), str(their_in), str(their_out)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(their_in, their_out),
                cwd=folder,
                env=_variables(python),
                start_new_session=True,
            )
        except OSError as error:
            for descriptor in (our_in, our_out):
                os.close(descriptor)
            raise SetupError(
                f"tokenizer `{name}`: {python} cannot be started: {error.strerror}",
                hint=f"delete its environment and run `tokbench fetch {name}`",
            ) from error
        finally:
            for descriptor in (their_in, their_out):
                os.close(descriptor)
        process = self._process
        self._channel = Channel(our_in, our_out, lambda: process.poll() is not None)
        assert process.stdout is not None
        self._printed = bytearray()
        self._drain = Thread(target=_drain, args=(process.stdout, self._printed), daemon=True)
        self._drain.start()
        self.stop = weakref.finalize(self, _stop, process, self._channel)

    def ask(self, frame: Frame, seconds: float) -> Frame:
        """Send a frame and wait for the answer.

        Raises:
            WorkerError: it died, gave no answer in time, or sent what is no frame. It is stopped then.
        """
        try:
            self._channel.send(frame, seconds)
            return self._channel.receive(seconds)
        except (EOFError, TimeoutError, FrameError) as error:
            how = self._how(error, seconds)
            self.stop()
            raise WorkerError(
                f"tokenizer `{self._name}`: its worker {how} during {frame.head['call']}(){self._last_words()}",
                hint=f"the next shard gets a fresh one; `tokbench check {self._name}` may show it again",
            ) from error
        except BaseException:
            # An interrupt leaves an answer under way, which must not be taken for that of the next call.
            self.stop()
            raise

    def _how(self, error: Exception, seconds: float) -> str:
        if isinstance(error, TimeoutError):
            return f"gave no answer within {seconds:g} s and was ended"
        if isinstance(error, FrameError):
            return f"sent what is no frame ({error}) and was ended"
        try:
            code = self._process.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            return "closed its pipe and was ended"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

    def _last_words(self) -> str:
        """Return the end of what it printed, on one line."""
        self._drain.join(_LAST_WORDS_SECONDS)
        text = bytes(self._printed).decode("utf-8", "replace")
        shown = "".join(
            letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}"
            for letter in text
        )
        lines = [line.strip() for line in shown.splitlines() if line.strip()][-_TAIL_LINES:]
        tail = " | ".join(lines)[-_TAIL_CHARACTERS:]
        return f"; it printed last: {tail}" if tail else "; it printed nothing"


def _wide_pipe() -> tuple[int, int]:
    """Open a pipe that holds as much as the system lets it: a batch of images goes through in fewer turns."""
    reading, writing = os.pipe()
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # many pipes of one user: those that remain are narrow
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return reading, writing


def _variables(python: Path) -> dict[str, str]:
    """Return the environment variables of a worker: programs that its packages bring come first."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    return {
        **kept,
        "VIRTUAL_ENV": str(python.parents[1]),
        "PATH": f"{python.parent}{os.pathsep}{kept.get('PATH', '')}",
    }


def _drain(stream: IO[bytes], printed: bytearray) -> None:
    """Read what a worker prints, so that it never waits for a reader, and keep the end of it."""
    with stream:
        while chunk := os.read(stream.fileno(), _TAIL_BYTES):
            printed += chunk
            del printed[:-_TAIL_BYTES]


def _stop(process: subprocess.Popen[bytes], channel: Channel) -> None:
    """End a worker and everything it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended already
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    channel.close()
