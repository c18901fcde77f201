"""Hypothesis strategies for hostile input: sound documents and files with a few things changed.

Random bytes rarely get past the first check of a parser, so what is drawn here is mostly right.
"""

from __future__ import annotations

import copy
import json
import math
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEEP = 1200
"""Levels of nesting, beyond what Python's stack holds."""

HOSTILE_TEXT = (
    "",
    "../../../outside",
    "/etc/passwd",
    "a\nb",
    "\x1b[31mred\x1b]8;;http://x\x07",
    "[red]x[/red][link=http://x]y[/link]",
    "</script><img src=x onerror=alert(1)>",
    "=cmd|'/c calc'!A1",
    "x" * 300,
    "\u202egnp.exe",
    "\x00",
    "not\udcffutf8",
    "}\\input{/etc/passwd}",
)


def _deep(kind: str) -> Any:
    value: Any = 1
    for _ in range(DEEP):
        value = [value] if kind == "list" else {"a": value}
    return value


_NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.sampled_from([2**31, 2**63, -(2**63), 10**30, 10**4200]),
    st.floats(width=32),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -0.0]),
)
_TEXT = st.one_of(st.sampled_from(HOSTILE_TEXT), st.text(max_size=12))
_LEAVES = st.one_of(_NUMBERS, _TEXT, st.booleans())
JUNK = st.one_of(
    _LEAVES,
    _NUMBERS,
    st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
        max_leaves=6,
    ),
    st.builds(_deep, st.sampled_from(["list", "table"])),
)
"""Values that have no business where they stand."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the paths to every value inside a document."""
    if len(path) > 12:  # junk that was put in before may be nested without end
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, item in inner:
        found += places(item, (*path, key))
    return found


@st.composite
def altered(draw: Callable[..., Any], sound: Sequence[Any], *, null: bool = True) -> Any:
    """Draw a sound document with up to three values replaced, removed or added.

    Args:
        draw: given by hypothesis.
        sound: documents to start from.
        null: whether None is a value (JSON) or not (TOML).
    """
    value = copy.deepcopy(draw(st.sampled_from(list(sound))))
    junk = JUNK | st.none() if null else JUNK
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        known = places(value)
        if not known:
            break
        *way, last = draw(st.sampled_from(known))
        at = value
        for key in way:
            at = at[key]
        change = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "twice"]))
        if change == "remove":
            del at[last]
        elif change == "twice" and isinstance(at, list):
            at.append(at[last])
        elif change == "add" and isinstance(at, dict):
            at[draw(_TEXT)] = draw(junk)
        else:
            at[last] = draw(junk)
    return value


def toml(value: Any) -> str:
    """Write a table as TOML, all below the first level inline; what TOML cannot say is left to the parser to refuse."""
    if not isinstance(value, dict):
        return _toml(value)
    return "".join(f"{_quoted(str(key))} = {_toml(item)}\n" for key, item in value.items())


def _toml(value: Any) -> str:
    # A stack instead of recursion: documents may be nested deeper than Python's own.
    parts: list[str] = []
    todo: list[Any] = [value]
    while todo:
        at = todo.pop()
        if isinstance(at, _Mark):
            parts.append(at.text)
        elif isinstance(at, list):
            todo += [_Mark("]"), *_between(reversed(at)), _Mark("[")]
        elif isinstance(at, dict):
            pairs = [
                each
                for key, item in reversed(at.items())
                for each in (item, _Mark(f"{_quoted(str(key))} = "))
            ]
            whole = [pairs[i : i + 2] for i in range(0, len(pairs), 2)]
            inner = [
                each
                for number, pair in enumerate(whole)
                for each in ((_Mark(", "), *pair) if number else pair)
            ]
            todo += [_Mark("}"), *inner, _Mark("{")]
        elif isinstance(at, bool):
            parts.append(str(at).lower())
        elif isinstance(at, str):
            parts.append(_quoted(at))
        elif isinstance(at, int):
            parts.append(hex(at) if at > 10**30 else str(at))
        else:
            parts.append(repr(at))
    return "".join(parts)


class _Mark:
    def __init__(self, text: str) -> None:
        self.text = text


def _between(items: Any) -> list[Any]:
    found: list[Any] = []
    for item in items:
        found += [_Mark(", "), item] if found else [item]
    return found


def _quoted(text: str) -> str:
    # TOML shares the escapes of JSON strings, but for lone surrogates, which have none.
    plain = text.encode("utf-8", "replace").decode()
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")


def as_json(value: Any) -> bytes:
    """Write JSON, NaN and infinity too, however large its numbers and deep its nesting."""
    parts: list[str] = []
    todo: list[Any] = [value]
    while todo:
        at = todo.pop()
        if isinstance(at, _Mark):
            parts.append(at.text)
        elif isinstance(at, list):
            todo += [_Mark("]"), *_between(reversed(at)), _Mark("[")]
        elif isinstance(at, dict):
            todo.append(_Mark("}"))
            for number, (key, item) in enumerate(reversed(at.items())):
                todo += [_Mark(", ")] if number else []
                todo += [item, _Mark(json.dumps(str(key)) + ": ")]
            todo.append(_Mark("{"))
        elif isinstance(at, int) and not isinstance(at, bool) and abs(at) > 10**4000:
            parts.append("9" * 6000)
        else:
            parts.append(json.dumps(at))
    return "".join(parts).encode()


@st.composite
def changed(draw: Callable[..., Any], seeds: Sequence[bytes]) -> bytes:
    """Draw a sound file with up to four changes: bytes overwritten, put in, cut out, repeated, or the end cut off."""
    data = bytearray(draw(st.sampled_from(list(seeds))))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 4]))):
        at = draw(st.integers(0, max(0, len(data) - 1)) | st.integers(0, min(64, max(0, len(data) - 1))))
        patch = draw(
            st.binary(min_size=1, max_size=8)
            | st.sampled_from(
                [b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0" * 7 + b"\x10"]
            )
        )
        change = draw(st.sampled_from(["over", "over", "over", "in", "out", "again", "end"]))
        if change == "over":
            data[at : at + len(patch)] = patch
        elif change == "in":
            data[at:at] = patch
        elif change == "out":
            del data[at : at + len(patch)]
        elif change == "again":
            data[at:at] = data[at : at + 64]
        else:
            del data[at:]
    return bytes(data)
