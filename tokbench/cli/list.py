"""`tokbench list`: everything that can be named, without importing any of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokbench.catalog import Catalog, Entry, TokenizerEntry


class Kind(StrEnum):
    """What can be listed."""

    tokenizers = "tokenizers"
    tasks = "tasks"
    datasets = "datasets"
    evaluators = "evaluators"
    protocols = "protocols"
    unavailable = "unavailable"


_PLACE = {True: "here", False: "not here", None: ""}


def list_(
    kind: Annotated[Kind | None, typer.Argument(help="Only these; by default all.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List tokenizers, tasks, image sets, evaluators, protocols, and systems that nobody can run."""
    from tokbench.catalog import discover
    from tokbench.cli.columns import print_columns
    from tokbench.cli.output import print_json, print_line, printable

    catalog = discover()
    found = {each.value: _rows(each, catalog) for each in Kind if kind in {None, each}}
    if json_:
        print_json(found)
        return
    for number, (name, rows) in enumerate(found.items()):
        if number:
            print_line()
        places = ["images"] if name == Kind.datasets else []
        lines = []
        for row in rows:
            what = f"broken: {row['broken']}" if row["broken"] else row["what"]
            place = [_PLACE[row["here"]]] if places else []
            lines.append([printable(text) for text in (row["name"], *place, what, row["from"])])
        print_columns(name, ["name", *places, "what", "from"], lines)


def _rows(kind: Kind, catalog: Catalog) -> list[dict[str, Any]]:
    if kind is Kind.tokenizers:
        return [_tokenizer(entry) for entry in catalog.tokenizers.values()]
    if kind is Kind.protocols:
        from tokbench.protocol import PRESETS

        return [
            {"name": p.name, "what": f"{p.fit}, id {p.id}", "from": "tokbench", "broken": ""}
            for p in PRESETS.values()
        ]
    if kind is Kind.unavailable:
        from tokbench.unavailable import unavailable

        return [
            {"name": name, "what": f"{row.title}: {row.reason}", "from": row.paper, "broken": ""}
            for name, row in unavailable().items()
        ]
    entries: dict[Kind, Mapping[str, Entry[Any]]] = {
        Kind.tasks: catalog.tasks,
        Kind.datasets: catalog.image_sets,
        Kind.evaluators: catalog.evaluators,
    }
    empty: dict[str, Any] = {"here": None} if kind is Kind.datasets else {}
    return [empty | _entry(entry) for entry in entries[kind].values()]


def _tokenizer(entry: TokenizerEntry) -> dict[str, Any]:
    what = entry.variant.spec.description if entry.variant is not None else ""
    return {"name": entry.name, "what": what, "from": entry.origin, "broken": entry.broken}


def _entry(entry: Entry[Any]) -> dict[str, Any]:
    """Describe a card by its title; a stranger's plugin stays unloaded, so only its origin is known."""
    from tokbench.errors import BrokenPluginError
    from tokbench.images.card import read_card_header
    from tokbench.images.places import is_here

    row: dict[str, Any] = {"name": entry.name, "what": "", "from": entry.origin, "broken": ""}
    try:
        if entry.card is not None:
            card = read_card_header(entry.card)
            row |= {"what": card.title, "here": is_here(card, entry.card.parent)}
        elif entry.origin.startswith("tokbench "):
            row["what"] = entry.load().title
    except BrokenPluginError as error:
        row["broken"] = error.message
    return row
