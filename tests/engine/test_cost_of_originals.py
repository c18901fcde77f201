"""Evaluating k tokenizers looks at the originals once: the calls of a network that counts what it is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tokbench import evaluate
from tokbench.catalog import Entry, discover
from tokbench.metrics.base import ImageMetric
from tokbench.networks.base import Evaluator, Features
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import torch

    from tokbench.metrics.base import Batch

FIVE = ["jpeg-q10", "jpeg-q50", "jpeg-q95", "vq-patch-8", "rvq-patch-8"]
IMAGES, BATCH = 8, 4


class Counter:
    """A network that remembers the bytes of every image it was shown."""

    def __init__(self) -> None:
        self.shown: list[bytes] = []
        self.asked_once = 0

    def __call__(self, images: torch.Tensor) -> Features:
        self.shown += [image.numpy().tobytes() for image in images]
        return Features(pooled=images.float().mean((2, 3)))


@dataclass(frozen=True)
class Point:
    """What a catalog entry loads an evaluator from."""

    value: Evaluator

    def load(self) -> Evaluator:
        return self.value


def measure(batch: Batch) -> npt.NDArray[np.float64]:
    original, reconstruction = (features.pooled for features in batch.features("counter"))
    assert original is not None
    assert reconstruction is not None
    counter = batch.evaluator("counter")

    def count() -> None:
        counter.asked_once += 1

    batch.once("counter:count", count)
    return (original - reconstruction).abs().mean(1).double().numpy()


def again(batch: Batch) -> npt.NDArray[np.float64]:
    return measure(batch)


def metric(name: str, how: object) -> ImageMetric:
    return ImageMetric(name, name, "", False, how, "Counts.", network="counter")  # type: ignore[arg-type]


TASK = Task(
    name="count",
    version=1,
    title="two metrics that ask the same network",
    protocol=get_protocol("adm-64"),
    metrics=(metric("first", measure), metric("second", again)),
    headline=("first",),
    primary="first",
)


def run(names: list[str], images: Path, out: Path) -> Counter:
    counter = Counter()
    evaluator = Evaluator("counter", "", "", "", 3, (), (), "", lambda weights, device: counter)
    found = discover()
    entry: Entry[Evaluator] = Entry("counter", "tests", point=Point(evaluator))  # type: ignore[arg-type]
    catalog = replace(found, evaluators={**found.evaluators, "counter": entry})
    results = evaluate(
        names, images, TASK, out=out, limit=IMAGES, batch_size=BATCH, device="cpu", catalog=catalog
    )
    assert results.complete
    return counter


@pytest.fixture
def _nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKBENCH_FEATURES", "off")


@pytest.mark.usefixtures("_nothing_stored")
@pytest.mark.parametrize("names", [FIVE[:1], FIVE], ids=["one", "five"])
def test_originals_are_looked_at_once(names: list[str], images: Path, tmp_path: Path) -> None:
    counter = run(names, images, tmp_path / "out")
    assert len(counter.shown) == IMAGES * (1 + len(names))
    assert len(set(counter.shown)) == len(counter.shown)
    groups = counter.asked_once
    assert IMAGES // BATCH <= groups <= IMAGES
    assert run(FIVE[:1], images, tmp_path / "again").asked_once == groups  # whatever the number of tokenizers


def test_a_second_tokenizer_finds_the_features_of_the_originals_on_disk(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKBENCH_CACHE", str(tmp_path / "cache"))
    assert len(run(FIVE[:1], images, tmp_path / "first").shown) == 2 * IMAGES
    assert len(run(FIVE[1:2], images, tmp_path / "second").shown) == IMAGES


@pytest.mark.usefixtures("_nothing_stored")
def test_the_images_that_every_run_shares_are_the_originals(images: Path, tmp_path: Path) -> None:
    runs = [set(run([name], images, tmp_path / name).shown) for name in FIVE[:2]]
    together = run(FIVE[:2], images, tmp_path / "both").shown
    originals = runs[0] & runs[1]
    assert len(originals) == IMAGES
    assert sorted(together) == sorted(runs[0] | runs[1])
