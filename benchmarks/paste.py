"""Put what a benchmark printed into docs/performance.md, in place of what stands there under the same name.

python benchmarks/peers.py | tee peers.txt; python benchmarks/paste.py peers < peers.txt
"""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def paste(page: str, name: str, output: str) -> str:
    """Return the page with everything between ``<!-- NAME -->`` and ``<!-- /NAME -->`` replaced.

    Raises:
        ValueError: the page has no such place, or several.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    if page.count(start) != 1 or page.count(end) != 1:
        msg = f"{PAGE.name} has no place `{name}`"
        raise ValueError(msg)
    before, rest = page.split(start)
    return f"{before}{start}\n{output.strip()}\n\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    PAGE.write_text(paste(PAGE.read_text("utf-8"), sys.argv[1], sys.stdin.read()), "utf-8")
