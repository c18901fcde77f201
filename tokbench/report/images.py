"""Pictures of a report: chosen images, reconstructed once more and written into the file as data URIs.

A picture up to 512 pixels a side is kept without loss (WebP), a larger one as WebP of quality 95, and the page says so.
Pictures stop before they exceed `BUDGET`. Whatever cannot be shown leaves a sentence that says why; the report is
written all the same.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from tokbench.errors import ImageError, TokbenchError, UsageError
from tokbench.report.choose import choose
from tokbench.report.marks import marks_of, scores_of
from tokbench.report.spread import values_of

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tokbench.catalog import Catalog
    from tokbench.engine.again import Seen
    from tokbench.report.data import Assembly, Source

LOSSLESS_SIDE = 512
QUALITY = 95
BUDGET = 32 << 20
"""Bytes of pictures in one report, in base64."""


def add_images(
    assembly: Assembly,
    count: int,
    catalog: Catalog,
    *,
    image_sets: Mapping[str, str] | None = None,
    tokenizers: Mapping[str, str] | None = None,
    device: str = "auto",
    weights: Mapping[str, Path] | None = None,
    budget: int = BUDGET,
) -> None:
    """Add the pictures of `count` images of each image set to a report.

    Args:
        assembly: the report; its looks get ``images`` and notes where pictures are missing.
        count: images of each set; 0 adds nothing.
        catalog: where names are looked up.
        image_sets: ``{name in the run: path}`` of sets that are not in the catalog.
        tokenizers: ``{name in the run: path.py[:name]}`` of tokenizers that are not in the catalog.
        device: where tokenizers are built.
        weights: ``{weights name: file}``.
        budget: bytes of pictures in all; whole images are left out once it is spent.
    """
    document = assembly.document
    document["images"], document["image_notes"] = [], []
    found: list[list[dict[str, Any]]] = []
    for number in range(len(document["looks"]) if count else 0):
        sources = [source for source in assembly.sources if source.look == number]
        notes: list[str] = []
        found.append(
            _of_look(
                assembly,
                sources,
                count,
                catalog,
                image_sets or {},
                tokenizers or {},
                device,
                weights or {},
                notes,
            )
        )
        document["image_notes"] += [{"look": number, "text": note} for note in dict.fromkeys(notes)]
    for number, (chosen, kept) in enumerate(zip(found, trimmed(found, budget), strict=True)):
        document["images"] += [image | {"look": number} for image in kept]
        if len(kept) < len(chosen):
            text = f"{len(chosen) - len(kept)} of {len(chosen)} chosen images are left out to keep this file small"
            limit = f"a report holds {budget >> 20} MiB of pictures"
            document["image_notes"].append({"look": number, "text": f"{text}: {limit}"})


def trimmed(found: Sequence[Sequence[dict[str, Any]]], budget: int) -> list[list[dict[str, Any]]]:
    """Leave out the last image of the largest set until all fit.

    Args:
        found: images by set, each with ``original`` and ``of``, its data URIs.
        budget: characters of data URIs in all.
    """
    sizes = [
        [len(each["original"]) + sum(map(len, each["of"].values())) for each in images] for images in found
    ]
    while sum(map(sum, sizes)) > budget:
        max(sizes, key=sum).pop()
    return [list(images[: len(kept)]) for images, kept in zip(found, sizes, strict=True)]


def _of_look(
    assembly: Assembly,
    sources: Sequence[Source],
    count: int,
    catalog: Catalog,
    image_sets: Mapping[str, str],
    tokenizers: Mapping[str, str],
    device: str,
    weights: Mapping[str, Path],
    notes: list[str],
) -> list[dict[str, Any]]:
    """Return the pictures of one image set by one protocol; what went wrong goes to `notes`."""
    from tokbench.engine.again import originals_again, reconstruct_again

    read = {source.tokenizer: found for source in sources if (found := values_of(source)) is not None}
    if not read:
        notes.append("no pictures: the results folder holds no per-image values")
        return []
    names = {t: assembly.document["tokenizers"][t]["name"] for t in read}
    values, directions = _by_metric(assembly, sources[0].look, {t: found[1] for t, found in read.items()})
    for source in sources:
        if source.tokenizer in read:
            for name, column in scores_of(assembly, source).items():
                values.setdefault(name, {})[source.tokenizer] = column
                directions[name] = True
    ids = next(iter(read.values()))[0]
    why = choose({m: {names[t]: v for t, v in of.items()} for m, of in values.items()}, directions, count)
    first = next(source for source in sources if source.tokenizer in read)
    dataset = str(first.job["dataset"])
    try:
        seen: list[Seen] = []
        digests = _digests(first)
        wanted = {ids[place]: digests[place] for place in why}
        for each in originals_again(
            first.job,
            first.identity,
            wanted,
            _place("--image-set", dataset, image_sets, catalog.image_sets),
            catalog,
        ):
            if isinstance(each, ImageError):
                notes.append(f"an image cannot be shown: {each.message}")
            else:
                seen.append(each)
    except TokbenchError as error:
        notes.append(f"no pictures: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        return []
    places = {name: place for place, name in enumerate(ids)}
    images: dict[str, dict[str, Any]] = {
        each.item.id: {
            "id": str(each.item.id),
            "why": why[places[each.item.id]],
            "width": int(each.prepared.reference.shape[1]),
            "height": int(each.prepared.reference.shape[0]),
            "lossless": max(each.prepared.reference.shape[:2]) <= LOSSLESS_SIDE,
            "original": data_uri(each.prepared.reference),
            "of": {},
            "values": {
                metric: {t: float(f"{column[places[each.item.id]]:.5g}") for t, column in of.items()}
                for metric, of in values.items()
            },
        }
        for each in seen
    }
    for source in sources:
        name = str(source.job["tokenizer"])
        try:
            for each, pixels in reconstruct_again(
                source.job,
                source.identity,
                seen,
                _place("--tokenizer", name, tokenizers, catalog.tokenizers),
                catalog,
                device=device,
                weights=weights,
            ):
                images[each.item.id]["of"][source.tokenizer] = data_uri(pixels)
        except TokbenchError as error:
            notes.append(
                f"no pictures of {name}: {error.message}" + (f" ({error.hint})" if error.hint else "")
            )
    for each in seen:
        images[each.item.id]["marks"] = marks_of(assembly, sources, each, places[each.item.id])
    return [images[each.item.id] for each in seen]


def _place(option: str, name: str, given: Mapping[str, str], installed: Container[str]) -> str:
    """Return where something of a run is found.

    A manifest may be a stranger's: the names in it stand for what is installed here, never for paths.

    Raises:
        UsageError: it is neither installed nor given.
    """
    if name not in given and name not in installed:
        raise UsageError(f"`{name}` is not installed here", hint=f"say with {option} where it is")
    return given.get(name, name)


def _by_metric(
    assembly: Assembly, look: int, read: Mapping[int, Mapping[str, npt.NDArray[Any]]]
) -> tuple[dict[str, dict[int, npt.NDArray[Any]]], dict[str, bool | None]]:
    """Return per-image values by metric, headline metrics first, and the metrics' directions."""
    boards = [board for board in assembly.document["boards"] if board["look"] == look]
    directions = {metric["name"]: metric["higher"] for board in boards for metric in board["metrics"]}
    order = list(dict.fromkeys([name for board in boards for name in board["headline"]] + list(directions)))
    found = {
        metric: {t: each[metric] for t, each in read.items() if metric in each}
        for metric in order
        if directions[metric] is not None
    }
    return {metric: of for metric, of in found.items() if of}, directions


def _digests(source: Source) -> list[str]:
    from tokbench.results.store import Store
    from tokbench.results.summary import read_table

    digests: list[str] = read_table(Store(source.results.folder), source.job)["pixels_sha256"].to_pylist()
    return digests


def data_uri(pixels: npt.NDArray[Any]) -> str:
    """Encode an image, uint8 ``[h, w, 3]``, as a WebP data URI; without loss up to `LOSSLESS_SIDE` pixels a side."""
    from PIL import Image

    buffer = io.BytesIO()
    lossless = max(pixels.shape[:2]) <= LOSSLESS_SIDE
    Image.fromarray(pixels).save(
        buffer, "WEBP", lossless=lossless, quality=50 if lossless else QUALITY, method=2, exact=True
    )
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
