"""The HTML file: a skeleton, one style sheet, one script and the data, all inside it.

Nothing is fetched and nothing else may run: a content security policy allows exactly this style and this script, by
their hashes, and images as data URIs. Text of results never becomes markup: the data are JSON in which ``<`` is
escaped, and the script inserts strings with `textContent` alone.
"""

from __future__ import annotations

import base64
import hashlib
import html
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from tokbench.errors import as_utf8
from tokbench.results.schema import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCRIPTS = ("pure.js", "dom.js", "table.js", "plots.js", "viewer.js", "main.js")
"""The parts of the script, in order; the first knows no browser and can be run by itself."""


def render(document: Mapping[str, Any], title: str) -> str:
    """Return the whole page.

    Args:
        document: the data, as `tokbench.report.data.assemble` and its sisters made them.
        title: heading and window title, any text.
    """
    return assembled("report.html", ("report.css",), SCRIPTS, document, title=html.escape(as_utf8(title)))


def assembled(
    skeleton: str, styles: Sequence[str], scripts: Sequence[str], document: Mapping[str, Any], **parts: str
) -> str:
    """Put a page together from files of `assets`.

    Args:
        skeleton: the HTML file, with ``$policy``, ``$style``, ``$script``, ``$data`` and a place for each of `parts`.
        styles: style sheets, in order.
        scripts: parts of the script, in order; they share one scope.
        document: the data.
        parts: markup by place; whatever is not tokbench's own text in it has been escaped.
    """
    style = "".join(asset(name) for name in styles)
    script = "(() => {\n'use strict';\n" + "\n".join(asset(name) for name in scripts) + "\n})();\n"
    policy = (
        "default-src 'none'; img-src data: blob:; "
        f"style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return Template(asset(skeleton)).substitute(
        parts, policy=html.escape(policy), style=style, script=script, data=embedded(document)
    )


def embedded(document: Mapping[str, Any]) -> str:
    """Write data as JSON that may stand inside a script element: no ``<`` is left in it."""
    return to_json(document).replace("<", "\\u003c")


def asset(name: str) -> str:
    """Return the text of a file in `assets`."""
    return (files("tokbench.report") / "assets" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
