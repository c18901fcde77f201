"""The one exception tree of tokbench.

::

    TokbenchError                    exit  what went wrong
    ├── UsageError                     2   the request itself: options that do not fit together
    │   └── UnknownNameError           2   no tokenizer, task, image set, metric or protocol of that name
    ├── SetupError                     3   something is not installed or not fetched
    │   ├── MissingPackageError        3   an optional package is absent
    │   ├── WeightsMissingError        3   a weights file is absent
    │   ├── UnavailableError           3   a system that nobody can run
    │   └── BrokenPluginError          3   a plugin, adapter header or card cannot be used
    ├── DataError                      4   the images
    │   ├── ImageError                 4   one image cannot be read; the run goes on without it and counts it
    │   ├── EmptyImageSetError         4   nothing to evaluate
    │   └── DigestError                4   the images (or weights) are not the ones their card names
    ├── AdapterError                   5   the tokenizer raised
    │   ├── ContractError              5   the tokenizer returned something outside the contract
    │   └── WorkerError                5   the tokenizer's own process died, hung or sent garbage: one shard is lost
    ├── EvaluatorError                 6   a feature network, recogniser or metric raised
    ├── StorageError                   7   results cannot be written or read: full disk, no permission
    └── IntegrityError                 8   results that do not belong together, or are damaged

Every error names the thing, the reason and, in `hint`, the next step. Exit code 1 stays for defects of tokbench
itself, 130 for an interrupt and 143 for a termination. Verdicts have codes too: 9, a published figure differs; 10, a
gate fails; 11, it is inconclusive under ``--strict``.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class TokbenchError(Exception):
    """Root of the tree.

    Args:
        message: the thing and the reason, one line.
        hint: the next step for the user, one line, or None.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = as_utf8(message)
        self.hint = hint and as_utf8(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross from worker processes to their parent; keyword-only arguments need this to survive.
        return _rebuild, (type(self), self.message, self.hint)


def as_utf8(text: str) -> str:
    """Write what stands in a name for bytes that are not UTF-8 (lone surrogates) as escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _rebuild(kind: type[TokbenchError], message: str, hint: str | None) -> TokbenchError:
    error = kind.__new__(kind)
    TokbenchError.__init__(error, message, hint=hint)
    return error


class UsageError(TokbenchError):
    """The request cannot be carried out as given."""

    exit_code = 2


class UnknownNameError(UsageError):
    """No such name; suggests the nearest ones.

    Args:
        kind: what was looked for, in words ("tokenizer").
        name: the name that was not found.
        known: the names that exist.
        hint: replaces the default hint ("tokbench list").
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str | None = None) -> None:
        near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
        guess = f"; did you mean {' or '.join(f'`{match}`' for match in near)}?" if near else ""
        super().__init__(f"unknown {kind} `{name}`{guess}", hint=hint or "`tokbench list` shows every name")


class SetupError(TokbenchError):
    """Something the request needs is not installed or not fetched."""

    exit_code = 3


class MissingPackageError(SetupError):
    """An optional package is not installed."""


class WeightsMissingError(SetupError):
    """A weights file is not on this machine."""


class UnavailableError(SetupError):
    """A system that exists on paper and cannot be run by anybody."""


class BrokenPluginError(SetupError):
    """A plugin, an adapter header or a card cannot be used."""


class DataError(TokbenchError):
    """The images are not what was asked for."""

    exit_code = 4


class ImageError(DataError):
    """One image cannot be read."""


class EmptyImageSetError(DataError):
    """There is no image to evaluate."""


class DigestError(DataError):
    """Content differs from the digest its card or manifest pins."""


class AdapterError(TokbenchError):
    """A tokenizer raised, or could not be built."""

    exit_code = 5


class ContractError(AdapterError):
    """A tokenizer returned something outside the contract of `tokbench.tokenizer`."""


class WorkerError(AdapterError):
    """The process that a tokenizer runs in died, hung or sent garbage; the next call starts a fresh one."""


class EvaluatorError(TokbenchError):
    """A feature network or a metric raised."""

    exit_code = 6


class StorageError(TokbenchError):
    """Results cannot be written or read."""

    exit_code = 7


class IntegrityError(TokbenchError):
    """Results that do not belong together, or are damaged."""

    exit_code = 8
