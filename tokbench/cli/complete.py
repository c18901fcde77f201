"""Names for the shell's completion: read from the catalog when Tab is pressed, importing nothing heavy.

`tokbench --install-completion` puts the completion into the shell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokbench.catalog import Catalog


def tokenizers(incomplete: str) -> list[str]:
    """Return the tokenizers whose names start so; a path of one's own is left to the shell."""
    return _starting(incomplete, (e.name for e in _catalog().tokenizers.values() if not e.broken))


def tasks(incomplete: str) -> list[str]:
    """Return the tasks whose names start so."""
    return _starting(incomplete, _catalog().tasks)


def image_sets(incomplete: str) -> list[str]:
    """Return the image sets whose names start so."""
    return _starting(incomplete, _catalog().image_sets)


def protocols(incomplete: str) -> list[str]:
    """Return the protocol presets whose names start so."""
    from tokbench.protocol import PRESETS

    return _starting(incomplete, PRESETS)


def names(incomplete: str) -> list[str]:
    """Return the tokenizers, tasks, image sets, evaluators and protocols whose names start so."""
    found = {*tokenizers(incomplete), *tasks(incomplete), *image_sets(incomplete), *protocols(incomplete)}
    return sorted({*found, *_starting(incomplete, _catalog().evaluators)})


def _catalog() -> Catalog:
    from tokbench.catalog import discover

    return discover()


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
