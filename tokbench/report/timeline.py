"""`profile.html`: a profile as one page that works from disk, with a timeline of every thread and its tables.

Names of tokenizers and metrics are other people's text: they are escaped where Python writes them, and inserted as
text by the script.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from tokbench.report.page import assembled
from tokbench.report.stages import read_breakdown

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench.report.stages import Breakdown, Lane, Stage

PAGE = "profile.html"
SCRIPTS = ("pure.js", "dom.js", "timeline.js")
DRAWN = 60_000
"""Blocks that a page draws, the longest ones: more would make it slow and large and could not be seen."""


def write_timeline(folder: Path | str) -> Breakdown:
    """Draw the profile of a results folder beside it and return it.

    Raises:
        IntegrityError: there is none, or it is damaged.
        StorageError: the page cannot be written.
    """
    from tokbench.results.store import Store

    found = read_breakdown(folder)
    Store(folder).write_bytes(PAGE, timeline(found, f"Profile of {str(folder).rpartition('/')[2]}").encode())
    return found


def timeline(found: Breakdown, title: str) -> str:
    """Return the whole page.

    Args:
        found: what is shown.
        title: heading and window title, any text.
    """
    stages = "".join(
        _row(_choice(number, stage.name), *cells(stage, found.busy))
        for number, stage in enumerate(found.stages)
    )
    lanes = "".join(
        _row(html.escape(f"{lane.name} · {lane.process}"), *shares(lane, found.wall)) for lane in found.lanes
    )
    return assembled(
        "timeline.html",
        ("report.css", "timeline.css"),
        SCRIPTS,
        document(found),
        title=html.escape(title),
        about=html.escape(summary(found)),
        stages=stages,
        lanes=lanes,
    )


def summary(found: Breakdown) -> str:
    """Say in one line how long a run took, how busy it was and when it got going."""
    threads = found.busy / found.wall if found.wall else 0.0
    first = "" if found.first is None else f", first batch reconstructed after {found.first:.2f} s"
    return f"{found.wall:.2f} s, {threads:.2f} threads busy on average{first}"


def cells(stage: Stage, busy: float) -> tuple[str, str, str, str, str]:
    """Return calls, images, seconds, milliseconds an image and the share of all work of a stage."""
    images = str(stage.images) if stage.images else "–"
    each = f"{stage.seconds / stage.images * 1000:.2f}" if stage.images else "–"
    return str(stage.calls), images, f"{stage.seconds:.3f}", each, _percent(stage.seconds, busy)


def shares(lane: Lane, wall: float) -> tuple[str, str, str]:
    """Return how much of the whole time a lane worked, waited and was idle."""
    idle = max(0.0, wall - lane.busy - lane.waited)
    return _percent(lane.busy, wall), _percent(lane.waited, wall), _percent(idle, wall)


def document(found: Breakdown) -> dict[str, Any]:
    """Return what the page's script draws: names, and for each lane five numbers a block.

    They are the number of the name, start and length in microseconds, depth, and images.
    """
    every = [block for lane in found.lanes for block in lane.blocks]
    least = sorted((block.seconds for block in every), reverse=True)[DRAWN] if len(every) > DRAWN else -1.0
    # Stages first and in their order, so that a row of the table and its blocks have one number.
    names = list(dict.fromkeys([*(stage.name for stage in found.stages), *(block.name for block in every)]))
    places = {name: number for number, name in enumerate(names)}
    lanes = []
    drawn = 0
    for lane in found.lanes:
        flat: list[int] = []
        for block in lane.blocks:
            if block.seconds > least:
                start, length = round(block.start * 1e6), max(1, round(block.seconds * 1e6))
                flat += [places[block.name], start, length, block.depth, block.images]
                drawn += 1
        lanes.append(
            {
                "name": lane.name,
                "process": lane.process,
                "busy": _percent(lane.busy, found.wall),
                "blocks": flat,
            }
        )
    return {
        "wall": max(1, round(found.wall * 1e6)),
        "names": names,
        "lanes": lanes,
        "left_out": len(every) - drawn,
    }


def _choice(number: int, name: str) -> str:
    return f'<button type="button" class="open" data-stage="{number}" aria-pressed="false">{html.escape(name)}</button>'


def _row(name: str, *cells: str) -> str:
    share = (
        f' data-share="{cells[-1].split()[0]}"'
        if len(cells) == len(("calls", "images", "s", "ms", "%"))
        else ""
    )
    values = "".join(f"<td>{cell}</td>" for cell in cells[:-1]) + f"<td{share}>{cells[-1]}</td>"
    return f'<tr><th class="name" scope="row">{name}</th>{values}</tr>\n'


def _percent(part: float, whole: float) -> str:
    return f"{part / whole * 100 if whole else 0.0:.1f} %"
