"""`tokbench report`: results as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Results folders of `tokbench run`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path("report.html"),
    images: Annotated[int, typer.Option("--images", help="Images to show of each set; 0 for none.")] = 12,
    title: Annotated[str, typer.Option("--title", help="Heading of the page.")] = "tokbench report",
    image_set: Annotated[
        list[str] | None,
        typer.Option("--image-set", metavar="PATH", help="Images of your own that the run used. Repeatable."),
    ] = None,
    tokenizer: Annotated[
        list[str] | None,
        typer.Option(
            "--tokenizer", "-t", metavar="FILE.py", help="Tokenizer of your own (or folder:DIR), likewise."
        ),
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option("--weights", metavar="NAME=PATH", help="Use this file. Repeatable.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Write tables, plots and images of one or several runs into one HTML file that works from disk.

    A run keeps no pictures: the images shown are reconstructed once more, if images and tokenizers are still here.
    """
    from tokbench.catalog import discover
    from tokbench.cli.options import parse_weights
    from tokbench.cli.output import print_line, print_note, printable
    from tokbench.engine.evaluate import open_source
    from tokbench.engine.subject import make_subject
    from tokbench.report.build import build_report, write_report
    from tokbench.results.results import Results

    catalog = discover()
    page, data = build_report(
        [Results.load(run) for run in runs],
        catalog,
        title=title,
        images=images,
        image_sets={open_source(path, catalog).name: path for path in image_set or []},
        tokenizers={make_subject(path, catalog).spec.name: path for path in tokenizer or []},
        device=device,
        weights=parse_weights(weights),
    )
    write_report(out, page)
    for note in dict.fromkeys(note["text"] for note in data["image_notes"]):
        print_note(f"note: {printable(note)}")
    size = len(page.encode()) / 1e6
    print_note(f"{len(data['tokenizers'])} tokenizers, {len(data['images'])} images, {size:.1f} MB:")
    print_line(str(out))
