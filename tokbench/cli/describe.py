"""`tokbench describe`: all that is known of one name."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokbench.cli import complete
from tokbench.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokbench.catalog import Catalog


def describe(
    name: Annotated[
        str,
        typer.Argument(
            help="A tokenizer, task, image set, evaluator, metric or protocol.", autocompletion=complete.names
        ),
    ],
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Describe whatever has that name: definition, source, licence, weights, key."""
    from tokbench.catalog import discover
    from tokbench.cli.output import print_json, print_line, printable

    found = dict(_meanings(name, discover()))
    if json_:
        print_json({"name": name, **found})
        return
    for kind, facts in found.items():
        print_line(f"{name} ({kind})")
        for key, value in facts.items():
            if value not in ("", None, (), [], {}):
                print_line(f"  {key}: {printable(str(value))}")


def _meanings(name: str, catalog: Catalog) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every kind of thing that has the name.

    Raises:
        UnknownNameError: there is none.
    """
    from tokbench.published import load_figures

    found = False
    for kind, describe_one in (
        ("tokenizer", _tokenizer),
        ("task", _task),
        ("image set", _image_set),
        ("evaluator", _evaluator),
        ("protocol", _protocol),
        ("metric", _metric),
        ("published figures", _published),
        ("unavailable", _unavailable),
    ):
        facts = describe_one(name, catalog)
        if facts is not None:
            found = True
            yield kind, facts
    if not found:
        published = {figure.tokenizer for figure in load_figures()} - {""}
        known = {*catalog.tokenizers, *catalog.tasks, *catalog.image_sets, *catalog.evaluators, *published}
        raise UnknownNameError("name", name, known)


def _tokenizer(name: str, catalog: Catalog) -> dict[str, Any] | None:
    if name not in catalog.tokenizers and ".py" not in name:
        return None
    entry = catalog.tokenizers.get(name) or catalog.tokenizer(name)
    if entry.variant is None:
        return {"origin": entry.origin, "broken": entry.broken}
    spec = entry.variant.spec
    facts = {key: getattr(spec, key) for key in spec.__dataclass_fields__ if key != "name"}
    facts["options"] = dict(spec.options)
    weights = [asdict(file) for file in entry.variant.weights]
    environment = asdict(entry.variant.environment) if entry.variant.environment else None
    return facts | {"origin": entry.origin, "weights": weights, "environment": environment}


def _unavailable(name: str, catalog: Catalog) -> dict[str, Any] | None:
    from tokbench.unavailable import unavailable

    return asdict(unavailable()[name]) if name in unavailable() else None


def _task(name: str, catalog: Catalog) -> dict[str, Any] | None:
    if name not in catalog.tasks:
        return None
    task = catalog.task(name)
    return {
        "title": task.title,
        "version": task.version,
        "protocol": task.protocol.name,
        "metrics": [metric.name for metric in task.metrics],
        "primary": task.primary,
        "origin": catalog.tasks[name].origin,
    }


def _image_set(name: str, catalog: Catalog) -> dict[str, Any] | None:
    if name not in catalog.image_sets:
        return None
    card, _ = catalog.image_set(name)
    keys = (
        "title",
        "version",
        "license",
        "source",
        "revision",
        "split",
        "citation",
        "purpose",
        "not_for",
        "bias",
        "count",
        "digest",
        "annotations",
        "license_step",
        "fetch",
    )
    return {key: getattr(card, key) for key in keys if hasattr(card, key)}


def _evaluator(name: str, catalog: Catalog) -> dict[str, Any] | None:
    if name not in catalog.evaluators:
        return None
    evaluator = catalog.evaluator(name)
    return {
        "title": evaluator.title,
        "license": evaluator.license,
        "source": evaluator.source,
        "features": evaluator.width,
        "weights": [asdict(file) for file in evaluator.weights],
        "packages": list(evaluator.packages),
        "extra": evaluator.extra,
    }


def _protocol(name: str, catalog: Catalog) -> dict[str, Any] | None:
    from tokbench.protocol import PRESETS

    protocol = PRESETS.get(name)
    return None if protocol is None else asdict(protocol) | {"id": protocol.id}


def _metric(name: str, catalog: Catalog) -> dict[str, Any] | None:
    for task in (
        catalog.task(each) for each in catalog.tasks if catalog.tasks[each].origin.startswith("tokbench ")
    ):
        for metric in task.metrics:
            if metric.name == name:
                return {
                    "title": metric.title,
                    "unit": metric.unit,
                    "higher_is_better": metric.higher_is_better,
                    "definition": metric.definition,
                    "evaluator": metric.network,
                }
    return None


def _published(name: str, catalog: Catalog) -> dict[str, Any] | None:
    from tokbench.published import figures_of, load_figures

    return {
        figure.place: " · ".join(
            part
            for part in (
                f"{figure.metric} {figure.printed} {figure.unit}".strip(),
                figure.image or figure.dataset,
                figure.protocol,
                figure.source,
                figure.flag and f"{figure.flag}: {figure.note}",
                "" if figure.checked == "read" else figure.checked,
            )
            if part
        )
        for figure in figures_of(name, load_figures())
    } or None
