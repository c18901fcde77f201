"""`verify`: runs the published protocols of a tokenizer's figures and gives a verdict on each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokbench.engine.evaluate import evaluate, open_source
from tokbench.errors import AdapterError, DataError
from tokbench.results.verdict import NOT_COMPARABLE, Verdict, judge, obstacle, protocol_of, same_set

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokbench.catalog import Catalog
    from tokbench.images.imageset import ImageSet
    from tokbench.published import Figure
    from tokbench.results.results import Results
    from tokbench.tasks.base import Task

ANY_IMAGES = "photos-mini"
"""Where figures that do not depend on images (parameters, tokens) are measured, on one image."""


def verify(
    tokenizer: str,
    figures: Sequence[Figure],
    *,
    images: str | Path | None = None,
    dataset: str | None = None,
    out: str | Path | None = None,
    limit: int | None = None,
    catalog: Catalog | None = None,
    **settings: Any,
) -> list[Verdict]:
    """Run the protocols that figures were published with, and compare.

    Args:
        tokenizer: catalog name or ``path.py[:name]``.
        figures: its published figures.
        images: images of one's own; by default every figure's own set where its card finds it.
        dataset: without `images`: only this set of the catalog; with it: the published set that the images are.
        out: results go into subfolders of this; by default ``runs/<key>``.
        limit: as in `evaluate`; no figure of a data set is comparable then.
        catalog: where names are looked up; by default this installation.
        settings: further arguments of `evaluate`.

    Returns:
        A verdict for each figure, in the order given.

    Raises:
        TokbenchError: as `evaluate`; a set that only a figure names and that is not on this machine is a reason
            instead.
    """
    from tokbench.catalog import discover

    found = catalog or discover()
    tasks = tasks_of(figures, found)
    given = None if images is None else open_source(images, found)
    verdicts: dict[str, Verdict] = {}
    groups: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        source, lacking = _source(figure, given, dataset, found)
        reason = obstacle(figure, tasks) or lacking
        if reason:
            verdicts[figure.place] = Verdict(figure, NOT_COMPARABLE, reason)
        else:
            groups.setdefault((source, protocol_of(figure, tasks[figure.task])), []).append(figure)
    for (source, protocol), group in groups.items():
        any_images = not group[0].dataset
        try:
            results = evaluate(
                tokenizer,
                given if given is not None and source == given.name else source,
                _narrowed(group, tasks),
                out=None if out is None else Path(out) / f"{source.removeprefix('images:')}-{protocol}",
                protocol=protocol,
                limit=1 if any_images else limit,
                catalog=found,
                **settings,
            )
        except DataError as error:
            if any_images or given is not None or dataset is not None:
                raise
            reason = f"{error.message}; {error.hint}" if error.hint else error.message
            verdicts |= {each.place: Verdict(each, NOT_COMPARABLE, reason) for each in group}
            continue
        name = results.manifest["jobs"][0]["tokenizer"]
        verdicts |= {each.figure.place: each for each in judge_all(group, results, name, dataset, tasks)}
    return [verdicts[figure.place] for figure in figures]


def judge_all(
    figures: Sequence[Figure],
    results: Results,
    tokenizer: str,
    dataset: str | None,
    tasks: Mapping[str, Task],
) -> list[Verdict]:
    """Compare the figures of one tokenizer with a run.

    Args:
        figures: the figures, in any state.
        results: the run.
        tokenizer: name of the tokenizer in the run.
        dataset: the published set that images given by path are; None to go by their folder's name.
        tasks: the tasks that the figures name.

    Raises:
        AdapterError: the tokenizer broke in that run.
    """
    if tokenizer in results.failures:
        raise AdapterError(f"tokenizer `{tokenizer}` has no results: {results.failures[tokenizer]}")
    verdicts = []
    for figure in figures:
        reason = obstacle(figure, tasks)
        verdicts.append(
            Verdict(figure, NOT_COMPARABLE, reason)
            if reason
            else judge(figure, results, tokenizer, dataset, tasks[figure.task])
        )
    return verdicts


def tasks_of(figures: Sequence[Figure], catalog: Catalog) -> dict[str, Task]:
    """Return the tasks that figures name, by name."""
    return {name: catalog.task(name) for name in {each.task for each in figures if each.task}}


def _source(figure: Figure, given: ImageSet | None, dataset: str | None, catalog: Catalog) -> tuple[str, str]:
    """Return the name of the images to measure a figure on, and the reason why there are none or ""."""
    if not figure.dataset:
        return ANY_IMAGES, ""
    if given is not None:
        name = dataset or given.name.removeprefix("images:")
        other = f"published on {figure.dataset}, the images given are {name}"
        return given.name, "" if same_set(name, figure.dataset) else other
    if dataset is not None:
        other = f"published on {figure.dataset}, {dataset} is asked for"
        return dataset, "" if same_set(dataset, figure.dataset) else other
    if figure.dataset in catalog.image_sets:
        return figure.dataset, ""
    return "", f"{figure.dataset} is no image set of tokbench: give its images with --images and --dataset"


def _narrowed(figures: Sequence[Figure], tasks: Mapping[str, Task]) -> list[Task]:
    """Return the tasks of figures with the metrics that are asked for and no others."""
    wanted: dict[str, set[str]] = {}
    for figure in figures:
        wanted.setdefault(figure.task, set()).add(figure.metric)
    found = []
    for name, metrics in wanted.items():
        task = tasks[name]
        if not task.means:
            kept = tuple(metric for metric in task.metrics if metric.name in metrics)
            names = tuple(metric.name for metric in kept)
            task = replace(task, metrics=kept, headline=names, primary=names[0])
        found.append(task)
    return found
