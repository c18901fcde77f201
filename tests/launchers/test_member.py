"""What an actor refuses before it works: a machine that would give other numbers, or none."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.catalog import Catalog, discover
from tokbench.engine.evaluate import make_run
from tokbench.engine.ray_member import Member, make_order
from tokbench.errors import DataError, IntegrityError, MissingPackageError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench.engine.ray_member import Order

cloudpickle = pytest.importorskip("ray").cloudpickle


@pytest.fixture
def order(images: Path, mortal: Path, tmp_path: Path) -> Order:
    """A run whose files the test may change: what the driver saw is not what the actor will see."""
    shutil.copytree(images, tmp_path / "images")
    shutil.copy(mortal, tmp_path / "mortal.py")
    return make_order(run_of([str(tmp_path / "mortal.py")], tmp_path / "images"), tmp_path / "o")


def run_of(tokenizer: Any, images: Path, catalog: Catalog | None = None) -> Any:
    settings = ("cpu", "float32", 0, 8, {})
    return make_run(tokenizer, images, "reconstruction", "adm-64", None, settings, catalog or discover())


def started(order: Order) -> Any:
    return Member().start(order.packed(cloudpickle), "cpu", 1)


def test_a_machine_like_the_drivers_is_accepted(order: Order) -> None:
    assert started(order) is None


def test_absent_images_are_not_taken_for_unreadable_ones(order: Order, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "images")
    error = started(order)
    assert isinstance(error, DataError)
    assert error.message == "image set `images:images`: image-000.png cannot be read"


def test_other_images_are_refused(order: Order, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "images" / "image-001.png", tmp_path / "images" / "image-000.png")
    error = started(order)
    assert isinstance(error, DataError)
    assert "image-000.png is another file than on the driver" in error.message


def test_an_image_that_the_driver_cannot_read_either_says_nothing(images: Path, tmp_path: Path) -> None:
    shutil.copytree(images, tmp_path / "images")
    run = run_of("identity", tmp_path / "images")
    (tmp_path / "images" / "image-000.png").unlink()
    order = make_order(run, tmp_path / "o")
    assert order.samples[0] is not None
    assert order.samples[0][0] == 1
    assert started(order) is None


def test_another_adapter_is_refused(order: Order, tmp_path: Path) -> None:
    with (tmp_path / "mortal.py").open("a") as file:
        file.write("# another revision\n")
    error = started(order)
    assert isinstance(error, IntegrityError)
    assert error.message == "tokenizer `mortal`: its adapter differs from the driver's"


def test_a_package_that_a_network_needs_is_missed_before_work_begins(order: Order) -> None:
    part = order.run.passes[0]
    needy = tuple(replace(each, packages=("torch_of_tomorrow",)) for each in part.evaluators)
    assert needy
    object.__setattr__(part, "evaluators", needy)
    error = started(order)
    assert isinstance(error, MissingPackageError)
    assert "needs the package `torch_of_tomorrow`" in error.message


def test_what_cannot_be_sent_is_refused(order: Order) -> None:
    locked = replace(order, cwd=__import__("threading").Lock())
    with pytest.raises(UsageError, match="cannot be sent to other machines"):
        locked.packed(cloudpickle)
