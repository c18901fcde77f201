"""`tokbench fetch`: download weights, verified, into the cache; say how to get image sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tokbench.errors import SetupError, UnknownNameError

if TYPE_CHECKING:
    from tokbench.catalog import Catalog
    from tokbench.weights import WeightFile


def fetch(
    names: Annotated[list[str], typer.Argument(help="Tokenizers, evaluators, weights or image sets.")],
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="NAME=DIR", help="A checkout of its repository. Repeatable."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Only say what is there and where the rest belongs.")
    ] = False,
    allow_unpinned: Annotated[
        bool, typer.Option("--allow-unpinned", help="Download weights that no hash or commit fixes, too.")
    ] = False,
) -> None:
    """Download weights of tokenizers and evaluators, check them, and print where they are.

    What will be downloaded is named first: source, size, licence, and what fixes its content. Weights whose publisher
    states no hash are refused unless --allow-unpinned is given; their SHA-256 is printed and enters every result.

    A tokenizer that runs from its authors' repository gets that repository at its pinned commit and an environment of
    its own first; both are named before anything is fetched (docs/external.md).

    Image sets are never downloaded, since most ask a person to accept terms: for a set that is not on this machine the
    steps are printed, and the exit code is 3.
    """
    from tokbench.catalog import discover
    from tokbench.cli.options import with_sources
    from tokbench.cli.output import print_line, print_note, printable
    from tokbench.cli.progress import download_progress
    from tokbench.fetch import check_pinned, to_download
    from tokbench.fetch import describe as described
    from tokbench.fetch import fetch as fetch_file
    from tokbench.weights import digest

    catalog = discover()
    catalog = with_sources(catalog, source, (name for name in names if _is_tokenizer(name, catalog)))
    sets = [name for name in dict.fromkeys(names) if name in catalog.image_sets]
    files = {file.name: file for name in names if name not in sets for file in _files(name, catalog)}
    if not offline:
        missing = to_download(files.values())
        for file in missing:
            print_note(printable(described(file)))
        check_pinned(missing, allow_unpinned=allow_unpinned)
    for name in dict.fromkeys(names):
        if _is_tokenizer(name, catalog):
            _fetch_code(name, catalog, offline=offline)
    for file in files.values():
        with download_progress(file.name) as progress:
            path = fetch_file(file, offline=offline, allow_unpinned=allow_unpinned, progress=progress)
        print_line(f"{file.name}\t{digest(path)}\t{path}")
    absent = [name for name in sets if not _show_set(name, catalog)]
    if absent:
        raise SetupError(
            f"{', '.join(absent)}: not on this machine, and image sets are not downloaded by tokbench",
            hint="follow the steps above, then run this command again",
        )


def _is_tokenizer(name: str, catalog: Catalog) -> bool:
    return name in catalog.tokenizers or name.endswith(".py") or ".py:" in name


def _fetch_code(name: str, catalog: Catalog, *, offline: bool) -> None:
    """Get repository and environment of a tokenizer that has them, and print where they are."""
    from tokbench.cli.output import print_line, print_note, printable
    from tokbench.external.opening import fetch_code, require

    entry = catalog.tokenizer(name)
    environment = entry.variant.environment if entry.variant else None
    if environment is None:
        return
    if offline:
        python, source = require(entry)
    else:
        python, source = fetch_code(entry, lambda line: print_note(printable(line)))
    if source is not None:
        print_line(f"{entry.name}\t{environment.commit if entry.source is None else 'source'}\t{source}")
    print_line(f"{entry.name}\t{environment.key}\t{python}")


def _show_set(name: str, catalog: Catalog) -> bool:
    """Print where an image set is, or how to get it; return whether it is here."""
    from tokbench.cli.output import print_line, printable
    from tokbench.images.places import base_of, how_to_get, is_here, is_url

    card, folder = catalog.image_set(name)
    if is_here(card, folder) is not False:
        print_line(f"{name}\t{card.path if is_url(card.path) else base_of(card, folder) / card.path}")
        return True
    for line in how_to_get(card):
        print_line(printable(line))
    return False


def _files(name: str, catalog: Catalog) -> tuple[WeightFile, ...]:
    """Find the weights that a name stands for.

    Raises:
        UnknownNameError: nothing of that name has weights.
    """
    if _is_tokenizer(name, catalog):
        variant = catalog.tokenizer(name).variant
        return variant.weights if variant is not None else ()
    if name in catalog.evaluators:
        return catalog.evaluator(name).weights
    every = [file for entry in catalog.tokenizers.values() if entry.variant for file in entry.variant.weights]
    # A stranger's evaluator is imported when it is asked for by its own name, not to look through its weights.
    ours = [name for name, entry in catalog.evaluators.items() if entry.origin.startswith("tokbench ")]
    every += [file for name in ours for file in catalog.evaluator(name).weights]
    found = tuple(file for file in every if file.name == name)
    if not found:
        known = {
            *catalog.tokenizers,
            *catalog.evaluators,
            *catalog.image_sets,
            *(file.name for file in every),
        }
        raise UnknownNameError("tokenizer, evaluator, weights or image set", name, known)
    return found[:1]
