"""`evaluate`: the whole job, from names to results. The command line is a thin coat over this function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tokbench.errors import DataError, TokbenchError, UsageError

if TYPE_CHECKING:
    from tokbench.catalog import Catalog
    from tokbench.engine.run import Pass, Run
    from tokbench.images.imageset import ImageSet
    from tokbench.results.results import Results
    from tokbench.results.store import Store
    from tokbench.tasks.base import Task
    from tokbench.tokenizer import Tokenizer

DTYPES = ("float32", "float16", "bfloat16")
LAUNCHERS = ("local", "ray")
ENOUGH = 16


def evaluate(
    tokenizer: str | Tokenizer | Sequence[str | Tokenizer],
    images: str | Path | ImageSet | Sequence[str | Path | ImageSet] = "photos-mini",
    tasks: str | Task | Sequence[str | Task] = "reconstruction",
    *,
    out: str | Path | None = None,
    protocol: str | None = None,
    limit: int | None = None,
    batch_size: int | Literal["auto"] = ENOUGH,
    workers: int | None = None,
    launcher: str = "local",
    shard: tuple[int, int] | None = None,
    device: str = "auto",
    dtype: str = "float32",
    seed: int = 0,
    weights: Mapping[str, str | Path] | None = None,
    catalog: Catalog | None = None,
    profile: bool = False,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_images: Callable[[int], None] = lambda count: None,
) -> Results:
    """Evaluate tokenizers on image sets.

    Args:
        tokenizer: catalog name, ``path.py[:name]``, ``folder:DIR``, a tokenizer object, or several of these.
        images: image-set name, a folder, tar or Parquet file (local or any fsspec URL), an `ImageSet`, or several.
        tasks: task name or `Task`, or several.
        out: results folder, or any fsspec URL as a string; by default ``runs/<key>`` under the current folder. One that
            holds part of this very run is continued.
        protocol: replaces the tasks' own protocol, by preset name.
        limit: take only so many images of each set, evenly spaced.
        batch_size: images per call; changes speed and memory, never a number. ``auto`` grows it on an accelerator. A
            batch that does not fit into memory is halved in any case.
        workers: processes, by default 1; likewise. With ``launcher="ray"`` the most actors, by default as many as the
            cluster has devices.
        launcher: ``local``, or ``ray``: the cluster of ``RAY_ADDRESS``, or else one started on this machine.
        shard: ``(i, n)``: compute only every n-th shard, and summarise only when the others are there too.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        dtype: type of the tokenizers' weights: ``float32``, ``float16`` or ``bfloat16``.
        seed: seed of stochastic tokenizers and of bootstrap resampling.
        weights: ``{weights name: file}`` to use in place of fetched ones.
        catalog: where names are looked up; by default this installation.
        profile: write `profile.json` into the results folder: what every thread was doing, and when. Changes no result.
        on_start: called once with image reconstructions already done and in total.
        on_images: called with the number of image reconstructions just finished; on Ray also with 0, and with a
            negative number when those of a lost actor have to be made again.

    Returns:
        Results; tokenizers that broke are in `Results.failures`, with everything else complete.

    Raises:
        TokbenchError: see `tokbench.errors`; finished shards are kept and the same call continues after them.
    """
    from tokbench.engine.timeline import NO_TIMELINE, Timeline

    timeline = Timeline() if profile else None
    clock = timeline or NO_TIMELINE
    with clock.span("start/imports"):
        from tokbench.engine.batch_size import AUTO
        from tokbench.engine.manifest import open_manifest
        from tokbench.engine.workers import run_units
        from tokbench.results.finish import finish
        from tokbench.results.store import Store

    if dtype not in DTYPES:
        raise UsageError(f"dtype `{dtype}` is not one of {', '.join(DTYPES)}")
    if launcher not in LAUNCHERS:
        raise UsageError(f"launcher `{launcher}` is not one of {', '.join(LAUNCHERS)}")
    size = AUTO if batch_size == "auto" else int(batch_size)
    for name, number in (("batch size", size if batch_size != "auto" else None), ("workers", workers)):
        if number is not None and number < 1:
            raise UsageError(f"{name} {number} is below 1")
    with clock.span("start/plan"):
        run = make_run(
            tokenizer,
            images,
            tasks,
            protocol,
            limit,
            (device, dtype, seed, size, weights or {}),
            catalog,
        )
    store = Store(out if out is not None else default_folder(run))
    with clock.span("start/folder"):
        manifest = open_manifest(store, run)
        units = _mine(run, shard)
        done, total = _progress(run, store, units)
        on_start(done, total)
    try:
        failed: dict[str, TokbenchError] = {}
        # Where nothing is left to do, nothing that computes is imported either.
        if done < total and launcher == "ray":
            from tokbench.engine.ray_launcher import run_units_on_ray

            failed = run_units_on_ray(run, store.folder, units, workers, on_images)
        elif done < total:
            failed = run_units(run, store.folder, units, workers or 1, on_images, clock)
        with clock.span("finish"):
            return finish(
                store, manifest, {task.name: task for part in run.passes for task in part.tasks}, failed
            )
    finally:
        if timeline is not None:
            from tokbench.engine.trace import write_trace

            write_trace(store, timeline)


def make_run(
    tokenizer: Any,
    images: Any,
    tasks: Any,
    protocol: str | None,
    limit: int | None,
    settings: tuple[str, str, int, int, Mapping[str, str | Path]],
    catalog: Catalog | None,
) -> Run:
    """Resolve names into passes and jobs; nothing is computed and no adapter is imported.

    Raises:
        TokbenchError: a name is unknown, a set is empty, weights are absent.
    """
    from tokbench.catalog import discover
    from tokbench.engine.plan import make_plan
    from tokbench.engine.run import Run, Settings, make_job, make_pass
    from tokbench.engine.subject import make_subject
    from tokbench.protocol import get_protocol

    found = catalog or discover()
    device, dtype, seed, batch_size, weights = settings
    overrides = {name: _existing(name, path) for name, path in weights.items()}
    fixed = Settings(device, dtype, seed, batch_size, overrides)
    subjects = [make_subject(each, found) for each in _several(tokenizer)]
    names = [subject.spec.name for subject in subjects]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"tokenizer `{name}` is given twice")
    chosen = [found.task(task) if isinstance(task, str) else task for task in _several(tasks)]
    by_protocol: dict[Any, list[Task]] = {}
    for task in chosen:
        by_protocol.setdefault(get_protocol(protocol) if protocol else task.protocol, []).append(task)
    passes, jobs = [], []
    for source in _several(images):
        image_set = open_source(source, found)
        plan = make_plan(image_set, limit)
        for way, group in by_protocol.items():
            part, marks = make_pass(image_set, way, group, plan, found, overrides)
            passes.append(part)
            jobs += [make_job(subject, part, marks, fixed) for subject in subjects]
    return Run(fixed, tuple(passes), tuple(jobs))


def open_source(source: str | Path | ImageSet, catalog: Catalog) -> ImageSet:
    """Open an image set by catalog name, or whatever else is named by path or URL.

    Raises:
        UnknownNameError: neither a name nor a path.
        DataError: the path holds no readable image set.
    """
    from tokbench.images.imageset import ImageSet, open_card, open_images

    if isinstance(source, ImageSet):
        return source
    text = str(source)
    if text in catalog.image_sets:
        return open_card(*catalog.image_set(text))
    if isinstance(source, Path) or "/" in text or "\\" in text or Path(text).expanduser().exists():
        return open_images(text)
    catalog.image_set(text)  # raises, with a suggestion
    raise AssertionError(text)


def default_folder(run: Run) -> Path:
    """Name the results folder after what is in it, so that the same command finds it again."""
    first = (
        run.jobs[0].subject.spec.name if len({job.subject.spec.name for job in run.jobs}) == 1 else "several"
    )
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in first).strip("-.")[
        -40:
    ]
    return Path("runs") / f"{safe or 'run'}-{run.key[:8]}"


def _mine(run: Run, shard: tuple[int, int] | None) -> list[tuple[int, int]]:
    units = run.units()
    if shard is None:
        return units
    part, parts = shard
    if parts < 1 or not 0 <= part <= parts:
        raise UsageError(f"--shard {part}/{parts} does not exist", hint="use 1/n to n/n; 0/n means n/n")
    return units[part % parts :: parts]


def _progress(run: Run, store: Store, units: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Count image reconstructions already done, and all that this process is to see done."""
    done = total = 0
    for number, shard in units:
        part: Pass = run.passes[number]
        for job in run.jobs:
            if job.part is part:
                count = len(part.plan.indices(shard))
                total += count
                done += count if store.done(job.id, job.key, shard) else 0
    return done, total


def _several(value: Any) -> list[Any]:
    single = isinstance(value, str | Path) or not isinstance(value, Sequence)
    values = [value] if single else list(value)
    if not values:
        raise UsageError("an empty list of tokenizers, images or tasks leaves nothing to do")
    return values


def _existing(name: str, path: str | Path) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"--weights {name}={path}: no such file", hint="give the path of a weights file")
    return file
