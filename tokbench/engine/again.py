"""Images of a finished run, made once more to be looked at: a run keeps numbers, not pictures.

What comes back is what was measured, or an error that says why it cannot be: the image set, each image and the
tokenizer's code and weights are compared with what the run noted of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.errors import DataError, ImageError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tokbench.catalog import Catalog
    from tokbench.images.card import Item
    from tokbench.images.preprocess import Prepared


@dataclass(frozen=True)
class Seen:
    """An original as the metrics of a run saw it.

    Attributes:
        item: the image in its set.
        prepared: its pixels after the protocol.
        truth: what its card knows, boxes and points in pixels of ``prepared.reference``.
    """

    item: Item
    prepared: Prepared
    truth: Mapping[str, Any]


def originals_again(
    job: Mapping[str, Any],
    identity: Mapping[str, Any],
    wanted: Mapping[str, str],
    source: str,
    catalog: Catalog,
) -> Iterator[Seen | ImageError]:
    """Read images of a run again.

    Args:
        job: a job of its manifest.
        identity: what decided the job's numbers, from the same manifest.
        wanted: ``{image id: SHA-256 of its pixels}``, in the order to read; "" for a hash that is not known.
        source: image set by name or path.
        catalog: where names are looked up.

    Yields:
        One result for each wanted image.

    Raises:
        TokbenchError: the set is not here.
        DataError: it is not the one that was measured.
    """
    from tokbench.engine.evaluate import open_source
    from tokbench.images.decode import decode
    from tokbench.images.preprocess import prepare
    from tokbench.images.truth import place_truth
    from tokbench.protocol import get_protocol

    images = open_source(source, catalog)
    noted = identity.get("images", {})
    if noted.get("identity") != images.identity:
        raise DataError(f"image set `{job['dataset']}`: `{source}` holds other images than those measured")
    protocol = get_protocol(str(job["protocol"]))
    by_id = {item.id: item for item in images.items}
    items = [by_id[name] for name in wanted if name in by_id]
    for item, data in images.read(items):
        try:
            if isinstance(data, ImageError):
                raise data
            decoded = decode(data, item.file)
            if wanted[item.id] not in {"", decoded.digest.hex()}:
                raise ImageError(f"`{item.file}` has other pixels than those measured")
            prepared = prepare(decoded.pixels, protocol)
        except ImageError as error:
            yield error
            continue
        yield Seen(item, prepared, place_truth(item.truth, prepared))


def reconstruct_again(
    job: Mapping[str, Any],
    identity: Mapping[str, Any],
    seen: Iterable[Seen],
    tokenizer: str,
    catalog: Catalog,
    *,
    device: str = "auto",
    weights: Mapping[str, Path] | None = None,
) -> Iterator[tuple[Seen, npt.NDArray[Any]]]:
    """Reconstruct images of a run again, in the clean view, one at a time.

    Args:
        job: a job of its manifest.
        identity: what decided the job's numbers, from the same manifest.
        seen: originals of the job's image set.
        tokenizer: catalog name, ``path.py[:name]`` or ``folder:DIR``.
        catalog: where names are looked up.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        weights: ``{weights name: file}`` to use in place of fetched ones.

    Yields:
        Each original that has a reconstruction, with it, uint8 ``[h, w, 3]``.

    Raises:
        TokbenchError: the tokenizer is not here, cannot be built, or broke.
        SetupError: its code or weights are not those that were measured.
    """
    import torch

    from tokbench.engine.device import resolve_device
    from tokbench.engine.evaluate import DTYPES
    from tokbench.engine.subject import make_subject
    from tokbench.views import CLEAN

    subject = make_subject(tokenizer, catalog)
    overrides = dict(weights or {})
    noted = identity.get("tokenizer", {})
    now = subject.identity(overrides)
    changed: Sequence[str] = [name for name, value in now.items() if noted.get(name) != value]
    if changed:
        raise SetupError(
            f"tokenizer `{job['tokenizer']}`: its {' and '.join(changed)} changed since the run",
            hint="run it again to report what it is now",
        )
    dtype = noted.get("dtype", "")
    if dtype not in DTYPES:
        raise SetupError(
            f"tokenizer `{job['tokenizer']}`: the run names no type of its weights, but `{dtype}`"
        )
    reconstructor = subject.open(resolve_device(device), getattr(torch, dtype), overrides)
    for each in seen:
        for _, back in reconstructor([each.item], [each.prepared], [CLEAN], int(identity.get("seed", 0))):
            if back.kept:
                yield each, back.images[0].permute(1, 2, 0).cpu().numpy()
