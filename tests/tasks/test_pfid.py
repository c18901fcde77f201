"""pFID from end to end: cells, means, reasons, one encode for all."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from tokbench import Results, evaluate
from tokbench.catalog import discover
from tokbench.perturb.sizes import Nearest
from tokbench.perturb.views import grid
from tokbench.tasks.pfid import PFID, PFID_QUICK, pfid_task
from tokbench.tokenizer import Codes, TokenSpec
from tokbench.views import CLEAN

if TYPE_CHECKING:
    from pathlib import Path

RATES = (0.2, 0.5, 0.9)
CELLS = [f"a={rate} d=200" for rate in RATES]
LIMIT = 6


class Greys:
    """Blocks of 64×64 pixels as one of `vocab` greys; counts its calls."""

    def __init__(self, vocab: int = 256) -> None:
        self.spec = TokenSpec("greys", "discrete", vocab=vocab, stride=64, capabilities=("codebook",))
        self.encoded: list[int] = []

    def encode(self, images: torch.Tensor) -> Codes:
        self.encoded.append(len(images))
        means = torch.nn.functional.avg_pool2d(images, 64).mean(dim=1)
        return Codes(ids=(means * (self.spec.vocab - 1)).round().long())

    def decode(self, codes: Codes) -> torch.Tensor:
        blocks = self.codebook()[codes.ids][..., 0]
        return blocks.repeat_interleave(64, 1).repeat_interleave(64, 2)[:, None].expand(-1, 3, -1, -1)

    def codebook(self) -> torch.Tensor:
        return torch.linspace(0, 1, self.spec.vocab)[:, None]


def of(results: Results, tokenizer: str, metric: str) -> dict:
    return {row.view: row for row in results.rows if (row.tokenizer, row.metric) == (tokenizer, metric)}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    task = pfid_task("rates", "", (CLEAN, *grid(RATES, (Nearest(200),))))
    names = ["vq-patch-8", "rvq-patch-8", "jpeg-q50"]
    out = tmp_path_factory.mktemp("pfid") / "out"
    return evaluate(names, "photos-mini", task, limit=LIMIT, out=out)


def test_damage_grows_with_the_rate(results: Results) -> None:
    for name in ("vq-patch-8", "rvq-patch-8"):
        distance = [of(results, name, "fd_lite0")[view].value for view in ("", *CELLS)]
        assert distance == sorted(distance)
        assert distance[-1] > 1.2 * distance[0]
        quality = [of(results, name, "psnr")[view].value for view in ("", *CELLS)]
        assert quality == sorted(quality, reverse=True)


def test_the_share_of_changed_positions_is_reported(results: Results) -> None:
    changed = of(results, "vq-patch-8", "tokens_changed")
    assert changed[""].value == 0
    deep = of(results, "rvq-patch-8", "tokens_changed")
    for view, alpha in zip(CELLS, RATES, strict=True):
        share = alpha * (1 - 1 / 200)
        any_level = 1 - (1 - share) ** 4  # a position has four ids
        for row, expected in ((changed[view], share), (deep[view], any_level)):
            # Five standard deviations over 6 × 1024 positions.
            assert abs(row.value - expected) <= 5 * math.sqrt(expected * (1 - expected) / (LIMIT * 1024))
            assert row.n == LIMIT


def test_every_cell_has_a_row_and_the_mean_one_with_an_interval(results: Results) -> None:
    rows = of(results, "vq-patch-8", "fd_lite0")
    assert list(rows) == ["", *CELLS]
    (mean,) = of(results, "vq-patch-8", "pfd_lite0").values()
    assert mean.value == pytest.approx(statistics.fmean(row.value for row in rows.values()), rel=1e-12)
    assert mean.ci_low < mean.value < mean.ci_high
    assert mean.ci_method == "jackknife-20"
    assert not mean.reliable  # six images
    assert results.value("vq-patch-8", "pfd_lite0") == mean.value


def test_without_inception_there_is_no_pfid(results: Results) -> None:
    (mean,) = of(results, "vq-patch-8", "pfid").values()
    assert math.isnan(mean.value)
    assert mean.status == "unsupported"
    assert "weights of inception not found" in mean.reason


def test_a_codec_has_no_codebook(results: Results) -> None:
    rows = of(results, "jpeg-q50", "fd_lite0")
    assert not math.isnan(rows[""].value)  # the clean view needs none
    assert {rows[view].reason for view in CELLS} == {"needs a codebook"}
    (mean,) = of(results, "jpeg-q50", "pfd_lite0").values()
    assert math.isnan(mean.value)
    assert mean.reason == "needs a codebook"


@pytest.fixture(scope="module")
def greys(tmp_path_factory: pytest.TempPathFactory, images: Path) -> tuple[list[Greys], list[Results]]:
    """One tokenizer twice, in batches of 3 and of 1."""
    makers, found = [], []
    for size in (3, 1):
        makers.append(Greys())
        out = tmp_path_factory.mktemp("greys") / "out"
        found.append(evaluate(makers[-1], images, PFID_QUICK, limit=3, batch_size=size, out=out))
    return makers, found


def test_one_encode_serves_all_cells(greys: tuple[list[Greys], list[Results]]) -> None:
    probe = [1, 1, 1]  # twice the same image, and another between the decodes
    assert [maker.encoded for maker in greys[0]] == [[*probe, 3], [*probe, 1, 1, 1]]


def test_batch_size_does_not_change_a_number(greys: tuple[list[Greys], list[Results]]) -> None:
    first, second = ([row.to_dict() for row in found.rows if row.status == "ok"] for found in greys[1])
    assert first == second
    assert {row["metric"] for row in first} == {"fd_lite0", "psnr", "tokens_changed", "pfd_lite0"}


def test_a_cell_larger_than_the_codebook_is_unsupported_and_the_mean_blank(
    tmp_path: Path, images: Path
) -> None:
    task = pfid_task("both", "", grid((0.5,), (Nearest(50), Nearest(100))))
    found = evaluate(Greys(64), images, task, limit=3, out=tmp_path / "out")
    rows = of(found, "greys", "fd_lite0")
    assert not math.isnan(rows["a=0.5 d=50"].value)
    assert rows["a=0.5 d=100"].reason == "delta 100 exceeds the 64 entries of the codebook"
    (mean,) = of(found, "greys", "pfd_lite0").values()
    assert math.isnan(mean.value)
    assert mean.reason == rows["a=0.5 d=100"].reason


class Latents:
    """Blocks of 64×64 pixels as three floats."""

    spec = TokenSpec("latents", "continuous", stride=64)

    def encode(self, images: torch.Tensor) -> Codes:
        return Codes(latents=torch.nn.functional.avg_pool2d(images, 64))

    def decode(self, codes: Codes) -> torch.Tensor:
        return codes.latents.repeat_interleave(64, 2).repeat_interleave(64, 3).clamp(0, 1)


def test_continuous_latents_have_noise_instead(tmp_path: Path, images: Path) -> None:
    found = evaluate(Latents(), images, ["pfid-noise", "pfid-quick"], limit=3, out=tmp_path / "out")
    noise = {row.view: row for row in found.rows if (row.task, row.metric) == ("pfid-noise", "psnr")}
    quality = [noise[view].value for view in ("s=0.1", "s=0.2", "s=0.4")]
    assert quality == sorted(quality, reverse=True)
    assert len(set(quality)) == 3
    assert {row.reason for row in found.rows if row.task == "pfid-quick" and row.metric == "psnr"} == {
        "needs a codebook"
    }


def test_the_declared_tasks() -> None:
    tasks = {name: discover().task(name) for name in discover().tasks if name.startswith("pfid")}
    cells = {name: len({view.name for view in task.views}) for name, task in tasks.items()}
    assert cells == {
        "pfid": 15,
        "pfid-encoder": 15,
        "pfid-matched": 9,
        "pfid-noise": 3,
        "pfid-quick": 3,
        "pfid-relative": 9,
    }
    names = {view.name for view in PFID.views}
    assert {"a=0.5 d=200", "a=0.9 d=360"} <= names
    assert {view.name for view in tasks["pfid-quick"].views} <= names
    # Views of one name share their numbers in a run of several tasks, so they must be the same.
    others = {
        view.name for name, task in tasks.items() if name not in {"pfid", "pfid-quick"} for view in task.views
    }
    assert not names & others


def test_relative_matched_and_encoder_cells_run_on_a_stored_codebook(tmp_path: Path) -> None:
    relative, matched, encoder = (
        discover().task(name) for name in ("pfid-relative", "pfid-matched", "pfid-encoder")
    )
    tasks = [replace(task, views=(task.views[0], task.views[-1])) for task in (relative, matched, encoder)]
    found = evaluate("vq-patch-8", "photos-mini", tasks, limit=2, out=tmp_path / "out")
    for task in tasks:
        rows = {row.view: row for row in found.rows if (row.task, row.metric) == (task.name, "psnr")}
        wide, narrow = (rows[view.name].value for view in task.views)
        # The first cell has the widest neighbourhood at the lowest rate, the last the narrowest at the highest.
        assert math.isfinite(wide)
        assert math.isfinite(narrow)
        assert wide != narrow
