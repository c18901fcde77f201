"""Write the data cards of the embedded image sets, ``datasets/cards/<set>.md``: facts, histograms and measured scores.

    tokbench run -d text-mini --task text-words --out RUN
    python scripts/data_cards.py --set text-mini RUN [RUN ...]
    python scripts/data_cards.py --check

Facts and histograms come from the card and the files; scores from results folders, which must have measured the
card's own images, all of them, with no tokenizer failed. ``--check`` writes nothing and fails for a page whose facts
are not those of the card as it is now, or whose scores are of other images.
"""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tokbench.catalog import discover
from tokbench.images.card import load_card
from tokbench.metrics import face, text
from tokbench.results.results import Results
from tokbench.results.table import cell, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokbench.images.card import Card, Item
    from tokbench.results.schema import Row

DATASETS = Path(__file__).resolve().parent.parent / "datasets"
SETS = ("photos-mini", "text-mini", "faces-mini", "detail-mini")
SCORES = "## Scores\n"
BAR = 40  # characters of the longest bar
SETTINGS = (256, 512, 1024)
# Instead of a task's headline, where that is wider than a page or leaves out what an embedded set has truth for.
SHOWN = {
    "reconstruction": ("bpp", "psnr", "ssim", "feat_lite0", "fd_lite0"),
    "detail": (
        "gmsd",
        "edge_f1",
        "detail_loss",
        "band_4",
        "psnr_ink",
        "psnr_pattern",
        "psnr_texture",
        "region_psnr",
    ),
}


# ---------------------------------------------------------------------------------------------- histograms


def histogram(title: str, counts: Mapping[str, int]) -> str:
    """A table of counts with bars; an empty bin stays in sight."""
    most = max([*counts.values(), 1])
    rows = [
        f"| {label} | {count} | {'█' * max(count * BAR // most, count > 0)} |"
        for label, count in counts.items()
    ]
    return "\n".join([f"| {title} | n | |", "|---|---|---|", *rows])


def binned(values: Sequence[float], edges: Sequence[float]) -> dict[str, int]:
    """Counts of half-open bins and of what lies below and above them, where there is any."""
    where = np.searchsorted(edges, values, side="right")
    names = [f"below {edges[0]:g}"]
    names += [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    names.append(f"from {edges[-1]:g}")
    counts = {name: int((where == at).sum()) for at, name in enumerate(names)}
    return {name: count for name, count in counts.items() if count or name not in {names[0], names[-1]}}


def counted(values: Iterable[Any], unit: str = "") -> dict[str, int]:
    """Counts of values in their order."""
    return {f"{value}{unit}": count for value, count in sorted(Counter(values).items())}


def entries(card: Card, name: str) -> list[tuple[Item, Mapping[str, Any]]]:
    """Words or faces of all images, each with its image."""
    return [(item, entry) for item in card.items for entry in item.truth.get(name, ())]


def sizes(card: Card, folder: Path) -> dict[str, tuple[int, int]]:
    """Width and height of each image by id, read from the files."""
    found = {}
    for item in card.items:
        with Image.open(folder / card.path / item.file) as image:
            found[item.id] = image.size
    return found


def word_ratios(card: Card, size: Mapping[str, tuple[int, int]]) -> list[float]:
    """TokBench's size ratio of every annotated word."""
    return [
        word.get("ratio")
        or text.size_ratio(word["box"], len(word["text"]), size[item.id][1], size[item.id][0])
        for item, word in entries(card, "words")
    ]


def face_ratios(card: Card, size: Mapping[str, tuple[int, int]]) -> list[float]:
    """Long side of a face's box over the long side of its image, for the faces that F-Sim can look at."""
    return [
        max(entry["box"][2] - entry["box"][0], entry["box"][3] - entry["box"][1]) / max(size[item.id])
        for item, entry in entries(card, "faces")
        if "points" in entry
    ]


def scales(card: Card) -> list[float]:
    """What photographs and documents were resized by, as their credit says; 1 for a crop at native scale."""
    found = []
    for item in card.items:
        change = item.credit.rpartition("; ")[2]
        number = re.search(r"(?:reduced|enlarged) to ([\d.]+) of", change)
        if number or re.match("cropped(, not|, on|$)", change):
            found.append(float(number[1]) if number else 1.0)
    return found


def histograms(card: Card, folder: Path) -> list[str]:
    """Every histogram that the card's truth allows."""
    size = sizes(card, folder)
    found = [histogram("image, pixels", counted(f"{width}×{height}" for width, height in size.values()))]
    for key in ("class", "kind"):
        values = [item.truth.get(key, "none") for item in card.items]
        if set(values) != {"none"}:
            found.append(histogram(key, counted(values)))
    if found_scales := scales(card):
        edges = (0.0, 0.25, 0.5, 0.75, 1.0)
        found.append(histogram("scale of photographs and documents", binned(found_scales, edges)))
    if entries(card, "words"):
        words = [word for _, word in entries(card, "words")]
        found.append(
            histogram("words by script", counted(word.get("script", "not stated") for word in words))
        )
        ems = [word["size"] for word in words if "size" in word]
        found.append(histogram(f"em size of {len(ems)} words", counted(ems, " px")))
        for setting in SETTINGS:
            ratios = binned(word_ratios(card, size), text.EDGES[setting])
            found.append(histogram(f"size ratio of words, bins of setting {setting}", ratios))
    if entries(card, "faces"):
        identities = (entry.get("identity", "not stated") for _, entry in entries(card, "faces"))
        found.append(histogram("faces by identity", counted(identities)))
        pointed = sum("points" in entry for _, entry in entries(card, "faces"))
        total = len(entries(card, "faces"))
        found.append(histogram("five points", {"stated": pointed, "not stated": total - pointed}))
        for setting in SETTINGS:
            edges = [low for low, _ in face.BINS[setting]] + [face.BINS[setting][-1][1]]
            ratios = binned(face_ratios(card, size), edges)
            found.append(histogram(f"size ratio of faces with points, bins of setting {setting}", ratios))
    return found


# --------------------------------------------------------------------------------------------------- facts


def origins(card: Card) -> str:
    """Licence and credit of every image, one row for all images of one origin."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in card.items:
        found.setdefault((item.license, item.credit.split(";")[0]), []).append(item.id)
    rows = [f"| {licence} | {credit} | {len(ids)} |" for (licence, credit), ids in sorted(found.items())]
    return "\n".join(["| licence | credit | images |", "|---|---|---|", *rows])


def facts(card: Card, folder: Path) -> str:
    """All of a page but its scores: decided by the card and its files alone."""
    licences = Counter(item.license for item in card.items)
    return "\n\n".join(
        [
            f"# {card.name}: {card.title}",
            f"Version {card.version}, {card.count} images, `{card.digest}`. Written by `scripts/data_cards.py` from "
            f"the card `{card.name}.toml`, which lists every image with its truth.",
            f"- **For:** {card.purpose}\n- **Not for:** {card.not_for}\n- **Known bias:** {card.bias}\n"
            f"- **Source and selection:** {card.source}",
            "## What is in it",
            *histograms(card, folder),
            "## Licence of every image",
            ", ".join(f"{licence}: {count}" for licence, count in sorted(licences.items()))
            + ". What was changed "
            "stands in the card.",
            origins(card),
            "",
        ]
    )


# -------------------------------------------------------------------------------------------------- scores


def measured(card: Card, run: Results) -> list[Row]:
    """The rows of a run that are of this set.

    Raises:
        ValueError: the run is not finished, or did not measure all images of the set as it is now.
    """
    jobs = [job for job in run.manifest["jobs"] if job["dataset"] == card.name]
    if not run.complete:
        raise ValueError(f"{run.folder}: not complete")
    if not jobs:
        raise ValueError(f"{run.folder}: nothing was measured on {card.name}")
    if any(job["dataset_digest"] != card.digest or job["images"] != card.count for job in jobs):
        raise ValueError(f"{run.folder}: did not measure all images of {card.name} as it is now")
    return [row for row in run.rows if row.dataset == card.name]


def command(run: Results) -> str:
    """The command of a run without what decides no number."""
    words = list(run.manifest["command"][1:])
    for option in ("--out", "-o", "--workers"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    return f"    tokbench {shlex.join(words)}"


def scores(card: Card, runs: Sequence[Results]) -> str:
    """Tables of the headline metrics of every task that was run."""
    parts = [
        f"{SCORES}\nOf `{card.digest}`, all {card.count} images. ± is half the 95 % interval; `~` marks a number that "
        "must not be ranked, here for too few images."
    ]
    tasks = discover()
    for run in runs:
        rows = measured(card, run)
        packages = run.manifest["environment"]["packages"]
        names = [name for name in ("torch", "numpy", "pillow", "rapidocr", "onnxruntime") if name in packages]
        parts.append(
            f"{command(run)}\n\nOn {run.manifest['environment']['cpus']} CPU cores "
            f"({run.manifest['environment']['machine']}), tokbench {run.manifest['tokbench']}, "
            f"Python {run.manifest['environment']['python']}, "
            + ", ".join(f"{name} {packages[name]}" for name in names)
            + f", {run.manifest['created'][:10]}."
        )
        columns = {row.task: SHOWN.get(row.task, tasks.task(row.task).headline) for row in rows}
        for table in tables(rows, columns):
            head = " | ".join(table.header(metric) for metric in table.metrics)
            lines = [f"| {table.task}, {table.protocol} | {head} |", "|---" * (len(table.metrics) + 1) + "|"]
            for name, line in table.lines.items():
                lines.append(
                    f"| `{name}` | {' | '.join(cell(line.get(metric)) for metric in table.metrics)} |"
                )
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


# --------------------------------------------------------------------------------------------------- pages


def problems(name: str, folder: Path = DATASETS) -> list[str]:
    """What is wrong with the committed page of a set; nothing when it fits the card."""
    page = folder / "cards" / f"{name}.md"
    if not page.is_file():
        return [f"{name}: there is no data card"]
    card = load_card(folder / f"{name}.toml")
    have, mark, below = page.read_text("utf-8").partition(SCORES)
    found = []
    if have != facts(card, folder):
        found.append(f"{name}: the facts on the data card are not those of the card")
    if not mark or f"Of `{card.digest}`, all {card.count} images." not in below:
        found.append(f"{name}: the scores on the data card are not of these images")
    return found


def main() -> int:
    """Write one page, or check all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="*", type=Path, help="results folders of tokbench run")
    parser.add_argument("--set", choices=SETS, help="the set whose page is written")
    parser.add_argument("--facts", action="store_true", help="write the facts anew and keep the scores")
    parser.add_argument("--check", action="store_true", help="compare all committed pages with their cards")
    arguments = parser.parse_args()
    if arguments.check:
        found = [problem for name in SETS for problem in problems(name)]
        print("\n".join(found) or f"{len(SETS)} data cards fit their cards")
        return int(bool(found))
    if arguments.set is None or bool(arguments.runs) == arguments.facts:
        parser.error("name a set with --set, and results folders or --facts")
    card = load_card(DATASETS / f"{arguments.set}.toml")
    page = DATASETS / "cards" / f"{arguments.set}.md"
    if arguments.facts:
        _, mark, below = page.read_text("utf-8").partition(SCORES)
        below = mark + below
    else:
        below = scores(card, [Results.load(run) for run in arguments.runs])
    page.parent.mkdir(exist_ok=True)
    page.write_text(facts(card, DATASETS) + below, "utf-8")
    print(f"{page.relative_to(DATASETS.parent)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
