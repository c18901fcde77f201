"""`tokbench check`: the conformance kit on any adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokbench.testing import Report


def check(
    tokenizers: Annotated[list[str] | None, typer.Argument(help="Names or FILE.py[:NAME].")] = None,
    tokenizer: Annotated[
        list[str] | None, typer.Option("--tokenizer", "-t", help="The same, as an option.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every tokenizer whose requirements are installed.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "cpu",
    dtype: Annotated[str, typer.Option("--dtype", help="float32, float16 or bfloat16.")] = "float32",
    weights: Annotated[
        list[str] | None, typer.Option("--weights", metavar="NAME=PATH", help="Use this file. Repeatable.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the contract on tokenizers: shape, dtype, range, NaN, determinism, batches, bytes, capabilities."""
    from tokbench.catalog import discover
    from tokbench.cli.options import parse_weights
    from tokbench.cli.output import print_json
    from tokbench.errors import UsageError

    catalog = discover()
    names = [*(tokenizers or []), *(tokenizer or [])]
    if all_:
        names += [name for name, entry in catalog.tokenizers.items() if not entry.broken]
    if not names:
        raise UsageError("nothing to check", hint="name tokenizers, or give --all")
    overrides = parse_weights(weights)
    reports = [_check(name, catalog, device, dtype, overrides, skip=all_) for name in dict.fromkeys(names)]
    if json_:
        print_json({"tokenizers": [_plain(name, report) for name, report in reports]})
    else:
        for name, report in reports:
            _show(name, report)
    if not all(isinstance(report, str) or report.passed for _, report in reports):
        raise typer.Exit(5)


def _check(
    name: str, catalog: Any, device: str, dtype: str, overrides: Mapping[str, Path], *, skip: bool
) -> tuple[str, Report | str]:
    """Return a report, or under ``--all`` the reason why a tokenizer cannot be built here."""
    import torch

    from tokbench.engine.loop import resolve_device
    from tokbench.errors import SetupError, UsageError
    from tokbench.loading import build_tokenizer
    from tokbench.testing import check_tokenizer

    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype):
        raise UsageError(f"dtype `{dtype}` is not one of float32, float16, bfloat16")
    where = resolve_device(device)
    try:
        built = build_tokenizer(catalog.tokenizer(name), device=where, dtype=kind, overrides=overrides)
    except SetupError as error:
        if not skip:
            raise
        return name, str(error)
    return name, check_tokenizer(built, device=where)


def _show(name: str, report: Report | str) -> None:
    from tokbench.cli.output import print_line, print_note, printable

    if isinstance(report, str):
        print_line(f"{name}: skipped: {printable(report.splitlines()[0])}")
        return
    print_line(f"{name}: {'passed' if report.passed else 'FAILED'}")
    for each in report.checks:
        print_line(f"  {'ok  ' if each.passed else 'FAIL'} {each.name}: {printable(each.detail)}")
        if each.trace:
            print_note(each.trace)


def _plain(name: str, report: Report | str) -> dict[str, Any]:
    if isinstance(report, str):
        return {"tokenizer": name, "passed": None, "skipped": report, "checks": []}
    checks = [{"name": each.name, "passed": each.passed, "detail": each.detail} for each in report.checks]
    return {"tokenizer": name, "passed": report.passed, "skipped": "", "checks": checks}
