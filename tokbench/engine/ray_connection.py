"""Joins the Ray cluster of ``RAY_ADDRESS``, or starts one on this machine, for as long as a block runs."""

from __future__ import annotations

import logging
import os
import signal
import socket
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from tokbench.errors import MissingPackageError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

REACH = 10.0
"""Seconds that the head node may take to answer."""


@contextmanager
def connected() -> Iterator[Any]:
    """Be a driver of a cluster while the block runs; one that the caller is connected to already is used as it is.

    Yields:
        The module `ray`.

    Raises:
        MissingPackageError: Ray is not installed.
        SetupError: the cluster cannot be reached, or none can be started.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "--launcher ray needs the package `ray`", hint="pip install 'tokbench[ray]'"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    _reach(os.environ.get("RAY_ADDRESS", ""))
    in_main = current_thread() is main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        # What actors print would land in the output of the run.
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
        raise _unreachable(error) from error
    try:
        if in_main:
            signal.signal(
                signal.SIGTERM, before
            )  # Ray puts its own in place; signals stay with whoever had them
        yield ray
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """See that somebody listens at ``host:port``: Ray tries for minutes, deaf to Ctrl-C."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        return  # "", "auto", "local" and URLs are Ray's to understand
    try:
        with socket.create_connection((host.strip("[]"), int(port)), REACH):
            pass
    except OSError as error:
        raise _unreachable(f"nobody listens at {address}: {error.strerror or error}") from error


def _unreachable(reason: object) -> SetupError:
    return SetupError(
        f"the Ray cluster cannot be reached or started: {str(reason).splitlines()[0]}",
        hint="RAY_ADDRESS names the cluster to use; unset it to start one on this machine",
    )
