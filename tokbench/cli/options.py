"""Parsing that several verbs share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tokbench.errors import UsageError

if TYPE_CHECKING:
    from tokbench.catalog import Catalog


def parse_weights(pairs: list[str] | None) -> dict[str, Path]:
    """Turn ``--weights NAME=PATH`` into a mapping.

    Raises:
        UsageError: a pair lacks the name or the path, or a name is given twice.
    """
    return _paths("--weights", pairs, "inception=weights.pth")


def parse_batch_size(text: str) -> int | Literal["auto"]:
    """Read ``--batch-size``.

    Raises:
        UsageError: it is neither a number nor ``auto``.
    """
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise UsageError(
            f"--batch-size {text} is neither a number nor auto", hint="e.g. --batch-size 16"
        ) from None


def with_sources(catalog: Catalog, pairs: list[str] | None, tokenizers: Iterable[str]) -> Catalog:
    """Put the checkouts of ``--source NAME=DIR`` into a catalog.

    Args:
        catalog: where names are looked up.
        pairs: the values of the option.
        tokenizers: the names that this command is about.

    Raises:
        UsageError: a pair lacks the name or the folder, or names none of these tokenizers.
    """
    sources = _paths("--source", pairs, "my-tokenizer=checkout")
    if not sources:
        return catalog
    entries = [catalog.tokenizer(name) for name in tokenizers if not name.startswith("folder:")]
    names = {entry.name for entry in entries if entry.variant and entry.variant.environment}
    for name in sources.keys() - names:
        raise UsageError(
            f"--source {name}={sources[name]}: no tokenizer of this command that runs from a repository is named so",
            hint=f"these do: {', '.join(sorted(names)) or 'none'}",
        )
    return replace(catalog, sources=sources)


def _paths(option: str, pairs: list[str] | None, example: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for pair in pairs or []:
        name, separator, path = pair.partition("=")
        if not (name and separator and path):
            raise UsageError(f"{option} {pair} is not NAME=PATH", hint=f"e.g. {option} {example}")
        if name in found:
            raise UsageError(f"{option} names `{name}` twice")
        found[name] = Path(path)
    return found


def go_offline(sources: Iterable[str]) -> None:
    """Keep this process and its workers from the network.

    A run downloads nothing by itself; what remains are image sets at a URL, which are refused here, and libraries
    that adapters use, which read the Hub's own switches.

    Raises:
        UsageError: an image source lies on another machine.
    """
    for source in sources:
        scheme, separator, _ = source.partition("://")
        if separator and scheme not in {"file", "local", "memory"}:
            raise UsageError(
                f"--offline: `{source}` lies on the network", hint="copy it here first, or drop --offline"
            )
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_DATASETS_OFFLINE="1")
