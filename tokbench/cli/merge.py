"""`tokbench merge`: add up the shards of several results folders."""

from __future__ import annotations

from typing import Annotated

import typer

from tokbench.cli.run import BROKEN_IMAGES, BROKEN_TOKENIZER


def merge(
    folders: Annotated[
        list[str],
        typer.Argument(help="Results folders of one run, or their URLs (s3://, …), made with --shard."),
    ],
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="Where the whole goes: a folder or URL; may be one of the folders."),
    ],
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="Summarise the tokenizers whose shards are all there; name the others."
        ),
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Merge results folders of one run into one and summarise it."""
    from tokbench.catalog import discover
    from tokbench.cli.output import print_json
    from tokbench.cli.render import show_failures, show_results
    from tokbench.results.merge import merge_folders

    catalog = discover()
    results = merge_folders(folders, out, catalog, partial=partial)
    if json_:
        print_json(results.summary())
    else:
        show_results(results, {row.task: catalog.task(row.task).headline for row in results.rows})
    show_failures(results)
    if results.failures:
        raise typer.Exit(BROKEN_TOKENIZER)
    if results.unreadable:
        raise typer.Exit(BROKEN_IMAGES)
