"""`tokbench doctor`: what this machine can do, and what is missing for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tokbench.catalog import Catalog


def doctor(json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check packages, devices, weights, folders and plugins; exit 3 when something embedded does not work."""
    from tokbench.catalog import discover
    from tokbench.cli.output import print_json, print_line, printable

    catalog = discover()
    found = {"machine": _machine(), "evaluators": _evaluators(catalog), "plugins": _plugins(catalog)}
    if json_:
        print_json(found)
    else:
        for group, facts in found.items():
            print_line(group)
            for name, state in facts.items():
                print_line(f"  {name}: {printable(str(state))}")
    if found["evaluators"]["lite0"] != "ready" or any(found["plugins"].values()):
        raise typer.Exit(3)


def _machine() -> dict[str, Any]:
    import os
    import platform

    import PIL
    import torch

    from tokbench import __version__
    from tokbench.shipped import shipped
    from tokbench.weights import cache_dir

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return {
        "tokbench": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pillow": PIL.__version__,
        "cpus": os.cpu_count(),
        "gpus": ", ".join(gpus) or "none",
        "cache": str(cache_dir()),
        "adapters": str(shipped("adapters")),
    }


def _evaluators(catalog: Catalog) -> dict[str, str]:
    """Say of each evaluator whether it is ready, or what to do."""
    from tokbench.errors import SetupError
    from tokbench.loading import require_packages, weight_paths

    states = {}
    for name in catalog.evaluators:
        evaluator = catalog.evaluator(name)
        try:
            require_packages(evaluator)
            weight_paths(evaluator.weights, {})
            states[name] = "ready"
        except SetupError as error:
            states[name] = f"{error.message} ({error.hint})"
    return states


def _plugins(catalog: Catalog) -> dict[str, str]:
    """Return the broken tokenizers with their reasons."""
    return {name: entry.broken for name, entry in catalog.tokenizers.items() if entry.broken}
