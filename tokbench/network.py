"""`--offline`: within a block, anything that tries to reach another machine fails at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tokbench.errors import SetupError


@contextmanager
def forbid_network(active: bool) -> Iterator[None]:
    """Refuse connections to other machines while the block runs, in this process.

    Args:
        active: False makes the block do nothing.

    Raises:
        SetupError: from the code that tried to connect, naming the address.
    """
    if not active:
        yield
        return
    original = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            raise SetupError(
                f"--offline: a connection to {address[0]} was refused", hint="fetch first: `tokbench fetch NAME`"
            )
        original(self, address)

    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.socket.connect = original  # type: ignore[method-assign]
