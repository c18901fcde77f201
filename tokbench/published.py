"""Published figures: what papers, repositories and threads say of tokenizers, as rows with their sources.

They lie in `leaderboards/published/*.csv` and travel in the wheel; `docs/published.md` explains the columns, and
`tokbench.results.verdict` compares a run with them.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tokbench.errors import DataError
from tokbench.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = (
    "tokenizer",
    "system",
    "dataset",
    "split",
    "image",
    "images",
    "resolution",
    "task",
    "protocol",
    "metric",
    "value",
    "unit",
    "evaluator",
    "source",
    "table",
    "version",
    "via",
    "checked",
    "flag",
    "note",
)
_NEEDED = ("system", "metric", "value", "source", "table", "version", "via", "checked")
_CHOICES = {
    "unit": ("", "%", "M", "dB", "bit/px"),
    "checked": ("read", "unchecked"),
    "flag": ("", "inexact", "disputed"),
}

_GENERATOR = "a property of a generator, not of the tokenizer alone"
_VIDEO = "video is not evaluated"
_SETTING = "TokBench's own recogniser and face network are tasks at setting 256 only"
NOT_MEASURED = {
    "gfid": _GENERATOR,
    "gfid_post_training": _GENERATOR,
    "gfid_sit_xl": _GENERATOR,
    "gfid_sit_b": _GENERATOR,
    "inception_score": _GENERATOR,
    "precision": _GENERATOR,
    "recall": _GENERATOR,
    "generator_parameters": _GENERATOR,
    "generator_steps": _GENERATOR,
    "ifid": "needs the latents of the ImageNet training images",
    "lpips": "the source does not say which of LPIPS's networks was used",
    "st_lpips": "shift-tolerant LPIPS is not shipped: part of its package is non-commercial",
    "zero_shot_accuracy": "a property of an encoder's embeddings, against labels",
    "probe_accuracy": "a probe trained on all of ImageNet",
    "rfvd": _VIDEO,
    "rfid_video": _VIDEO,
    "psnr_video": _VIDEO,
    "ssim_video": _VIDEO,
    "lpips_video": _VIDEO,
    "video_retrieval": _VIDEO,
    "psnr_3d": "shapes are not evaluated",
    "accuracy_3d": "shapes are not evaluated",
    **{
        f"{metric}_video{size}": _VIDEO
        for metric in ("t_acc", "t_ned", "f_sim")
        for size in ("", "_small", "_medium", "_large")
    },
    **{
        f"{metric}{size}{network}_{setting}": _SETTING
        for setting in (512, 1024)
        for metric, network in (("t_acc", "_parseq"), ("t_ned", "_parseq"))
        for size in ("", "_small", "_medium", "_large")
    },
    **{
        f"f_sim_{setting}{size}": _SETTING
        for setting in (512, 1024)
        for size in ("", "_small", "_medium", "_large")
    },
}
"""Names of published metrics that no task of tokbench measures, with the reason."""


@dataclass(frozen=True)
class Figure:
    """One published number.

    Attributes:
        tokenizer: name in the catalog, or that an adapter would have; "" when the source does not identify one.
        system: what the source calls it.
        dataset: name of the image set's card where there is one, else words; "" for properties of the tokenizer alone.
        split: part of the data set.
        image: stem of the one picture the figure is of; "" for a whole set.
        images: number of images; None when not stated.
        resolution: side in pixels; None for original size.
        task: task of tokbench whose definition of the metric applies; "" when there is none.
        protocol: protocol of tokbench where one fits, else words; "" where images do not matter.
        metric: metric of tokbench, or a key of `NOT_MEASURED`.
        printed: the number as printed.
        unit: unit of the number.
        evaluator: network behind the metric: an evaluator of tokbench, or words; "" for none.
        source: paper, repository or thread.
        table: where in it.
        version: version of the paper, or commit.
        via: how the number was retrieved.
        checked: ``read`` in its source, or ``unchecked``: from memory.
        flag: ``disputed``: known to be wrong or contradicted; ``inexact``: measured in a way that tokbench does not
            repeat exactly; "" for neither.
        note: reason of the flag, and what else is to be known.
        place: file and line.
    """

    tokenizer: str
    system: str
    dataset: str
    split: str
    image: str
    images: int | None
    resolution: int | None
    task: str
    protocol: str
    metric: str
    printed: str
    unit: str
    evaluator: str
    source: str
    table: str
    version: str
    via: str
    checked: Literal["read", "unchecked"]
    flag: Literal["", "inexact", "disputed"]
    note: str
    place: str

    @property
    def value(self) -> float:
        """The number, in `unit`."""
        return float(self.printed)

    @property
    def rounding(self) -> float:
        """Half a unit of the last printed digit: how far the number before rounding may have been."""
        _, _, decimals = self.printed.partition(".")
        return 0.5 * 10.0 ** -len(decimals)


def load_figures(folder: Path | None = None) -> tuple[Figure, ...]:
    """Read every file of published figures.

    Args:
        folder: where the CSV files lie; by default those that travel with tokbench.

    Raises:
        DataError: a file or a row is not valid; names the file and the line.
    """
    place = folder or shipped("leaderboards") / "published"
    return tuple(figure for path in sorted(place.glob("*.csv")) for figure in read_figures(path))


def figures_of(name: str, figures: Sequence[Figure], source: str = "") -> tuple[Figure, ...]:
    """Return the figures of a tokenizer whose file, source or table mentions `source`, in any case."""
    wanted = source.casefold()
    return tuple(
        each
        for each in figures
        if each.tokenizer == name and wanted in f"{each.place} {each.source} {each.table}".casefold()
    )


def read_figures(path: Path) -> list[Figure]:
    """Read one file.

    Raises:
        DataError: it cannot be read, or a row is not valid; names the file and the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines, [])
            if tuple(header) != COLUMNS:
                raise DataError(
                    f"{path.name}, line 1: the columns are not those of published figures",
                    hint=f"the columns are {', '.join(COLUMNS)}",
                )
            return [_figure(cells, f"{path.name}, line {lines.line_num}") for cells in lines]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error


def _figure(cells: Sequence[str], place: str) -> Figure:
    if len(cells) != len(COLUMNS):
        raise DataError(f"{place}: {len(cells)} fields, wanted {len(COLUMNS)}")
    row = dict(zip(COLUMNS, cells, strict=True))
    for name in _NEEDED:
        if not row[name].strip():
            raise DataError(f"{place}: column `{name}` is empty")
    for name, choices in _CHOICES.items():
        if row[name] not in choices:
            raise DataError(
                f"{place}: column `{name}` is `{row[name]}`",
                hint=f"it is one of {', '.join(choice or '(empty)' for choice in choices)}",
            )
    for name, pattern, wanted in (
        ("value", r"-?\d+(\.\d+)?", "a decimal number"),
        ("images", r"|[1-9]\d*", "a whole number from 1 on, or empty"),
        ("resolution", r"|[1-9]\d*", "a whole number from 1 on, or empty"),
        ("tokenizer", r"|[a-z0-9][a-z0-9.-]*", "a tokenizer's name, or empty"),
        ("metric", r"[a-z][a-z0-9_]*", "a metric's name"),
    ):
        if not re.fullmatch(pattern, row[name]):
            raise DataError(f"{place}: column `{name}` must be {wanted}, got `{row[name]}`")
    if row["flag"] and not row["note"]:
        raise DataError(f"{place}: a figure flagged `{row['flag']}` needs the reason in column `note`")
    if row["dataset"] and not row["protocol"]:
        raise DataError(f"{place}: a figure on a data set needs a protocol, in words if no preset fits")
    texts = {name: row.pop(name) for name in ("images", "resolution")}
    counts = {name: int(text) if text else None for name, text in texts.items()}
    return Figure(printed=row.pop("value"), place=place, **counts, **row)  # type: ignore[arg-type]
