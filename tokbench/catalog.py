"""Finds tokenizers, tasks, image sets and evaluators without importing any of them.

Sources, in order: the files shipped with tokbench (`adapters/*.py`, `datasets/*.toml`), entry points of installed
distributions (``tokbench.tokenizers``, ``tokbench.tasks``, ``tokbench.image_sets``, ``tokbench.evaluators``; tokbench
declares its own tasks and evaluators there too), and for tokenizers a path given by the user. A `Catalog` is an
ordinary value: tests build their own, and nothing registers itself by being imported.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from tokbench.errors import BrokenPluginError, TokbenchError, UnavailableError, UnknownNameError
from tokbench.header import Variant, read_header
from tokbench.shipped import shipped
from tokbench.unavailable import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tokbench.images.card import Card
    from tokbench.networks.base import Evaluator
    from tokbench.tasks.base import Task

T = TypeVar("T")
GROUPS = ("tokenizers", "tasks", "image_sets", "evaluators")


@dataclass(frozen=True)
class TokenizerEntry:
    """A tokenizer as the catalog knows it.

    Attributes:
        name: name on the command line.
        origin: where it was found, for people: ``adapters/jpeg.py``, ``my-dist 1.2``, a path.
        path: the adapter file.
        variant: spec and weights from the header; None when broken.
        module: importable module name when an installed distribution provides it, else "".
        broken: why it cannot be used, or "".
        families: names of the architectures that its adapter builds (see `tokbench.golden`).
        source: a checkout that the user gives in place of the fetched one, for adapters with an environment.
    """

    name: str
    origin: str
    path: Path
    variant: Variant | None
    module: str = ""
    broken: str = ""
    families: tuple[str, ...] = ()
    source: Path | None = None


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A task, image set or evaluator as the catalog knows it; `load` fetches the value on demand.

    Attributes:
        name: name on the command line.
        origin: where it was found.
        point: the entry point, or None for a card.
        card: the card file, or None for an entry point.
    """

    name: str
    origin: str
    point: EntryPoint | None = None
    card: Path | None = None

    def load(self) -> T:
        """Return the value.

        Raises:
            BrokenPluginError: the plugin cannot be imported, or its card is not valid.
        """
        from tokbench.images.card import load_card

        if self.card is not None:
            return load_card(self.card)  # type: ignore[return-value]
        assert self.point is not None
        try:
            value: T = self.point.load()
        except (Exception, SystemExit) as error:
            # A stranger's module may raise anything at all; whatever it is, it breaks this plugin only.
            raise BrokenPluginError(
                f"plugin `{self.name}` ({self.origin}) is broken: {_reason(error)}"
            ) from error
        return value


@dataclass(frozen=True)
class Catalog:
    """Everything that can be named on the command line.

    Attributes:
        tokenizers: by name.
        tasks: by name.
        image_sets: by name.
        evaluators: by name.
        sources: ``--source NAME=DIR``: checkouts of the user's, by the name of the tokenizer.
    """

    tokenizers: Mapping[str, TokenizerEntry] = field(default_factory=dict)
    tasks: Mapping[str, Entry[Task]] = field(default_factory=dict)
    image_sets: Mapping[str, Entry[Card]] = field(default_factory=dict)
    evaluators: Mapping[str, Entry[Evaluator]] = field(default_factory=dict)
    sources: Mapping[str, Path] = field(default_factory=dict)

    def tokenizer(self, name: str) -> TokenizerEntry:
        """Look a tokenizer up by name, or by ``path.py`` or ``path.py:name`` for a file of one's own.

        Raises:
            UnknownNameError: no such tokenizer.
            UnavailableError: it is a known system that nobody can run.
            BrokenPluginError: it exists but its header or module cannot be used.
        """
        path, _, variant = name.partition(".py")
        if name.endswith(".py") or variant.startswith(":"):
            entry = _from_file(Path(path + ".py"), variant[1:])
        else:
            if name not in self.tokenizers and name in unavailable():
                system = unavailable()[name]
                raise UnavailableError(
                    f"`{name}` ({system.title}) cannot be run as an image tokenizer: {system.reason}",
                    hint=f"nearest: {system.instead}"
                    if system.instead
                    else "`tokbench list` shows what can be run",
                )
            entry = _find("tokenizer", name, self.tokenizers)
        if entry.broken:
            raise BrokenPluginError(f"tokenizer `{name}` ({entry.origin}) is broken: {entry.broken}")
        return replace(entry, source=self.sources.get(entry.name))

    def family(self, name: str) -> TokenizerEntry:
        """Look up a tokenizer whose adapter builds an architecture; ``-`` and ``_`` are the same.

        Raises:
            UnknownNameError: no adapter names this family in its header.
        """
        known = {
            family.replace("-", "_"): entry
            for entry in self.tokenizers.values()
            if not entry.broken
            for family in entry.families
        }
        return _find("family", name.replace("-", "_"), known)

    def task(self, name: str) -> Task:
        """Load a task by name.

        Raises:
            UnknownNameError: no such task.
            BrokenPluginError: its plugin cannot be imported.
        """
        return _find("task", name, self.tasks).load()

    def image_set(self, name: str) -> tuple[Card, Path]:
        """Load an image-set card by name, with the folder its relative paths start from.

        Raises:
            UnknownNameError: no such image set.
            BrokenPluginError: its card is not valid.
        """
        entry = _find("image set", name, self.image_sets)
        card = entry.load()
        return card, entry.card.parent if entry.card is not None else Path.cwd()

    def evaluator(self, name: str) -> Evaluator:
        """Load an evaluator's description (not its weights) by name.

        Raises:
            UnknownNameError: no such evaluator.
            BrokenPluginError: its plugin cannot be imported.
        """
        return _find("evaluator", name, self.evaluators).load()


def discover() -> Catalog:
    """Build the catalog of this installation.

    ``TOKBENCH_PLUGINS`` limits third-party plugins to a comma-separated list of distributions; empty means none.
    """
    points = _points()
    tokenizers = _unique([*_shipped_tokenizers(), *_installed_tokenizers(points["tokenizers"])])
    cards = [
        Entry[object](path.stem, f"datasets/{path.name}", card=path)
        for path in sorted(shipped("datasets").glob("*.toml"))
    ]
    found: dict[str, dict[str, Entry[object]]] = {group: {} for group in GROUPS}
    for entry in cards:
        found["image_sets"][entry.name] = entry
    for group in GROUPS[1:]:
        for point in points[group]:
            found[group].setdefault(point.name, Entry(point.name, _dist(point), point=point))
    return Catalog(
        tokenizers,
        found["tasks"],  # type: ignore[arg-type]
        found["image_sets"],  # type: ignore[arg-type]
        found["evaluators"],  # type: ignore[arg-type]
    )


def _find(kind: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name]


def _points() -> dict[str, list[EntryPoint]]:
    """Return the entry points of each group, by distribution and name."""
    allowed = os.environ.get("TOKBENCH_PLUGINS")
    names = None if allowed is None else {name.strip() for name in allowed.split(",")} | {"tokbench"}
    every = entry_points()  # looks at all distributions, so once for all groups
    return {
        group: sorted(
            (p for p in every.select(group=f"tokbench.{group}") if names is None or _dist_name(p) in names),
            key=lambda p: (_dist_name(p), p.name),
        )
        for group in GROUPS
    }


def _dist_name(point: EntryPoint) -> str:
    return _name_and_version(point.dist)[0]


def _dist(point: EntryPoint) -> str:
    return " ".join(filter(None, _name_and_version(point.dist)))


@lru_cache(maxsize=64)
def _name_and_version(dist: Distribution | None) -> tuple[str, str]:
    # Each look at a distribution's metadata parses the whole file, README included.
    return (dist.name, dist.version) if dist is not None else ("?", "")


def _reason(error: BaseException) -> str:
    return error.message if isinstance(error, TokbenchError) else f"{type(error).__name__}: {error}"


def _shipped_tokenizers() -> Iterator[TokenizerEntry]:
    for path in sorted(shipped("adapters").glob("*.py")):
        yield from _entries(path, f"adapters/{path.name}", "", path.stem)


def _installed_tokenizers(points: Iterable[EntryPoint]) -> Iterator[TokenizerEntry]:
    for point in points:
        path = _module_file(point)
        if path is None:
            reason = f"module `{point.module}` is not among the files of {_dist_name(point)}"
            yield TokenizerEntry(point.name, _dist(point), Path(), None, point.module, reason)
        else:
            yield from _entries(path, _dist(point), point.module, point.name)


def _entries(path: Path, origin: str, module: str, fallback: str) -> Iterator[TokenizerEntry]:
    try:
        header = read_header(path)
    except BrokenPluginError as error:
        yield TokenizerEntry(fallback, origin, path, None, module, error.message)
        return
    for variant in header.variants:
        yield TokenizerEntry(variant.spec.name, origin, path, variant, module, families=header.families)


def _unique(entries: Iterable[TokenizerEntry]) -> dict[str, TokenizerEntry]:
    """Index by name; a name that two places claim is broken until one of them is renamed."""
    found: dict[str, TokenizerEntry] = {}
    for entry in entries:
        other = found.get(entry.name)
        if other is None:
            found[entry.name] = entry
        else:
            reason = f"two places offer this name: {other.origin} and {entry.origin}"
            found[entry.name] = TokenizerEntry(entry.name, other.origin, other.path, None, broken=reason)
    return found


def _module_file(point: EntryPoint) -> Path | None:
    """Find the file of an entry point's module without importing the module or its parents."""
    parts = point.module.split(".")
    roots: list[Path] = []
    if point.dist is not None:
        roots.append(Path(str(point.dist.locate_file(parts[0]))))
    try:
        top = importlib.util.find_spec(parts[0])  # a top-level name is only located, never run
    except (ImportError, ValueError):
        top = None
    if top is not None:
        if len(parts) == 1 and top.origin is not None:
            return Path(top.origin)
        roots.extend(Path(place) for place in top.submodule_search_locations or ())
    for root in roots:
        base = root.joinpath(*parts[1:])
        for candidate in (base.with_name(base.name + ".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _from_file(path: Path, name: str) -> TokenizerEntry:
    if not path.is_file():
        raise UnknownNameError(
            "adapter file", str(path), [], hint="give the path of a Python file that has a tokbench header"
        )
    variants = {variant.spec.name: variant for variant in read_header(path).variants}
    if not name:
        if len(variants) > 1:
            raise UnknownNameError(
                "tokenizer in", str(path), [], hint=f"say which: {', '.join(f'{path}:{n}' for n in variants)}"
            )
        name = next(iter(variants))
    return TokenizerEntry(name, str(path), path.resolve(), _find(f"tokenizer in `{path}`:", name, variants))
