"""From results folders to a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tokbench.errors import StorageError, UsageError
from tokbench.report.data import assemble
from tokbench.report.images import BUDGET, add_images
from tokbench.report.page import render
from tokbench.report.spread import add_spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tokbench.catalog import Catalog
    from tokbench.results.results import Results

IMAGES = 12


def build_report(
    runs: Sequence[Results],
    catalog: Catalog,
    *,
    title: str = "tokbench report",
    images: int = IMAGES,
    image_sets: Mapping[str, str] | None = None,
    tokenizers: Mapping[str, str] | None = None,
    device: str = "auto",
    weights: Mapping[str, Path] | None = None,
    budget: int = BUDGET,
) -> tuple[str, dict[str, Any]]:
    """Make a report.

    Args:
        runs: what `Results.load` gave.
        catalog: where tasks, image sets and tokenizers are looked up.
        title: heading of the page.
        images: images to show of each image set.
        image_sets: ``{name in the run: path}`` of sets that are not in the catalog.
        tokenizers: ``{name in the run: path.py[:name]}`` of tokenizers that are not in the catalog.
        device: where tokenizers are built for the images.
        weights: ``{weights name: file}``.
        budget: bytes of pictures in all.

    Returns:
        The page, and the data inside it; its ``image_notes`` say what cannot be shown.

    Raises:
        UsageError: no results, or a negative number of images.
        IntegrityError: a results folder is damaged.
    """
    from tokbench import __version__

    if images < 0:
        raise UsageError(f"--images {images} is below 0", hint="0 makes a report without pictures")
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    assembly = assemble(runs, catalog, made, __version__)
    add_spread(assembly)
    add_images(
        assembly,
        images,
        catalog,
        image_sets=image_sets,
        tokenizers=tokenizers,
        device=device,
        weights=weights,
        budget=budget,
    )
    return render(assembly.document, title), assembly.document


def write_report(path: Path, page: str) -> None:
    """Write the page.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, "utf-8")
    except OSError as error:
        raise StorageError(
            f"`{path}` cannot be written: {error.strerror or error}", hint="give another file with --out"
        ) from error
