"""`tokbench verify`: each verdict, each reason, names, exit codes; on stand-in figures of an embedded tokenizer."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tokbench.published
from tokbench.cli.app import app
from tokbench.errors import EmptyImageSetError, UnknownNameError, UsageError
from tokbench.metrics.pixel import PSNR as PSNR_DB
from tokbench.metrics.pooled import PSNR_POOLED
from tokbench.published import COLUMNS, load_figures
from tokbench.results.verdict import TOLERANCES, same_set, tolerance
from tokbench.tasks.reconstruction import RECONSTRUCTION

NAME = "vq-patch-8"
ROW = dict.fromkeys(COLUMNS, "") | {
    "tokenizer": NAME,
    "system": "patch VQ",
    "dataset": "small",
    "images": "40",
    "resolution": "64",
    "task": "reconstruction",
    "protocol": "adm-64",
    "metric": "bpp",
    "value": "0.15625",
    "unit": "bit/px",
    "source": "stand-in",
    "table": "table 1",
    "version": "v1",
    "via": "by hand",
    "checked": "read",
}
PSNR = {"metric": "psnr", "unit": "dB", "table": "pixels"}


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put rows in the place of the published figures."""

    def put(*rows: dict[str, str]) -> None:
        folder = tmp_path / "leaderboards" / "published"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "stand-in.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(ROW | row for row in rows)

    monkeypatch.setattr(tokbench.published, "shipped", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return put


def call(*words: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.stderr
    return done.stdout


def judged(*words: str | Path, code: int = 0) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = json.loads(call("verify", NAME, *words, "--json", code=code))["figures"]
    return figures


@pytest.fixture(scope="module")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float, dict[str, float]]:
    """A run over 40 images with its PSNR, as a mean and by image."""
    from tokbench import evaluate

    folder = tmp_path_factory.mktemp("verify") / "run"
    metrics = (PSNR_DB, PSNR_POOLED)
    task = replace(RECONSTRUCTION, metrics=metrics, headline=("psnr",), primary="psnr")
    results = evaluate(NAME, images, task, protocol="adm-64", out=folder)
    table = results.images()
    by_image = dict(zip(table["image"], table["psnr"], strict=True))
    return folder, results.value(NAME, "psnr"), by_image


def test_the_three_verdicts_of_a_run(images: Path, publish: Any, tmp_path: Path) -> None:
    publish({}, {"value": "0.20"}, {"value": "0.20", "images": "50"}, {"dataset": "other"})
    found = judged("--images", images, "--workers", "1", "--out", "out", code=9)
    assert [each["verdict"] for each in found] == [
        "reproduced",
        "differs",
        "not comparable",
        "not comparable",
    ]
    assert found[0]["measured"]["value"] == 0.15625
    assert found[0]["measured"]["n"] == 40
    assert found[1]["reason"] == "0.0438 apart, only 0.009 allowed"
    assert found[2]["reason"] == "40 images here, published over 50"
    assert found[3]["reason"] == "published on other, the images given are small"
    assert (tmp_path / "out" / "small-adm-64" / "summary.json").is_file()


def test_nothing_differs_is_exit_code_0_and_text_for_people(images: Path, publish: Any) -> None:
    publish({}, {"metric": "st_lpips", "task": "", "unit": "", "value": "0.1"})
    out = call("verify", NAME, "--images", images, "--workers", "1", "--out", "out").splitlines()
    assert out[0].startswith("reproduced: bpp 0.15625 bit/px published, here 0.156250 bit/px [")
    assert out[1] == "  small · 40 images · adm-64 · stand-in"
    assert out[3] == "not comparable: st_lpips 0.1 published"
    assert "tokbench does not measure `st_lpips`" in out[5]
    assert out[-1] == "1 reproduced, 0 differs, 1 not comparable"


def test_the_rule_of_psnr(finished: tuple[Path, float, dict[str, float]], publish: Any) -> None:
    folder, psnr, _ = finished
    # 0.3 % and half of the last digit: about 0.06 dB at 20 dB; a tenth of a dB beyond is too far.
    allowed = 0.003 * psnr + 0.005
    publish(
        *(
            PSNR | {"value": f"{psnr + off:.2f}"}
            for off in (0, allowed - 0.02, allowed + 0.02, -allowed - 0.02)
        )
    )
    found = judged("--run", folder, "--dataset", "small", code=9)
    assert [each["verdict"] for each in found] == ["reproduced", "reproduced", "differs", "differs"]
    # Forty images leave an interval far wider than that, which must not count.
    assert found[2]["measured"]["ci_high"] > psnr + allowed + 0.02
    assert "inside the 95 % interval, which speaks of other images" in found[2]["reason"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"flag": "disputed", "note": "wrong range"}, "the published figure is disputed: wrong range"),
        ({"flag": "inexact", "note": "floats", "value": "9.00"}, "allowed, but floats"),
        ({"checked": "unchecked", "value": "9.00"}, "allowed, but the figure is from memory"),
        ({"images": ""}, "the number of images of the published figure is not stated"),
        ({"images": "24"}, "40 images here, published over 24"),
        ({"protocol": "adm-128"}, "published by adm-128, the run is by adm-64"),
        ({"protocol": "a crop of their own", "task": ""}, "none of tokbench's: a crop of their own"),
        ({"dataset": "other"}, "published on other, the run is on small"),
        ({"evaluator": "their network"}, "measured with their network, here with no network"),
        (
            {"metric": "ssim_seed", "task": "reconstruction-seed-voken", "unit": ""},
            "the run holds no `ssim_seed`",
        ),
        ({"image": "image-077", "images": "1"}, "0 images of the run are called image-077"),
        (
            {"image": "image-001", "metric": "psnr_pooled"},
            "no value for one image",
        ),
    ],
)
def test_what_is_not_comparable(
    finished: tuple[Path, float, dict[str, float]], publish: Any, change: dict[str, str], reason: str
) -> None:
    folder, psnr, _ = finished
    publish(PSNR | {"value": f"{psnr:.2f}"}, PSNR | {"value": f"{psnr:.2f}"} | change)
    found = judged("--run", folder, "--dataset", "small")
    # The same row without the change is reproduced: the change alone is the reason.
    assert [each["verdict"] for each in found] == ["reproduced", "not comparable"]
    assert reason in found[1]["reason"]


def test_a_flagged_figure_within_the_tolerance_is_reproduced(
    finished: tuple[Path, float, dict[str, float]], publish: Any
) -> None:
    folder, psnr, _ = finished
    publish(PSNR | {"value": f"{psnr:.2f}", "flag": "inexact", "note": "floats"})
    assert judged("--run", folder)[0]["verdict"] == "reproduced"


def test_one_picture_of_a_set(finished: tuple[Path, float, dict[str, float]], publish: Any) -> None:
    folder, psnr, by_image = finished
    name = max(by_image, key=lambda each: abs(by_image[each] - psnr))
    value = by_image[name]
    assert abs(value - psnr) > 0.2
    one = PSNR | {"image": name, "images": "1"}
    publish(one | {"value": f"{value:.1f}"}, one | {"value": f"{psnr:.1f}"})
    found = judged("--run", folder, code=9)
    assert [each["verdict"] for each in found] == ["reproduced", "differs"]
    assert found[0]["measured"]["value"] == pytest.approx(value, abs=1e-12)


def test_a_limit_leaves_nothing_comparable(images: Path, publish: Any) -> None:
    publish({"images": "4"})
    found = judged("--images", images, "--limit", "4", "--workers", "1", "--out", "out")
    assert found[0]["verdict"] == "not comparable"
    assert "--limit" in found[0]["reason"]
    assert found[0]["measured"]["value"] == 0.15625


def test_an_evaluator_without_weights_is_a_reason(images: Path, publish: Any) -> None:
    publish({"metric": "rfid", "unit": "", "value": "2.19", "evaluator": "inception"})
    found = judged("--images", images, "--workers", "1", "--out", "out")
    assert found[0]["reason"].startswith("not measured: weights of inception not found")
    assert math.isnan(found[0]["measured"]["value"] or math.nan)


def test_without_images_every_figure_goes_to_its_own_set(publish: Any) -> None:
    free = {"dataset": "", "images": "", "resolution": "256", "unit": ""}
    publish(
        free | {"task": "cost", "protocol": "adm-256", "metric": "tokens", "value": "1024"},
        {"dataset": "kodak", "images": "24"},
        {"dataset": "a set of theirs"},
    )
    found = judged("--workers", "1", "--out", "out")
    assert [each["verdict"] for each in found] == ["reproduced", "not comparable", "not comparable"]
    assert found[0]["measured"]["value"] == 1024
    assert "kodak" in found[1]["reason"]
    assert found[2]["reason"].startswith("a set of theirs is no image set of tokbench")


def test_images_that_are_asked_for_must_be_there(tmp_path: Path, publish: Any) -> None:
    publish({})
    (tmp_path / "small").mkdir()
    with pytest.raises(EmptyImageSetError):
        judged("--images", tmp_path / "small", "--out", "out")


def test_names(images: Path, publish: Any) -> None:
    publish({}, {"tokenizer": "theirs"})
    with pytest.raises(UnknownNameError, match="did you mean `vq-patch-8`"):
        call("verify", "vq-pach-8")
    with pytest.raises(UnknownNameError, match="did you mean `theirs`"):
        call("describe", "their")
    with pytest.raises(UsageError, match="no published figure of `jpeg-q50` is known"):
        call("verify", "jpeg-q50")
    with pytest.raises(UsageError, match="comes from `nowhere`") as caught:
        call("verify", NAME, "--source", "nowhere")
    assert caught.value.hint == "its sources are stand-in"
    with pytest.raises(UsageError, match=r"figures of `theirs` \(1\) and no adapter"):
        call("verify", "theirs", "--images", images)


def test_a_finished_run_takes_no_images(publish: Any) -> None:
    publish({})
    with pytest.raises(UsageError, match="--run judges a finished run"):
        call("verify", NAME, "--run", "x", "--limit", "3")


def test_source_selects(finished: tuple[Path, float, dict[str, float]], publish: Any) -> None:
    folder, psnr, _ = finished
    publish({}, PSNR | {"value": f"{psnr:.2f}"}, {"source": "Another PAPER"})
    assert len(judged("--run", folder, "--source", "PIXELS")) == 1
    assert len(judged("--run", folder, "--source", "paper")) == 1
    assert len(judged("--run", folder, "--source", "stand-in.csv")) == 3


def test_describe_shows_the_figures(publish: Any) -> None:
    publish({}, {"tokenizer": "theirs", "flag": "disputed", "note": "wrong"})
    out = call("describe", NAME)
    assert "vq-patch-8 (tokenizer)" in out
    assert "stand-in.csv, line 2: bpp 0.15625 bit/px · small · adm-64 · stand-in" in out
    assert "disputed: wrong" in call("describe", "theirs")


def test_names_of_image_sets() -> None:
    assert same_set("images:kodak", "kodak")
    assert same_set("imagenet-val-hub", "imagenet-val")
    assert not same_set("imagenet-valid", "imagenet-val")
    assert not same_set("imagenet", "imagenet-val")


def test_every_tolerance_stands_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "published.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("|")]
    for metric, (share, _) in TOLERANCES.items():
        shown = f"{share * 100:g} %" if share else "none"
        assert any(metric in names and text.strip() == shown for names, text in rows), metric


def test_tolerance_is_rounding_and_share() -> None:
    figure = next(each for each in load_figures() if each.printed == "29.53")
    assert tolerance(figure) == pytest.approx(0.005 + 0.003 * 29.53, rel=1e-12)
