"""From what a user names, folders and tokenizers, to sides that can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tokbench.errors import IntegrityError, UsageError
from tokbench.results.results import Results
from tokbench.results.side import Side, of_run, only_tokenizer, tokenizers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokbench.catalog import Catalog
    from tokbench.tasks.base import Task


def open_sides(
    sources: Sequence[Results | Path | str],
    *,
    run: Results | Path | str | None = None,
    catalog: Catalog | None = None,
) -> list[Side]:
    """Open what was named, at least two sides; the first is the reference.

    Args:
        sources: runs of one tokenizer, ``FOLDER:TOKENIZER``, or with `run` names of its tokenizers; a single run of
            several tokenizers stands for all of them.
        run: the run that names refer to.
        catalog: where the tasks are looked up; by default this installation.

    Raises:
        UsageError: see `tokbench.results.compare.compare`.
        IntegrityError: a results folder is damaged, or was measured with another version of a task.
    """
    opened: dict[Path, Results] = {}
    if run is not None:
        results = _results(run, opened)
        named = [(results, str(source)) for source in sources]
    elif len(sources) == 1:
        results, tokenizer = _parse(sources[0], opened)
        named = [(results, name) for name in ([tokenizer] if tokenizer else tokenizers(results))]
    else:
        parsed = [_parse(source, opened) for source in sources]
        named = [(results, tokenizer or only_tokenizer(results)) for results, tokenizer in parsed]
    if len(named) < 2:
        raise UsageError(
            "one tokenizer alone leaves nothing to compare",
            hint="name two: folders, FOLDER:TOKENIZER, or tokenizers of one folder with --run FOLDER",
        )
    for position, each in enumerate(named):
        if each in named[:position]:
            raise UsageError(f"`{each[1]}` of `{each[0].folder}` is named twice")
    tasks = {results.folder: tasks_of(results, catalog) for results, _ in named}
    labels = _labels(named)
    return [
        of_run(results, tokenizer, tasks[results.folder], label)
        for (results, tokenizer), label in zip(named, labels, strict=True)
    ]


def tasks_of(results: Results, catalog: Catalog | None = None) -> Mapping[str, Task]:
    """Look up the tasks of a run.

    Raises:
        UnknownNameError: a task is not installed.
        IntegrityError: a task's metrics were defined otherwise when the run was made.
    """
    from tokbench.catalog import discover

    found = catalog or discover()
    tasks = {name: found.task(name) for job in results.manifest["jobs"] for name in job["tasks"]}
    for identity in results.manifest["identity"].values():
        for name, version in identity["tasks"].items():
            if tasks[name].version != version:
                here = tasks[name].version
                raise IntegrityError(
                    f"`{results.folder}` holds version {version} of task {name}, this tokbench has {here}",
                    hint="run it again with this version",
                )
    return tasks


def _parse(source: Results | Path | str, opened: dict[Path, Results]) -> tuple[Results, str]:
    """Return a run and the tokenizer named after a colon, or ""."""
    if isinstance(source, Results) or Path(source).expanduser().is_dir():
        return _results(source, opened), ""
    text = str(source)
    for position in (at for at, letter in enumerate(text) if letter == ":"):
        folder, tokenizer = text[:position], text[position + 1 :]
        if Path(folder).expanduser().is_dir() and tokenizer:
            return _results(folder, opened), tokenizer
    raise UsageError(
        f"`{text}` is no results folder",
        hint="give FOLDER, FOLDER:TOKENIZER, or names of tokenizers with --run FOLDER",
    )


def _results(source: Results | Path | str, opened: dict[Path, Results]) -> Results:
    if isinstance(source, Results):
        return source
    folder = Path(source).expanduser()
    if folder not in opened:
        opened[folder] = Results.load(folder)
    return opened[folder]


def _labels(named: Sequence[tuple[Results, str]]) -> list[str]:
    """Call a tokenizer by its name; one that is there twice by its folder too."""
    names = [name for _, name in named]
    short = [f"{name} ({results.name})" for results, name in named]
    whole = [f"{name} ({results.folder})" for results, name in named]
    return [
        name if names.count(name) == 1 else short[at] if short.count(short[at]) == 1 else whole[at]
        for at, name in enumerate(names)
    ]
