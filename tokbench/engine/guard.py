"""Around every call of a tokenizer: what strangers' code may do to a run, and what becomes of it.

Whatever it raises is this tokenizer's failure, `SystemExit` included, which scripts raise that parse a command line.
What it changes of the process is put back, and a call that takes very long is named while it lasts.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from tokbench.errors import AdapterError, ContractError, TokbenchError
from tokbench.surroundings import unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds after which a call in this process is said to take long; nothing ends it but its user."""

_LOG = logging.getLogger("tokbench")


class Guard:
    """Calls one tokenizer.

    Args:
        name: the tokenizer, for messages.
        patience: seconds after which a call is said to take long; said again after twice as many, and so on.
    """

    def __init__(self, name: str, patience: float = PATIENCE) -> None:
        self._name = name
        self._patience = patience
        self._current: tuple[str, float] | None = None
        self._watcher: threading.Thread | None = None
        self._over = threading.Event()

    def call(self, verb: str, function: Callable[[], T]) -> T:
        """Call a function of the tokenizer.

        Args:
            verb: what is called, for messages.
            function: the call.

        Raises:
            ContractError: it changed settings of the process; they are put back.
            AdapterError: it raised what is no error of tokbench.
            torch.OutOfMemoryError: the device is full, which fewer images may help against.
        """
        import torch

        try:
            with self._watched(verb), unchanged() as changes, torch.inference_mode():
                value = function()
        except (TokbenchError, torch.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:
            # Third-party code may raise anything; whatever it is, it is this tokenizer's failure.
            raise AdapterError(
                f"tokenizer `{self._name}`: {verb}() raised {type(error).__name__}: {error}",
                hint=f"`tokbench check {self._name}` reproduces it with a traceback",
            ) from error
        if changes.said:
            raise ContractError(
                f"tokenizer `{self._name}`: {verb}() changed settings of the whole process: "
                f"{'; '.join(changes.said)}; wanted them untouched",
                hint="set them inside the call and back again, with torch's own context managers",
            )
        return value

    @contextmanager
    def _watched(self, verb: str) -> Iterator[None]:
        before = self._current
        self._current = verb, time.monotonic()
        if self._watcher is None:
            self._watcher = threading.Thread(
                target=_watch, args=(weakref.ref(self), self._over, self._patience), daemon=True
            )
            self._watcher.start()
            weakref.finalize(self, self._over.set)
        try:
            yield
        finally:
            self._current = before


def _watch(reference: weakref.ref[Guard], over: threading.Event, patience: float) -> None:
    """Say of a call that it takes long, then again after twice as long; ends with its guard."""
    told: tuple[str, float] | None = None
    after = patience
    while not over.wait(patience / 2):
        guard = reference()
        if guard is None:
            return
        current, name = guard._current, guard._name
        del guard  # it must not live on because it is watched
        if current != told:
            told, after = current, patience
        if current is None or time.monotonic() - current[1] < after:
            continue
        after *= 2
        _LOG.warning(
            "tokenizer `%s`: %s() has not come back for %.3g minutes; "
            "finished shards are kept, and pressing Ctrl-C twice ends the run",
            name,
            current[0],
            (time.monotonic() - current[1]) / 60,
        )
