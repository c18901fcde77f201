"""`tokbench images`: image sets of one's own, generated."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tokbench.errors import UsageError

images = typer.Typer(help="Make image sets of your own.", no_args_is_help=True)


@images.callback()
def _group() -> None:
    """Make image sets of your own."""


class Generator(StrEnum):
    """What can be generated; the names are those of `tokbench.images.synthetic.write.Kind`."""

    text = "text"
    gratings = "gratings"
    zone_plates = "zone-plates"
    charts = "charts"


@images.command("synthesise")
def synthesise(
    kind: Annotated[Generator, typer.Argument(help="What to draw.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder; the card in it is named after it.")],
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same images.")] = 0,
    count: Annotated[int, typer.Option("--count", help="Number of images.")] = 12,
    sizes: Annotated[
        str, typer.Option("--sizes", help="Text: em sizes in pixels, one a page in turn.")
    ] = "6,8,10,12,16,24",
    script: Annotated[
        str, typer.Option("--script", help="Text: latin, cyrillic, greek, chinese, japanese or korean.")
    ] = "latin",
    font: Annotated[
        Path | None, typer.Option("--font", help="Text: a font file; by default Pillow's own, ASCII only.")
    ] = None,
    contrast: Annotated[float, typer.Option("--contrast", help="Above 0, at most 1.")] = 1.0,
    background: Annotated[
        str, typer.Option("--background", help="Text: white, black, grey or cream.")
    ] = "white",
    side: Annotated[int, typer.Option("--side", help="Of the square images, in pixels.")] = 256,
) -> None:
    """Draw images with exact truth and write them with a card; prints the path of the card.

    Evaluate them with `tokbench run --images CARD`, text with `--task legibility`.
    """
    from tokbench.cli.output import print_line
    from tokbench.images.synthetic.text import TextStyle
    from tokbench.images.synthetic.write import KINDS, make_pictures, write_pictures

    try:
        numbers = tuple(int(size) for size in sizes.split(","))
    except ValueError as error:
        raise UsageError(f"--sizes {sizes} is no list of numbers", hint="write --sizes 6,8,10") from error
    style = TextStyle(script, font, numbers, contrast, background, side)
    (wanted,) = (each for each in KINDS if each == kind.value)
    pictures = make_pictures(wanted, count, style, seed)
    how = f"tokbench images synthesise {wanted} --seed {seed} --count {count} --contrast {contrast:g} --side {side}"
    if wanted in {"text", "charts"}:
        how += f" --sizes {sizes}" + (f" --font {font.name}" if font else "")
    if wanted == "text":
        how += f" --script {script} --background {background}"
    print_line(str(write_pictures(out, wanted, pictures, how)[0]))
