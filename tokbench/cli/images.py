"""`tokbench images`: image sets of one's own, generated or from a folder of pictures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokbench.errors import SetupError, UsageError, WeightsMissingError

if TYPE_CHECKING:
    from collections import Counter

    from tokbench.images.curate.build import Built
    from tokbench.images.curate.faces import FaceFinder
    from tokbench.images.curate.words import Finder

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


@images.command("build")
def build(
    folder: Annotated[Path, typer.Argument(help="Folder of images, searched with its subfolders.")],
    name: Annotated[str, typer.Option("--name", help="Of the set; the card is NAME.toml.")],
    ocr: Annotated[bool, typer.Option("--ocr", help="Propose words, read by RapidOCR.")] = False,
    faces: Annotated[bool, typer.Option("--faces", help="Propose faces, found by MTCNN.")] = False,
    classes: Annotated[bool, typer.Option("--classes", help="The first subfolder is the class.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the card; by default beside the images.")
    ] = None,
    license_: Annotated[
        str, typer.Option("--license", help="SPDX expression of the images.")
    ] = "LicenseRef-unknown",
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check a folder of images, drop what is broken or there twice, propose truth, and write a card.

    Evaluate the set with `tokbench run --images CARD`. Nothing in the folder is changed or deleted.
    """
    from tokbench.images.curate.build import build_set

    recogniser: Finder | None = _network("rapidocr") if ocr else None
    detector: FaceFinder | None = _network("mtcnn") if faces else None
    built = build_set(
        folder, name, out=out, classes=classes, recogniser=recogniser, detector=detector, license_=license_
    )
    _show(built, ocr=ocr, faces=faces, as_json=json_)


def _network(name: str) -> Any:
    import torch

    from tokbench.catalog import discover
    from tokbench.loading import build_network

    try:
        return build_network(discover().evaluator(name), device=torch.device("cpu"), overrides={})
    except WeightsMissingError as error:
        raise SetupError(
            f"the weights of {name} are not on this machine, so nothing can be proposed",
            hint=f"`tokbench fetch {name}` downloads them",
        ) from error


def _show(built: Built, *, ocr: bool, faces: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from tokbench.cli.output import print_json, print_line, print_note, printable

    proposed = {
        "words": (built.words, built.words_dropped) if ocr else None,
        "faces": (built.faces, built.faces_dropped) if faces else None,
    }
    if as_json:
        about = {"card": str(built.path), "digest": built.card.digest, "images": built.card.count}
        about |= {name: _counts(*found) if found else None for name, found in proposed.items()}
        print_json(about | {"dropped": [asdict(each) for each in built.dropped]})
        return
    width = max((len(each.file) for each in built.dropped), default=0)
    for each in built.dropped:
        print_line(f"{printable(each.file):<{width}}  {each.why:<14}  {printable(each.detail)}")
    print_note(f"{built.card.count} images kept, {len(built.dropped)} dropped; {built.card.digest}")
    for name, found in proposed.items():
        if found:
            kept, dropped = found
            reasons = ", ".join(f"{count} {why}" for why, count in sorted(dropped.items()))
            print_note(f"{kept} {name} kept" + (f"; dropped: {reasons}" if reasons else ""))
    print_line(str(built.path))


def _counts(kept: int, dropped: Counter[str]) -> dict[str, Any]:
    return {"kept": kept, "dropped": dict(sorted(dropped.items()))}
