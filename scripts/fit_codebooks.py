"""Fit the codebooks of the patch vector quantisers of tokbench, bit for bit the same on every machine.

    python scripts/fit_codebooks.py --pool POOL [--out adapters/weights] [--seed 0] [--only vq-patch-8]

POOL is what ``scripts/photo_pool.py`` builds; only ``POOL/train`` is read, and it must be the photographs
that ``scripts/training_photos.json`` lists. Every photograph is reduced to three sizes, and patches are
taken from random places, half of them mirrored. Entries are found by k-means (k-means++ start, Lloyd's
iterations, entries without a patch restarted at the worst-served patches) in plain RGB: squared RGB error
is what PSNR measures, and an orthonormal colour rotation such as YCbCr-like ones would change neither
distances nor means.

Pixels, entries and sums are integers throughout, so the fit does not depend on threads, device or summation
order. The levels of the residual quantiser are fitted one after the other to what the earlier ones leave; its
first level is the codebook of ``vq-patch-8``. Prints the header lines (digest, size) that the adapters state.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor

from tokbench.nn.patches import nearest, reach

REPOSITORY = Path(__file__).resolve().parent.parent
TRAINING_LIST = REPOSITORY / "scripts" / "training_photos.json"

SHORT_SIDES = (256, 362, 512)  # pixels; evaluation shows whole photographs at 256, details at more
PATCHES = 400_000
START_PATCHES = 20_000  # among which k-means++ chooses its starting entries
ITERATIONS = 40
VOCAB = 1024
LEVELS = 4
CENTRE = 128  # pixel levels are stored as level - 128, which fits int8
ROWS = 16_384


def sample_patches(photos: list[Path], side: int, seed: int, count: int = PATCHES) -> Tensor:
    """Take `count` patches, equally from each photograph and size: int16 ``[count, 3 * side * side]``."""
    draw = np.random.Generator(np.random.PCG64(seed))
    share = -(-count // (len(photos) * len(SHORT_SIDES)))
    taken = []
    for photo in photos:
        with Image.open(photo) as image:
            original = image.convert("RGB")
        for short in SHORT_SIDES:
            scale = min(1.0, short / min(original.size))
            width, height = (max(side, round(edge * scale)) for edge in original.size)
            pixels = np.asarray(original.resize((width, height), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
            views = np.lib.stride_tricks.sliding_window_view(pixels, (side, side), axis=(1, 2))
            rows = draw.integers(0, height - side + 1, share)
            columns = draw.integers(0, width - side + 1, share)
            patches = views[:, rows, columns].transpose(1, 0, 2, 3)
            patches[::2] = patches[::2, ..., ::-1]
            taken.append(patches.reshape(share, -1).astype(np.int16) - CENTRE)
    return torch.from_numpy(np.concatenate(taken)[draw.permutation(len(taken) * share)[:count]])


def squared_errors(vectors: Tensor, entries: Tensor) -> Tensor:
    """Return the exact squared distance of each vector to its own entry, int64 ``[n]``."""
    return (vectors.to(torch.int32) - entries.to(torch.int32)).square().sum(dim=1)


def start(vectors: Tensor, vocab: int, draw: np.random.Generator) -> Tensor:
    """Choose starting entries by k-means++ (Arthur and Vassilvitskii, 2007) among `vectors`."""
    chosen = [int(draw.integers(len(vectors)))]
    wide = vectors.to(torch.float64)
    norms = vectors.to(torch.int32).square().sum(dim=1)
    distances = torch.full((len(vectors),), torch.iinfo(torch.int64).max, dtype=torch.int64)
    while len(chosen) < vocab:
        last = chosen[-1]
        products = (wide @ wide[last]).to(torch.int64)
        distances = torch.minimum(distances, norms + norms[last] - 2 * products)
        totals = distances.cumsum(dim=0)
        at = int(draw.integers(int(totals[-1])))
        chosen.append(int(torch.searchsorted(totals, at, right=True)))
    return vectors[chosen]


def fit(vectors: Tensor, vocab: int, seed: int) -> tuple[Tensor, Tensor]:
    """Run k-means.

    Args:
        vectors: int16 ``[n, dim]``.
        vocab: number of entries.
        seed: of the start.

    Returns:
        int8 entries ``[vocab, dim]`` and the id of each vector.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    entries = start(vectors[:START_PATCHES], vocab, draw).clamp(-128, 127)
    ids = nearest_chunked(vectors, entries)
    for iteration in range(ITERATIONS):
        counts = torch.bincount(ids, minlength=vocab)
        sums = torch.zeros(vocab, vectors.shape[1], dtype=torch.int32)
        for part, own in zip(torch.split(vectors, ROWS), torch.split(ids, ROWS), strict=True):
            sums.index_add_(0, own, part.to(torch.int32))
        many = counts.clamp(min=1)[:, None]
        means = torch.div(2 * sums + many, 2 * many, rounding_mode="floor")
        empty = (counts == 0).nonzero().flatten()
        errors = squared_errors(vectors, entries[ids])
        if len(empty):
            means[empty] = vectors[errors.sort(descending=True, stable=True).indices[: len(empty)]].to(
                means.dtype
            )
        moved = means.clamp(-128, 127).to(torch.int16)
        mse = float(errors.sum()) / vectors.numel()
        print(f"  {iteration}: mse {mse:.4f}, {len(empty)} empty", file=sys.stderr, flush=True)
        if torch.equal(moved, entries):
            break
        entries = moved
        ids = nearest_chunked(vectors, entries)
    return entries.to(torch.int8), ids


def nearest_chunked(vectors: Tensor, entries: Tensor) -> Tensor:
    """Find nearest entries, having checked that float32 is exact for these values."""
    largest = int(vectors.abs().max())
    if largest > reach(entries):
        raise SystemExit(f"values up to {largest} are beyond exact float32 arithmetic ({reach(entries):.0f})")
    return torch.cat([nearest(part, entries) for part in torch.split(vectors, ROWS)])


def write(path: Path, codebook: Tensor, seed: int) -> None:
    """Write one codebook with its provenance, and print what the adapter's header must state."""
    provenance = {
        "training_set": f"sha256:{hashlib.sha256(TRAINING_LIST.read_bytes()).hexdigest()}",
        "script": "scripts/fit_codebooks.py",
        "seed": seed,
        "patches": PATCHES,
        "short_sides": SHORT_SIDES,
        "unit": f"RGB level; first level minus {CENTRE}",
    }
    # One metadata entry: safetensors writes several in arbitrary order, and the digest must repeat.
    data = save({"codebook": codebook.contiguous()}, {"tokbench": json.dumps(provenance, sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f'{path.name}: sha256 = "{hashlib.sha256(data).hexdigest()}", size = {len(data)}', flush=True)


def main() -> None:
    """Fit what was asked for."""
    names = ("vq-patch-8", "vq-patch-4", "rvq-patch-8")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "adapters" / "weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=names, action="append", help="repeatable; default all")
    options = parser.parse_args()
    wanted = options.only or names

    photos = sorted((options.pool / "train").glob("*.png"))
    listed = sorted(entry["id"] for entry in json.loads(TRAINING_LIST.read_text()))
    if [photo.stem for photo in photos] != listed:
        raise SystemExit(
            f"{options.pool / 'train'} is not the set of {TRAINING_LIST.name}; run scripts/photo_pool.py"
        )

    if "vq-patch-4" in wanted:
        entries, _ = fit(sample_patches(photos, 4, options.seed), VOCAB, options.seed)
        write(options.out / "vq-patch-4.safetensors", entries, options.seed)
    if {"vq-patch-8", "rvq-patch-8"} & set(wanted):
        vectors = sample_patches(photos, 8, options.seed)
        entries, ids = fit(vectors, VOCAB, options.seed)
        write(options.out / "vq-patch-8.safetensors", entries, options.seed)
        levels = [entries]
        while "rvq-patch-8" in wanted and len(levels) < LEVELS:
            vectors = vectors - levels[-1].to(torch.int16)[ids]
            entries, ids = fit(vectors, VOCAB, options.seed + len(levels))
            levels.append(entries)
        if "rvq-patch-8" in wanted:
            write(options.out / "rvq-patch-8.safetensors", torch.stack(levels), options.seed)


if __name__ == "__main__":
    main()
