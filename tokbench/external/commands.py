"""Runs the programs that fetch and install: git, uv, pip."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections import deque
from typing import TYPE_CHECKING

from tokbench.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TAIL_LINES = 5


def run_command(command: Sequence[str], say: Callable[[str], None], **variables: str) -> None:
    """Run a program to its end, passing on what it prints line by line.

    Args:
        command: the program and its arguments; no shell is involved.
        say: is told every line.
        variables: environment variables to add.

    Raises:
        SetupError: it cannot be started or fails; ends with its last lines.
    """
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **variables},
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                say(line.rstrip())
                tail.append(line.strip())
    except OSError as error:
        raise SetupError(f"`{command[0]}` cannot be started: {error.strerror}", hint="install it") from error
    if process.returncode:
        raise SetupError(
            f"`{shlex.join(command)[:300]}` failed: {' | '.join(line for line in tail if line) or 'it says nothing'}",
            hint="check the network, or what it says above",
        )
