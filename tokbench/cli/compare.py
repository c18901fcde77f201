"""`tokbench compare`: which of two tokenizers loses less, on the same images, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tokbench.results.comparison import Comparison


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="A B…",
            help="Results folders, FOLDER:TOKENIZER, or with --run names of tokenizers. A is the reference.",
        ),
    ],
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="Compare tokenizers of this results folder.")
    ] = None,
    top: Annotated[
        int, typer.Option("--top", min=0, help="How many of the images that changed most to list.")
    ] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Seed of resampling.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare tokenizers on the same images: differences with intervals, p-values corrected for their number.

    Refuses runs whose protocol, image set, seed, evaluators or definitions of metrics differ (exit code 8). A single
    folder of several tokenizers compares its first with the rest.
    """
    from tokbench.cli.output import print_json
    from tokbench.results.compare import compare as compare_runs

    found = compare_runs(*sides, run=run, seed=seed, top=top)
    if json_:
        print_json(found.to_dict())
    else:
        _show(found)


def _show(found: Comparison) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from tokbench.cli.output import PLAIN_WIDTH, console, print_line, print_note, printable
    from tokbench.results.compare_table import HEADERS, cells, groups, headline

    screen = console()
    for (other, dataset, task, protocol), rows in groups(found).items():
        n = max(row.n for row in rows)
        title = f"{dataset} · {n} images · {task} · {protocol}\nreference: {found.reference}; other: {other}"
        table = Table(
            title=escape(printable(title).replace("\\n", "\n")),
            title_justify="left",
            title_style="bold",
            box=SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        for position, header in enumerate(HEADERS):
            table.add_column(header, justify="right" if 0 < position < 6 else "left", overflow="fold")
        for row in rows:
            table.add_row(*(escape(printable(cell)) for cell in cells(row)))
        screen.print(table, width=min(screen.width, PLAIN_WIDTH))
        for sentence in headline(rows):
            print_line(printable(sentence))
        _show_changed(found, (other, dataset, task, protocol))
        print_line()
    print_line(f"p-values are corrected for {found.tests} metrics together (Holm); certain: below 0.05")
    for line in found.left_out:
        print_note(printable(line))


def _show_changed(found: Comparison, group: tuple[str, str, str, str]) -> None:
    from tokbench.cli.output import print_line, printable
    from tokbench.results.table import number

    changed = [each for each in found.changed if (each.b, each.dataset, each.task, each.protocol) == group]
    if changed:
        print_line(f"the images that changed most in {changed[0].metric}:")
    for each in changed:
        print_line(printable(f"  {each.image}: {number(each.value_a)} → {number(each.value_b)}"))
