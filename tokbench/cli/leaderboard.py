"""`tokbench leaderboard`: pages from results, and results folders for publication."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokbench.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

leaderboard = typer.Typer(
    help="Build pages from results; prepare and check results for publication.", no_args_is_help=True
)

STALE = 12


@leaderboard.command("build")
def build(
    results: Annotated[
        list[Path] | None,
        typer.Option(
            "--results", metavar="DIR", help="Results folder; by default all in OUT/measured. Repeatable."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pages.")] = Path("leaderboards"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 12 when a page is stale.")
    ] = False,
) -> None:
    """Turn measured results and published figures into Markdown, CSV, LaTeX and a static site."""
    from tokbench.catalog import discover
    from tokbench.cli.output import print_line, print_note
    from tokbench.leaderboard.pages import MEASURED, build, load_runs, stale, write
    from tokbench.published import load_figures

    folders = results or sorted(path for path in (out / MEASURED).glob("*") if path.is_dir())
    if not folders:
        raise UsageError(
            f"`{out / MEASURED}` holds no results",
            hint="name results folders with --results, or put there what `tokbench leaderboard submit` made",
        )
    catalog = discover()
    pages = build(load_runs(folders, catalog), load_figures(), catalog)
    if not check:
        write(pages, out)
        print_line(f"{len(pages)} pages in {out}")
        return
    found = stale(pages, out)
    for each in found:
        print_note(f"stale: {each}")
    if found:
        print_note(f"hint: tokbench leaderboard build --out {out}")
        raise typer.Exit(STALE)
    print_line(f"{len(pages)} pages in {out} are up to date")


@leaderboard.command("submit")
def submit(
    run: Annotated[Path, typer.Option("--run", help="Results folder of `tokbench run`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make.")],
    shards: Annotated[
        bool, typer.Option("--shards", help="Include per-image rows, so that numbers can be recomputed.")
    ] = False,
) -> None:
    """Prepare a finished run for publication: no paths of this machine, no images, a checksum of each file."""
    from tokbench.catalog import discover
    from tokbench.cli.output import print_line
    from tokbench.leaderboard.submission import submit
    from tokbench.leaderboard.validate import validate

    folder = submit(run, out, shards)
    _report(validate(folder, discover()), folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print_line(f"{folder}: {size / 1e6:.1f} MB, ready to publish")


@leaderboard.command("validate")
def validate(
    folder: Annotated[Path, typer.Argument(help="A results folder that somebody submitted.")],
) -> None:
    """Check a submission: files, checksums, keys, image sets, rows, ranges, text; shards where included."""
    from tokbench.catalog import discover
    from tokbench.cli.output import print_line
    from tokbench.leaderboard.validate import validate

    _report(validate(folder, discover()), folder)
    print_line(f"{folder}: sound")


def _report(problems: Sequence[object], folder: Path) -> None:
    """Print each problem, escaped.

    Raises:
        IntegrityError: there is one.
    """
    from tokbench.cli.output import print_note, printable

    for each in problems:
        print_note(printable(f"problem: {each}"))
    if problems:
        raise IntegrityError(f"`{folder}` is not sound: {len(problems)} problem{'s' * (len(problems) > 1)}")
