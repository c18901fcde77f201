"""Published tokenizers: an adapter gives the architecture, the names of its weights and the wrapping; the rest is here.

Instead of `build`, an adapter module may define

- ``architecture(spec) -> torch.nn.Module``: the network with its default initialisation; it must also build under
  ``torch.device("meta")``, where nothing is allocated. ``spec.options["config"]`` holds the authors' own settings
  under their own names;
- ``convert(state, spec) -> state`` (optional): the published names and shapes turned into those of the network,
  by renaming, reshaping and dropping alone, so that it works on the meta device too;
- ``wrap(spec, network) -> Tokenizer``: the network, on its device and in evaluation mode, as a tokenizer;
- ``accept(path, spec)`` (optional): refuses a file that would load and be wrong, by raising `SetupError`;
- ``golden(spec, network, inputs) -> outputs`` (optional): see `tokbench.golden`.

A weights entry whose source ends in ``.json`` is no tensor file but the publisher's own settings: their values win over
those of ``spec.options["config"]``.

From these follow loading, `tokbench check --random-weights`, `--keys` and `--golden`.
"""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from tokbench.documents import parse_json
from tokbench.errors import DataError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    import torch
    from torch import Tensor

    from tokbench.tokenizer import Tokenizer, TokenSpec
    from tokbench.weights import WeightFile

_SHOWN = 4


class Published(Protocol):
    """What the adapter module of a published tokenizer defines."""

    def architecture(self, spec: TokenSpec) -> torch.nn.Module:
        """Build the network."""
        ...

    def wrap(self, spec: TokenSpec, network: torch.nn.Module) -> Tokenizer:
        """Make a tokenizer of it."""
        ...


@dataclass(frozen=True)
class KeyReport:
    """Published parameter names and shapes against those of an architecture.

    Attributes:
        published: number of tensors that the publisher lists.
        parameters: numbers in the architecture, buffers aside.
        missing: names that the architecture has and the publisher's list does not give.
        unexpected: names that come out of the list and the architecture lacks.
        reshaped: ``name: got, wanted`` where the shapes differ.
    """

    published: int
    parameters: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether names and shapes agree exactly."""
        return not (self.missing or self.unexpected or self.reshaped)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, `equal` included."""
        return {"equal": self.equal, **asdict(self)}


def published(module: ModuleType) -> Published | None:
    """Return the module as a published tokenizer's adapter, or None when it builds for itself."""
    whole = all(callable(getattr(module, name, None)) for name in ("architecture", "wrap"))
    return cast("Published", module) if whole else None


def load(
    adapter: Published,
    spec: TokenSpec,
    files: Sequence[WeightFile],
    paths: Mapping[str, Path],
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> Tokenizer:
    """Build a tokenizer with its published weights.

    Args:
        adapter: the adapter module.
        spec: the variant.
        files: its weights as declared.
        paths: where they lie, by name.
        device: where it shall run.
        dtype: the floating type of its weights.

    Raises:
        SetupError: a file cannot be read or is refused, or its names and shapes are not those of the architecture.
    """
    from tokbench.weights import load_tensors

    settled = _as_published(spec, files, paths)
    accept = getattr(adapter, "accept", None)
    state: dict[str, Tensor] = {}
    for file in files:
        if file.is_settings:
            continue
        if accept is not None:
            accept(paths[file.name], spec)
        state |= load_tensors(file, paths[file.name])
    network = adapter.architecture(settled)
    fill(network, converted(adapter, state, settled), spec)
    return adapter.wrap(spec, _placed(network, device, dtype))


def _as_published(spec: TokenSpec, files: Sequence[WeightFile], paths: Mapping[str, Path]) -> TokenSpec:
    """Let the values of the settings files that are here win over those of the header."""
    from tokbench.weights import load_settings

    config = dict(spec.options.get("config", {}))
    for file in files:
        if file.is_settings and file.name in paths:
            config |= load_settings(file, paths[file.name])
    return replace(spec, options={**spec.options, "config": config})


def with_random_weights(
    adapter: Published, spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, seed: int = 0
) -> Tokenizer:
    """Build a tokenizer at full size with its default initialisation, seeded: the shape of it, not its quality."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = adapter.architecture(spec)
    return adapter.wrap(spec, _placed(network, device, dtype))


def _placed(network: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """Bring a network to its device and type, ready to run; no cast is asked for where none is needed."""
    network = network.to(device)
    floating = (each for each in (*network.parameters(), *network.buffers()) if each.is_floating_point())
    if any(each.dtype != dtype for each in floating):
        network = network.to(dtype)  # libraries warn at this
    return network.eval().requires_grad_(False)


def converted(adapter: Published, state: dict[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Return tensors under the network's own names."""
    convert = getattr(adapter, "convert", None)
    return convert(state, spec) if convert is not None else state


def fill(network: torch.nn.Module, state: Mapping[str, Tensor], spec: TokenSpec) -> None:
    """Put every tensor into the network; nothing may be left over on either side.

    Raises:
        SetupError: names or shapes differ; shows the first of them.
    """
    wanted = network.state_dict()
    report = _compare(wanted, state, len(state), network)
    if not report.equal:
        what = [
            f"{len(names)} {word} ({', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})"
            for word, names in (
                ("missing", report.missing),
                ("unexpected", report.unexpected),
                ("of another shape", report.reshaped),
            )
            if names
        ]
        raise SetupError(
            f"weights do not fit `{spec.name}`: {'; '.join(what)}",
            hint="another variant's file, or another version of it: `tokbench describe` names the published one",
        )
    network.load_state_dict({name: value.to(wanted[name].dtype) for name, value in state.items()})


def read_keys(path: Path) -> dict[str, list[int]]:
    """Read a list of published parameters: JSON with ``keys``, an object of ``{name: shape}``.

    Raises:
        DataError: it cannot be read or is none.
    """
    try:
        keys = parse_json(path.read_text(encoding="utf-8"))["keys"]
        return {str(name): [int(side) for side in shape] for name, shape in keys.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"parameter list {path} cannot be read: {type(error).__name__}: {error}",
            hint='wanted JSON with {"keys": {"NAME": [SHAPE]}}',
        ) from error


@contextmanager
def shapes_only() -> Iterator[None]:
    """Let tensors that are made in the block have shapes and no numbers.

    diffusers makes constants when its modules are imported. Imported in here they would stay without numbers for every
    later model of the process, so that happens before.
    """
    import torch

    if importlib.util.find_spec("diffusers") is not None:
        importlib.import_module("diffusers.models.autoencoders")
    with torch.device("meta"):
        yield


def compare_keys(adapter: Published, spec: TokenSpec, shapes: Mapping[str, Sequence[int]]) -> KeyReport:
    """Compare published names and shapes with the architecture at full size; nothing is allocated.

    Args:
        adapter: the adapter module.
        spec: the variant.
        shapes: ``{published parameter name: shape}``.
    """
    import torch

    with shapes_only():
        network = adapter.architecture(spec)
        state = {name: torch.empty(tuple(shape)) for name, shape in shapes.items()}
        return _compare(network.state_dict(), converted(adapter, state, spec), len(shapes), network)


def _compare(
    wanted: Mapping[str, Tensor], got: Mapping[str, Tensor], count: int, network: torch.nn.Module
) -> KeyReport:
    return KeyReport(
        published=count,
        parameters=sum(each.numel() for each in network.parameters()),
        missing=tuple(sorted(wanted.keys() - got.keys())),
        unexpected=tuple(sorted(got.keys() - wanted.keys())),
        reshaped=tuple(
            f"{name}: {list(got[name].shape)}, wanted {list(wanted[name].shape)}"
            for name in sorted(wanted.keys() & got.keys())
            if got[name].shape != wanted[name].shape
        ),
    )
