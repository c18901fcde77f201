"""Reading JSON and TOML from strangers: whatever is wrong with it is a `ValueError`, and what is right is bounded.

Python's parsers raise other things too (a `RecursionError` for what is nested too deep), and let pass what breaks
later: integers of any length, and nesting just below the limit of the stack.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

DEEPEST = 100
"""Levels of lists and tables that a document may have."""

LARGEST = 2**63 - 1
"""Largest integer, either sign."""


def parse_json(text: str | bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is none, is nested deeper than `DEEPEST`, or holds an integer beyond `LARGEST`.
    """
    try:
        value = json.loads(text, parse_int=_integer)
    except RecursionError as error:
        raise _too_deep() from error
    if isinstance(value, dict | list):
        _check(value)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """Read TOML.

    Raises:
        ValueError: as for `parse_json`.
    """
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep() from error
    _check(table)
    return table


def _integer(digits: str) -> int:
    # The number of digits comes first: Python refuses to convert more than 4,300, with a riddle for a message.
    if len(digits) > 20 or abs(int(digits)) > LARGEST:
        raise ValueError(f"the integer {digits[:20]}… has more than 64 bits")
    return int(digits)


def _check(document: Any) -> None:
    level = [document]
    for _ in range(DEEPEST):
        inside = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, dict | list | int)
        ]
        if any(isinstance(each, int) and abs(each) > LARGEST for each in inside):
            raise ValueError("an integer has more than 64 bits")
        level = [each for each in inside if isinstance(each, dict | list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {DEEPEST} levels")
