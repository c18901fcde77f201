"""`tokbench fetch`: download weights, verified, into the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tokbench.errors import UnknownNameError

if TYPE_CHECKING:
    from tokbench.catalog import Catalog
    from tokbench.weights import WeightFile


def fetch(
    names: Annotated[list[str], typer.Argument(help="Tokenizers, evaluators or weights names.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Only say what is there and where the rest belongs.")
    ] = False,
) -> None:
    """Download weights of tokenizers and evaluators, check them, and print where they are."""
    from tokbench.catalog import discover
    from tokbench.cli.output import print_line
    from tokbench.cli.progress import download_progress
    from tokbench.fetch import fetch as fetch_file
    from tokbench.weights import digest

    catalog = discover()
    for file in {file.name: file for name in names for file in _files(name, catalog)}.values():
        with download_progress(file.name) as progress:
            path = fetch_file(file, offline=offline, progress=progress)
        print_line(f"{file.name}\t{digest(path)}\t{path}")


def _files(name: str, catalog: Catalog) -> tuple[WeightFile, ...]:
    """Find the weights that a name stands for.

    Raises:
        UnknownNameError: nothing of that name has weights.
    """
    if name in catalog.tokenizers:
        variant = catalog.tokenizer(name).variant
        return variant.weights if variant is not None else ()
    if name in catalog.evaluators:
        return catalog.evaluator(name).weights
    every = [file for entry in catalog.tokenizers.values() if entry.variant for file in entry.variant.weights]
    every += [file for each in catalog.evaluators for file in catalog.evaluator(each).weights]
    found = tuple(file for file in every if file.name == name)
    if not found:
        known = {*catalog.tokenizers, *catalog.evaluators, *(file.name for file in every)}
        raise UnknownNameError("tokenizer, evaluator or weights", name, known)
    return found[:1]
