"""Parsing that several verbs share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from tokbench.errors import UsageError


def parse_weights(pairs: list[str] | None) -> dict[str, Path]:
    """Turn ``--weights NAME=PATH`` into a mapping.

    Raises:
        UsageError: a pair lacks the name or the path, or a name is given twice.
    """
    found: dict[str, Path] = {}
    for pair in pairs or []:
        name, separator, path = pair.partition("=")
        if not (name and separator and path):
            raise UsageError(
                f"--weights {pair} is not NAME=PATH", hint="e.g. --weights inception=weights.pth"
            )
        if name in found:
            raise UsageError(f"--weights names `{name}` twice")
        found[name] = Path(path)
    return found


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Turn ``i/n`` into two numbers.

    Raises:
        UsageError: it is not of that form.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None:
        raise UsageError(f"--shard {text} is not i/n", hint="e.g. --shard 1/4 … --shard 4/4")
    return int(match[1]), int(match[2])


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
