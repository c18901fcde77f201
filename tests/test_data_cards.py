"""The script that writes data cards, and that the committed cards fit their sets and hold measured scores."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tokbench.images.card import load_card

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
DATASETS = ROOT / "datasets"
SETS = ("photos-mini", "text-mini", "faces-mini", "detail-mini")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("data_cards", ROOT / "scripts" / "data_cards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["data_cards"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", SETS)
def test_the_committed_page_fits_the_card(script: ModuleType, name: str) -> None:
    assert script.problems(name) == []


@pytest.mark.parametrize("name", SETS)
def test_the_committed_page_has_scores_of_identity_jpeg_and_a_learned_tokenizer(name: str) -> None:
    page = (DATASETS / "cards" / f"{name}.md").read_text(encoding="utf-8")
    below = page.partition("## Scores\n")[2]
    assert re.search(rf"^    tokbench run .*-d {name}", below, re.MULTILINE)
    for tokenizer in ("identity", "jpeg-q50", "jpeg-q10", "vq-patch-8", "vq-conv-f8"):
        assert f"| `{tokenizer}` | " in below
    # PSNR of what loses nothing is infinite, and of nothing else.
    assert {line.split("|")[1].strip() for line in below.splitlines() if "∞" in line} == {"`identity`"}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The smallest set with its card and its page."""
    (tmp_path / "cards").mkdir()
    shutil.copy(DATASETS / "cards" / "faces-mini.md", tmp_path / "cards")
    shutil.copy(DATASETS / "faces-mini.toml", tmp_path)
    shutil.copytree(DATASETS / "faces-mini", tmp_path / "faces-mini")
    return tmp_path


def test_a_page_that_does_not_fit_is_found(script: ModuleType, copied: Path) -> None:
    assert script.problems("faces-mini", copied) == []
    card = copied / "faces-mini.toml"
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace('purpose = "', 'purpose = "Not '), encoding="utf-8")
    assert script.problems("faces-mini", copied) == [
        "faces-mini: the facts on the data card are not those of the card"
    ]
    card.write_text(re.sub(r'^digest = "sha256:.{4}', 'digest = "sha256:0000', text, flags=re.M), "utf-8")
    assert len(script.problems("faces-mini", copied)) == 2
    (copied / "cards" / "faces-mini.md").unlink()
    assert script.problems("faces-mini", copied) == ["faces-mini: there is no data card"]


def run_of(
    digest: str, images: int, *, complete: bool = True, dataset: str = "faces-mini"
) -> SimpleNamespace:
    jobs = [{"dataset": dataset, "dataset_digest": digest, "images": images}]
    return SimpleNamespace(folder="run", complete=complete, rows=(), manifest={"jobs": jobs})


def test_scores_of_other_images_are_refused(script: ModuleType) -> None:
    card = load_card(DATASETS / "faces-mini.toml")
    assert script.measured(card, run_of(card.digest, card.count)) == []
    for run, why in (
        (run_of("sha256:0", card.count), "as it is now"),
        (run_of(card.digest, card.count - 1), "as it is now"),
        (run_of(card.digest, card.count, complete=False), "not complete"),
        (run_of(card.digest, card.count, dataset="text-mini"), "nothing was measured"),
    ):
        with pytest.raises(ValueError, match=why):
            script.measured(card, run)


def test_bins_are_half_open_and_empty_ones_stay(script: ModuleType) -> None:
    assert script.binned([0.1, 0.2, 0.29, 1.0], [0.1, 0.2, 0.3, 1.0]) == {
        "0.1 to 0.2": 1,
        "0.2 to 0.3": 2,
        "0.3 to 1": 0,
        "from 1": 1,
    }
    assert script.binned([0.05], [0.1, 0.2]) == {"below 0.1": 1, "0.1 to 0.2": 0}
    lines = script.histogram("size", {"a": 1, "b": 0, "c": 400}).splitlines()
    assert lines[2:] == ["| a | 1 | █ |", "| b | 0 |  |", f"| c | 400 | {'█' * 40} |"]


def test_the_command_leaves_out_where_results_went(script: ModuleType) -> None:
    words = [
        "tokbench",
        "run",
        "-d",
        "text-mini",
        "--workers",
        "1",
        "--out",
        "a folder",
        "--task",
        "text-words",
    ]
    run = SimpleNamespace(manifest={"command": words})
    assert script.command(run) == "    tokbench run -d text-mini --task text-words"


def test_the_scale_of_a_crop_is_read_from_its_credit(script: ModuleType) -> None:
    card = load_card(DATASETS / "faces-mini.toml")
    credits = (
        "A, by B; cropped, reduced to 0.25 of its size, on the colour of its paper",
        "A, by B; cropped, not resized",
        "A, by B; cropped",
        "A, by B; cropped, enlarged to 1.02 of its size",
        "A, by B; cropped, reduced, blurred, text drawn over it",
        "tokbench contributors",
    )
    items = tuple(replace(card.items[0], credit=credit) for credit in credits)
    assert script.scales(replace(card, items=items)) == [0.25, 1.0, 1.0, 1.02]
