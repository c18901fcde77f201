"""Turns a catalog entry into a running tokenizer or network: finds weights, imports the adapter, builds it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokbench.errors import (
    AdapterError,
    ContractError,
    EvaluatorError,
    MissingPackageError,
    SetupError,
    TokbenchError,
    WeightsMissingError,
)
from tokbench.pretrained import load, published, with_random_weights
from tokbench.shipped import shipped
from tokbench.surroundings import unchanged
from tokbench.weights import WeightFile, digest, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import ModuleType

    import torch

    from tokbench.catalog import TokenizerEntry
    from tokbench.networks.base import Evaluator
    from tokbench.tokenizer import Tokenizer


@dataclass(frozen=True)
class Fingerprint:
    """What of a tokenizer or evaluator enters result keys.

    Attributes:
        code: SHA-256 of the adapter file, and of the shared blocks where it uses them; "" for evaluators (their name
            stands for their definition).
        weights: ``{weights name: SHA-256 of the file}``.
    """

    code: str
    weights: dict[str, str]


def weight_paths(files: Iterable[WeightFile], overrides: Mapping[str, Path]) -> dict[str, Path]:
    """Find every weights file on this machine; optional ones that are absent are left out.

    Raises:
        WeightsMissingError: one is absent; says how to fetch it.
        DigestError: one is not the pinned file.
    """
    found = {}
    for file in files:
        try:
            found[file.name] = resolve(file, overrides, shipped("adapters"))
        except WeightsMissingError:
            if not file.optional or file.name in overrides:
                raise
    return found


def fingerprint(
    files: Iterable[WeightFile], overrides: Mapping[str, Path], code: Path | None = None
) -> Fingerprint:
    """Hash what decides the numbers: the adapter file and the weights in use.

    Raises:
        WeightsMissingError: a weights file is absent.
        DigestError: a weights file is not the pinned one.
    """
    paths = weight_paths(files, overrides)
    return Fingerprint(
        _code_digest(code) if code else "", {name: digest(path) for name, path in sorted(paths.items())}
    )


def _code_digest(adapter: Path) -> str:
    """Hash an adapter file, with everything in `tokbench.nn` when it imports from there."""
    mark = digest(adapter)
    if b"tokbench.nn" not in adapter.read_bytes():
        return mark
    blocks = sorted((Path(__file__).parent / "nn").glob("*.py"))
    return hashlib.sha256("".join([mark, *map(digest, blocks)]).encode()).hexdigest()


def build_tokenizer(
    entry: TokenizerEntry,
    *,
    device: torch.device,
    dtype: torch.dtype,
    overrides: Mapping[str, Path],
    random_weights: bool = False,
    fresh: bool = False,
) -> Tokenizer:
    """Import the adapter and build one of its tokenizers.

    Args:
        entry: what the catalog found.
        device: where it shall run.
        dtype: the type its weights shall have.
        overrides: ``--weights NAME=PATH``.
        random_weights: build the architecture at full size with seeded random weights instead of the published ones.
        fresh: run the adapter's code anew, so that nothing is shared with a tokenizer built before.

    Raises:
        WeightsMissingError: a weights file is absent.
        MissingPackageError: a package that the adapter imports is absent.
        ContractError: what `build` returned is not a tokenizer.
        AdapterError: importing or building raised.
    """
    from tokbench.tokenizer import Tokenizer

    assert entry.variant is not None
    spec, files = entry.variant.spec, entry.variant.weights
    paths = {} if random_weights else weight_paths(files, overrides)
    if entry.variant.environment is not None:
        from tokbench.external.opening import open_external

        return open_external(entry, paths, device=device, dtype=dtype)
    with running(entry):
        module = adapter_module(entry, fresh=fresh)
        adapter = published(module)
        if adapter is None:
            if random_weights:
                raise SetupError(
                    f"tokenizer `{entry.name}` has no architecture to fill with random weights",
                    hint="its adapter builds for itself: check it with its weights",
                )
            tokenizer = module.build(spec, device=device, dtype=dtype, weights=paths)
        elif random_weights:
            tokenizer = with_random_weights(adapter, spec, device=device, dtype=dtype)
        else:
            tokenizer = load(adapter, spec, files, paths, device=device, dtype=dtype)
    if not isinstance(tokenizer, Tokenizer):
        raise ContractError(
            f"tokenizer `{entry.name}`: build() returned {type(tokenizer).__name__}, "
            "wanted an object with `spec`, `encode` and `decode`",
            hint="tokbench.Tokenizer is the contract",
        )
    return tokenizer


@contextmanager
def running(entry: TokenizerEntry) -> Iterator[None]:
    """Name the tokenizer in whatever its adapter raises while the block runs, and put back what it sets for all.

    Raises:
        MissingPackageError: a package that the adapter imports is absent.
        AdapterError: it raised anything else that is no error of tokbench.
    """
    try:
        # Libraries set things when they are imported, so what is put back here is no error.
        with unchanged():
            yield
    except TokbenchError:
        raise
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"tokenizer `{entry.name}` needs the package `{error.name}`", hint=f"pip install {error.name}"
        ) from error
    except (Exception, SystemExit) as error:
        # Third-party code may raise anything, or parse a command line that is not its own and leave.
        raise AdapterError(
            f"tokenizer `{entry.name}` could not be built: {type(error).__name__}: {error}",
            hint=f"`tokbench check {entry.name}` shows the traceback; the adapter is {entry.origin}",
        ) from error


def build_network(evaluator: Evaluator, *, device: torch.device, overrides: Mapping[str, Path]) -> Any:
    """Load an evaluator: a `Network`, a recogniser, or whatever its metrics ask for.

    Raises:
        MissingPackageError: a package it needs is absent; names the extra.
        WeightsMissingError: its weights are absent.
        EvaluatorError: loading raised.
    """
    require_packages(evaluator)
    paths = weight_paths(evaluator.weights, overrides)
    try:
        return evaluator.load(paths, device)
    except TokbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise EvaluatorError(
            f"evaluator `{evaluator.name}` could not be loaded: {type(error).__name__}: {error}",
            hint="`tokbench doctor` checks packages and weights",
        ) from error


def require_packages(evaluator: Evaluator) -> None:
    """Check that what an evaluator imports is installed, without importing it.

    Raises:
        MissingPackageError: names the first absent package and the extra that brings it.
    """
    for package in evaluator.packages:
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(
                f"evaluator `{evaluator.name}` needs the package `{package}`",
                hint=f"pip install 'tokbench[{evaluator.extra}]'",
            )


def adapter_module(entry: TokenizerEntry, *, fresh: bool = False) -> ModuleType:
    """Import an adapter, from its distribution or its file; whatever its code raises passes through.

    Args:
        entry: what the catalog found.
        fresh: run its file again under a name of its own instead of returning the module imported before.
    """
    if entry.module and not fresh:
        return importlib.import_module(entry.module)
    name = f"tokbench_adapter_{entry.path.stem}_{digest(entry.path)[:8]}"
    while fresh and name in sys.modules:
        name += "_fresh"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, entry.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
