"""Write the registry of tokenizers into the README, between its two markers.

python scripts/registry.py           writes it
python scripts/registry.py --check   fails when the README does not fit the adapters
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tokbench.bitstream import bits_per_id
from tokbench.catalog import discover
from tokbench.unavailable import unavailable

if TYPE_CHECKING:
    from tokbench.tokenizer import TokenSpec

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- registry: scripts/registry.py -->", "<!-- /registry -->"
_LATENT_BITS = 32


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the README is stale")
    wanted = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    fresh = f"{head}{BEGIN}\n\n{registry()}\n{END}{tail}"
    if wanted.check:
        if fresh != text:
            print("README.md does not fit the adapters; run: python scripts/registry.py", file=sys.stderr)
        return int(fresh != text)
    README.write_text(fresh, encoding="utf-8")
    return 0


def registry() -> str:
    """Return the table of tokenizers, then the systems that nobody can run, as Markdown."""
    specs = [entry.variant.spec for entry in discover().tokenizers.values() if entry.variant is not None]
    rows = [
        "| name | kind | tokens | vocabulary | bits/px | resolution | licence | source | verified |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(spec) for spec in sorted(specs, key=lambda spec: spec.name)),
        "",
        "| nobody can run | why |",
        "| --- | --- |",
        *(f"| {name} ({row.title}) | {row.reason} |" for name, row in sorted(unavailable().items())),
    ]
    return "\n".join(rows) + "\n"


def _row(spec: TokenSpec) -> str:
    cells = (
        f"`{spec.name}`",
        spec.kind,
        _count(spec),
        f"{spec.vocab:,}" if spec.vocab and spec.kind == "discrete" else "",
        _rate(spec),
        str(spec.resolution or "any") + ("+" if spec.resolution and spec.any_size else ""),
        spec.license,
        _link(spec.source),
        ", ".join(spec.verified),
    )
    return f"| {' | '.join(cells)} |"


def _count(spec: TokenSpec) -> str:
    if spec.tokens is None:
        return ""
    per_position = f" × {spec.codebooks}" if spec.codebooks > 1 else ""
    return f"{spec.tokens}{per_position}{f' × {spec.channels}' if spec.channels else ''}"


def _rate(spec: TokenSpec) -> str:
    """Return the nominal rate at the native resolution: what `ids` and float32 latents cost."""
    if spec.tokens is None or spec.resolution is None:
        return ""
    if spec.kind == "discrete":
        bits = spec.codebooks * bits_per_id(spec)
    elif spec.channels:
        bits = spec.channels * _LATENT_BITS
    else:
        return ""
    return f"{spec.tokens * bits / spec.resolution**2:.3g}"


def _link(source: str) -> str:
    return (
        f"[{source.removeprefix('https://').removeprefix('github.com/')}]({source})"
        if "://" in source
        else source
    )


if __name__ == "__main__":
    sys.exit(main())
