"""`tokbench check`: the conformance kit on any adapter, golden cases, and published parameter names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokbench.cli import complete

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokbench.catalog import Catalog, TokenizerEntry
    from tokbench.testing import Report

_FAILED = 5


def check(
    tokenizers: Annotated[
        list[str] | None, typer.Argument(help="Names or FILE.py[:NAME].", autocompletion=complete.tokenizers)
    ] = None,
    tokenizer: Annotated[
        list[str] | None,
        typer.Option("--tokenizer", "-t", help="The same, as an option.", autocompletion=complete.tokenizers),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every tokenizer whose requirements are installed.")
    ] = False,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="The full architecture with seeded random weights.")
    ] = False,
    golden: Annotated[
        list[Path] | None,
        typer.Option(
            "--golden", metavar="DIR", help="Run a golden case FAMILY/CASE. Prints JSON. Repeatable."
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", metavar="FILE", help="Compare a tokenizer's parameter names and shapes. Prints JSON."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "cpu",
    dtype: Annotated[str, typer.Option("--dtype", help="float32, float16 or bfloat16.")] = "float32",
    weights: Annotated[
        list[str] | None, typer.Option("--weights", metavar="NAME=PATH", help="Use this file. Repeatable.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="NAME=DIR", help="A checkout of its repository. Repeatable."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the contract on tokenizers: shape, dtype, range, NaN, determinism, batches, bytes, capabilities.

    With --all, a tokenizer whose weights are not here is checked with random ones.
    """
    from tokbench.catalog import discover
    from tokbench.cli.options import parse_weights, with_sources
    from tokbench.cli.output import print_json, strangers_print_to_stderr
    from tokbench.errors import UsageError

    catalog = discover()
    names = [*(tokenizers or []), *(tokenizer or [])]
    if golden:
        _golden(golden, catalog)
        return
    if keys is not None:
        if len(names) != 1:
            raise UsageError("--keys compares one tokenizer", hint="tokbench check --keys FILE NAME")
        _keys(keys, names[0], catalog)
        return
    if all_:
        names += [name for name, entry in catalog.tokenizers.items() if not entry.broken]
    if not names:
        raise UsageError("nothing to check", hint="name tokenizers, or give --all")
    catalog = with_sources(catalog, source, names)
    checker = _Checker(catalog, device, dtype, parse_weights(weights), random_weights, skip=all_)
    failed = False
    printed = []
    for name in dict.fromkeys(names):
        with strangers_print_to_stderr():
            report = checker.check(name)
        failed |= not isinstance(report, str) and not report.passed
        if json_:
            printed.append(_plain(name, report))
        else:
            _show(name, report)
    if json_:
        print_json({"tokenizers": printed})
    if failed:
        raise typer.Exit(_FAILED)


class _Checker:
    """Builds and checks one tokenizer after the other, so that only one is in memory."""

    def __init__(
        self,
        catalog: Catalog,
        device: str,
        dtype: str,
        overrides: Mapping[str, Path],
        random_weights: bool,
        *,
        skip: bool,
    ) -> None:
        import torch

        from tokbench.engine.device import resolve_device
        from tokbench.errors import UsageError

        kind = getattr(torch, dtype, None)
        if not isinstance(kind, torch.dtype):
            raise UsageError(f"dtype `{dtype}` is not one of float32, float16, bfloat16")
        self._catalog = catalog
        self._dtype = kind
        self._device = resolve_device(device)
        self._overrides = overrides
        self._random = random_weights
        self._skip = skip

    def check(self, name: str) -> Report | str:
        """Return a report, or under ``--all`` the reason why a tokenizer cannot be built here."""
        from tokbench.errors import SetupError, WeightsMissingError

        try:
            try:
                return self._report(name, random_weights=self._random)
            except WeightsMissingError:
                if not self._skip:
                    raise
                return self._report(name, random_weights=True)
        except SetupError as error:
            if not self._skip:
                raise
            return str(error)

    def _report(self, name: str, *, random_weights: bool) -> Report:
        from tokbench.loading import build_tokenizer
        from tokbench.testing import check_tokenizer

        build = partial(
            build_tokenizer,
            self._catalog.tokenizer(name),
            device=self._device,
            dtype=self._dtype,
            overrides=self._overrides,
            random_weights=random_weights,
        )
        return check_tokenizer(
            build(), device=self._device, trained=not random_weights, fresh=partial(build, fresh=True)
        )


def _golden(folders: list[Path], catalog: Catalog) -> None:
    """Print the report of each case; several make a list."""
    from tokbench.cli.output import print_json, strangers_print_to_stderr
    from tokbench.errors import SetupError
    from tokbench.golden import run_golden
    from tokbench.loading import adapter_module, running
    from tokbench.pretrained import published

    reports = []
    for folder in folders:
        entry = catalog.family(folder.resolve().parent.name)
        with strangers_print_to_stderr(), running(entry):
            adapter = published(adapter_module(entry))
            if adapter is None:
                raise SetupError(f"{entry.origin} names the family but defines no architecture() and wrap()")
            reports.append(run_golden(adapter, folder))
    plain = [report.to_json() for report in reports]
    print_json(plain[0] if len(plain) == 1 else {"cases": plain})
    if not all(report.passed for report in reports):
        raise typer.Exit(_FAILED)


def _keys(path: Path, name: str, catalog: Catalog) -> None:
    from tokbench.cli.output import print_json, strangers_print_to_stderr
    from tokbench.errors import SetupError
    from tokbench.loading import adapter_module, running
    from tokbench.pretrained import compare_keys, published, read_keys

    entry = catalog.tokenizer(name)
    with strangers_print_to_stderr(), running(entry):
        adapter = None if _is_external(entry) else published(adapter_module(entry))
        if adapter is None or entry.variant is None:
            raise SetupError(
                f"tokenizer `{name}` has no architecture to compare",
                hint="adapters with architecture() and wrap() have one",
            )
        report = compare_keys(adapter, entry.variant.spec, read_keys(path))
    print_json({"tokenizer": name, "file": path.name, **report.to_json()})
    if not report.equal:
        raise typer.Exit(_FAILED)


def _is_external(entry: TokenizerEntry) -> bool:
    """Say whether its code belongs into an environment of its own, and so is not imported here."""
    return entry.variant is not None and entry.variant.environment is not None


def _show(name: str, report: Report | str) -> None:
    from tokbench.cli.output import print_line, print_note, printable

    if isinstance(report, str):
        print_line(f"{name}: skipped: {printable(report.splitlines()[0])}")
        return
    print_line(
        f"{name}: {'passed' if report.passed else 'FAILED'}{'' if report.trained else ' (random weights)'}"
    )
    for each in report.checks:
        print_line(f"  {'ok  ' if each.passed else 'FAIL'} {each.name}: {printable(each.detail)}")
        if each.trace:
            print_note(each.trace)


def _plain(name: str, report: Report | str) -> dict[str, Any]:
    if isinstance(report, str):
        return {"tokenizer": name, "passed": None, "skipped": report, "checks": []}
    checks = [{"name": each.name, "passed": each.passed, "detail": each.detail} for each in report.checks]
    return {
        "tokenizer": name,
        "passed": report.passed,
        "skipped": "",
        "random_weights": not report.trained,
        "checks": checks,
    }
