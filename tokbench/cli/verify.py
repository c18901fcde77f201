"""`tokbench verify`: do the published figures of a tokenizer come out here?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokbench.cli import complete
from tokbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokbench.catalog import Catalog
    from tokbench.published import Figure
    from tokbench.results.verdict import Verdict

DIFFERS = 9


def verify(
    name: Annotated[
        str, typer.Argument(help="A tokenizer, or FILE.py:NAME.", autocompletion=complete.tokenizers)
    ],
    source: Annotated[
        str, typer.Option("--source", help="Only figures whose file, source or table mentions this.")
    ] = "",
    images: Annotated[
        str | None,
        typer.Option("--images", help="Folder, tar or Parquet that holds the published set (see --dataset)."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            "-d",
            help="Only this image set; with --images: the set that they are.",
            autocompletion=complete.image_sets,
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Judge this results folder instead of running anything.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Only so many images: shows numbers, compares none.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; by default one per two CPUs.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Results folder; by default runs/NAME-KEY.")
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option("--weights", metavar="NAME=PATH", help="Use this file. Repeatable.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the published protocols of a tokenizer and say of each figure: reproduced, differs or not comparable.

    Exit code 9 when a figure differs, 0 when none does.
    """
    from tokbench.catalog import discover
    from tokbench.cli.options import go_offline, parse_weights
    from tokbench.cli.output import print_json
    from tokbench.cli.progress import progress
    from tokbench.cli.run import default_workers
    from tokbench.engine.verify import judge_all, tasks_of, verify
    from tokbench.results.results import Results

    if run is not None and (images is not None or limit is not None or out is not None):
        raise UsageError("--run judges a finished run: --images, --limit and --out do not go with it")
    catalog = discover()
    figures = find_figures(name, source, catalog)
    if run is not None:
        verdicts = judge_all(figures, Results.load(run), _bare(name), dataset, tasks_of(figures, catalog))
    elif _bare(name) == name and name not in catalog.tokenizers:
        raise UsageError(
            f"tokbench has figures of `{name}` ({len(figures)}) and no adapter",
            hint=f"`tokbench describe {name}` shows them; verify FILE.py:{name}, or --run DIR, compares with them",
        )
    else:
        if offline:
            go_offline([images] if images else [])
        with progress(quiet=json_) as (start, step):
            verdicts = verify(
                name,
                figures,
                images=images,
                dataset=dataset,
                out=out,
                limit=limit,
                catalog=catalog,
                workers=workers or default_workers(device),
                device=device,
                weights=parse_weights(weights),
                on_start=start,
                on_images=step,
            )
    counts = {kind: sum(each.verdict == kind for each in verdicts) for kind in _KINDS}
    if json_:
        print_json({"tokenizer": name, "counts": counts, "figures": [each.to_dict() for each in verdicts]})
    else:
        _show(verdicts, counts)
    if counts["differs"]:
        raise typer.Exit(DIFFERS)


_KINDS = ("reproduced", "differs", "not comparable")


def find_figures(name: str, source: str, catalog: Catalog) -> Sequence[Figure]:
    """Return the published figures of a tokenizer.

    Raises:
        UnknownNameError: neither a figure nor the catalog has that name.
        UsageError: there is no figure of it, or none from that source.
        TokbenchError: the catalog says why that tokenizer cannot be had.
    """
    from tokbench.published import figures_of, load_figures

    everything = load_figures()
    bare = _bare(name)
    figures = figures_of(bare, everything)
    if not figures:
        named = {each.tokenizer for each in everything if each.tokenizer}
        try:
            catalog.tokenizer(name)
        except UnknownNameError as error:
            raise UnknownNameError("tokenizer", bare, {*named, *catalog.tokenizers}) from error
        raise UsageError(
            f"no published figure of `{bare}` is known", hint="docs/published.md says where to add one"
        )
    chosen = figures_of(bare, everything, source)
    if not chosen:
        sources = ", ".join(sorted({each.source for each in figures}))
        raise UsageError(f"no figure of `{bare}` comes from `{source}`", hint=f"its sources are {sources}")
    return chosen


def _bare(name: str) -> str:
    return name.rpartition(".py:")[2]


def _show(verdicts: Sequence[Verdict], counts: dict[str, int]) -> None:
    from tokbench.cli.output import print_line, printable

    for each in sorted(verdicts, key=lambda each: _KINDS.index(each.verdict)):
        figure = each.figure
        unit = f" {figure.unit}" if figure.unit else ""
        here = (
            "" if math.isnan(each.value) else f", here {each.value:.{_digits(each)}f}{unit}{_interval(each)}"
        )
        print_line(f"{each.verdict}: {figure.metric} {figure.printed}{unit} published{here}")
        count = f"{figure.images} images" if figure.images and not figure.image else ""
        of = [figure.image or figure.dataset, count, figure.protocol]
        where = " · ".join(part for part in of if part)
        print_line(printable(f"  {where}{' · ' if where else ''}{figure.source}"))
        print_line(printable(f"  {each.reason}"))
    print_line(", ".join(f"{count} {kind}" for kind, count in counts.items()))


def _digits(verdict: Verdict) -> int:
    """One digit more than was printed."""
    return len(verdict.figure.printed.partition(".")[2]) + 1


def _interval(verdict: Verdict) -> str:
    if math.isnan(verdict.ci_low):
        return ""
    digits = _digits(verdict)
    return f" [{verdict.ci_low:.{digits}f}, {verdict.ci_high:.{digits}f}]"
