"""`tokbench run`: evaluate tokenizers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokbench.cli import complete

if TYPE_CHECKING:
    from tokbench.catalog import Catalog
    from tokbench.results.results import Results

BROKEN_IMAGES = 4
BROKEN_TOKENIZER = 5


def run(
    tokenizer: Annotated[
        list[str] | None,
        typer.Option(
            "--tokenizer",
            "-t",
            help="Name, FILE.py[:NAME], or folder:DIR. Repeatable.",
            autocompletion=complete.tokenizers,
        ),
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--images", help="Folder, tar, Parquet or card (.toml) of your own, or a URL. Repeatable."
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset", "-d", help="Image set by name. Repeatable.", autocompletion=complete.image_sets
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="Task by name. Repeatable.", autocompletion=complete.tasks),
    ] = None,
    suite: Annotated[
        str, typer.Option("--suite", help="Supplies what the options above leave out.")
    ] = "embedded",
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            help="Replaces the tasks' own, e.g. native, bicubic-256, tokbench-512.",
            autocompletion=complete.protocols,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Only so many images of each set, evenly spaced.")
    ] = None,
    batch_size: Annotated[
        str, typer.Option("--batch-size", help="Images per call; auto grows it on a GPU.")
    ] = "16",
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Processes; by default one per GPU, or one per eight CPUs."),
    ] = None,
    launcher: Annotated[
        str, typer.Option("--launcher", help="local, or ray: one actor per device of a Ray cluster.")
    ] = "local",
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard", metavar="I/N", help="Only part I of N; auto asks torchrun or Slurm which one this is."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    dtype: Annotated[
        str, typer.Option("--dtype", help="float32, float16 or bfloat16, of the tokenizer.")
    ] = "float32",
    seed: Annotated[int, typer.Option("--seed", help="Of stochastic tokenizers and of resampling.")] = 0,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Results folder or URL; by default runs/NAME-KEY.")
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option("--weights", metavar="NAME=PATH", help="Use this file. Repeatable.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="NAME=DIR", help="A checkout of its repository. Repeatable."),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show where the time went; profile.html draws it.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Evaluate tokenizers on image sets.

    Without options: the embedded tokenizers on the embedded image sets. The same command continues after an interrupt.
    """
    from tokbench.catalog import discover
    from tokbench.cli.interrupts import interrupts
    from tokbench.cli.options import go_offline, parse_batch_size, parse_weights, with_sources
    from tokbench.cli.output import print_json, print_note
    from tokbench.cli.parts import AUTO, own_device, parse_shard
    from tokbench.cli.profile import show_profile
    from tokbench.cli.progress import progress
    from tokbench.cli.render import show_broken, show_failures, show_results
    from tokbench.engine.evaluate import evaluate
    from tokbench.results.finish import UnfinishedError
    from tokbench.suite import load_suite

    part = parse_shard(shard, os.environ)
    if shard == AUTO:
        device = own_device(device, os.environ)
    chosen = load_suite(suite)
    if offline:
        go_offline(images or [])
    catalog = with_sources(discover(), source, tokenizer or chosen.tokenizers)
    with interrupts() as noted:
        try:
            with progress(quiet=json_) as (start, step):

                def on_start(done: int, total: int) -> None:
                    noted.check()
                    start(done, total)

                def on_images(count: int) -> None:
                    step(count)
                    noted.check()

                results = evaluate(
                    tokenizer or list(chosen.tokenizers),
                    [*(images or []), *(dataset or [])] or list(chosen.datasets),
                    task or list(chosen.tasks),
                    out=out,
                    protocol=protocol,
                    limit=limit,
                    batch_size=parse_batch_size(batch_size),
                    workers=workers or (default_workers(device) if launcher == "local" else None),
                    launcher=launcher,
                    shard=part,
                    device=device,
                    dtype=dtype,
                    seed=seed,
                    weights=parse_weights(weights),
                    catalog=catalog,
                    profile=profile,
                    on_start=on_start,
                    on_images=on_images,
                )
        except KeyboardInterrupt:
            print_note("interrupted: finished shards are kept; run the same command again to go on")
            raise typer.Exit(noted.exit_code) from None
        except UnfinishedError as error:
            if part is None:
                raise
            print_note(f"part {part[0]}/{part[1]} is done. {error.hint}")
            show_broken(error.failures)
            raise typer.Exit(BROKEN_TOKENIZER if error.failures else 0) from None
    if json_:
        print_json(results.summary())
    else:
        show_results(results, _headlines(results, catalog))
    show_failures(results)
    if profile:
        show_profile(results.folder)
    if results.failures:
        raise typer.Exit(BROKEN_TOKENIZER)
    if results.unreadable:
        raise typer.Exit(BROKEN_IMAGES)


def default_workers(device: str) -> int:
    """Return the number of processes for a device name: one for each GPU, or one for eight CPUs.

    A process measures in as many lanes as it has CPUs; beyond eight they wait for each other's Python. GPUs are counted
    without torch, which takes seconds to import and is not needed where nothing is left to compute.
    """
    if device in {"auto", "cuda"}:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        named = [name for name in (visible or "").split(",") if name.strip() not in {"", "-1"}]
        gpus = len(list(Path("/dev").glob("nvidia[0-9]*"))) if visible is None else len(named)
        if gpus:
            return gpus
    return max(1, (os.cpu_count() or 1) // 8) if device in {"auto", "cpu"} else 1


def _headlines(results: Results, catalog: Catalog) -> dict[str, tuple[str, ...]]:
    names = {row.task for row in results.rows}
    return {name: catalog.task(name).headline for name in names}
