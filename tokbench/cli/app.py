"""The `tokbench` command: gathers the verbs and turns errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tokbench.cli.check import check
from tokbench.cli.compare import compare
from tokbench.cli.describe import describe
from tokbench.cli.doctor import doctor
from tokbench.cli.fetch import fetch
from tokbench.cli.gate import gate
from tokbench.cli.images import images
from tokbench.cli.leaderboard import leaderboard
from tokbench.cli.list import list_
from tokbench.cli.merge import merge
from tokbench.cli.report import report
from tokbench.cli.run import run
from tokbench.cli.score import score
from tokbench.cli.verify import verify
from tokbench.errors import TokbenchError

app = typer.Typer(
    name="tokbench",
    help="Measure what an image loses on its way through a visual tokenizer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("list")(list_)
app.command("describe")(describe)
app.command("check")(check)
app.command("merge")(merge)
app.command("report")(report)
app.command("compare")(compare)
app.command("gate")(gate)
app.command("fetch")(fetch)
app.command("doctor")(doctor)
app.command("verify")(verify)
app.add_typer(score, name="score")
app.add_typer(images, name="images")
app.add_typer(leaderboard, name="leaderboard")


def _version(wanted: bool) -> None:
    if wanted:
        from tokbench import __version__
        from tokbench.cli.output import print_line

        print_line(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Measure what an image loses on its way through a visual tokenizer."""


def main() -> None:
    """Run the command line; every `TokbenchError` becomes a message with a hint and its own exit code."""
    # Idle OpenMP threads that spin slow down everything else on a small machine, and torch reads this only once.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except TokbenchError as error:
        from tokbench.cli.output import show_error

        show_error(error)
        sys.exit(error.exit_code)
