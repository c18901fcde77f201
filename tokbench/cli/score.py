"""`tokbench score`: score what a recogniser has read already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

score = typer.Typer(help="Score results that somebody already has.", no_args_is_help=True)


@score.callback()
def _group() -> None:
    """Score results that somebody already has."""


@score.command("words")
def words(
    file: Annotated[Path, typer.Argument(help="CSV with columns truth, predicted, ratio; one line a word.")],
    setting: Annotated[
        int, typer.Option("--setting", help="256, 512 or 1024: the scale bins.", show_default=False)
    ],
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object, every word in it.")] = False,
) -> None:
    """Score words as TokBench does: exact matches and edit similarity by scale, with 95 % intervals.

    A column file_name tells images apart; without it every line counts as an image of its own.
    """
    from tokbench.cli.output import print_json
    from tokbench.metrics.word_file import read_word_file, score_words

    scored = score_words(read_word_file(file), setting)
    if json_:
        print_json(scored)
    else:
        _show(scored)


def _show(scored: dict[str, Any]) -> None:
    from tokbench.cli.output import print_line, print_note

    print_line(f"{'bin':<8}{'words':>8}  {'T-ACC':<26}{'T-NED':<26}".rstrip())
    inside = sum(part["n"] for part in scored["bins"].values())
    for name, part in {**scored["bins"], "mean": scored["mean"] | {"n": inside}}.items():
        cells = (_cell(part["t_acc"], part["t_acc_ci"]), _cell(part["t_ned"], part["t_ned_ci"]))
        print_line(f"{name:<8}{part['n']:>8}  {cells[0]:<26}{cells[1]:<26}".rstrip())
    if scored["dropped"]:
        print_note(f"{scored['dropped']} words lie outside the bins of setting {scored['setting']}")


def _cell(value: float, interval: list[float]) -> str:
    import math

    if math.isnan(value):
        return "-"
    low, high = interval
    return f"{value:.4f}" if math.isnan(low) else f"{value:.4f} [{low:.4f}, {high:.4f}]"
