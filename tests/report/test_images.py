"""Pictures of a report: reconstructed once more, refused when they would not be what was measured."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tokbench.catalog import discover
from tokbench.report.build import build_report
from tokbench.report.images import trimmed

if TYPE_CHECKING:
    from pathlib import Path

    from tokbench.results.results import Results


def _report(run: Results, images: Path, count: int = 3, **changes: Any) -> dict[str, Any]:
    sets = {"images:small": str(images)}
    return build_report([run], discover(), images=count, image_sets=sets, device="cpu", **changes)[1]


def _pixels(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)


def test_pictures_are_those_that_were_measured(small_run: Results, images: Path) -> None:
    document = _report(small_run, images)
    assert len(document["images"]) == 3
    assert document["image_notes"] == []
    names = [each["name"] for each in document["tokenizers"]]
    for image in document["images"]:
        assert (image["width"], image["height"], image["lossless"]) == (64, 64, True)
        original = _pixels(image["original"])
        assert set(image["of"]) == {0, 1, 2}
        for t, uri in image["of"].items():
            error = ((_pixels(uri) - original) ** 2).mean()
            psnr = np.inf if error == 0 else 10 * np.log10(255**2 / error)
            # Pictures are lossless, so the run's own number comes out again, to the five digits that are kept.
            assert psnr == pytest.approx(image["values"]["psnr"][t], rel=1e-4), names[t]


def test_the_worst_image_is_among_them(small_run: Results, images: Path) -> None:
    shown = {image["id"] for image in _report(small_run, images, 4)["images"]}
    frame = small_run.images().drop_duplicates(["tokenizer", "image"])
    lines = frame[frame.tokenizer == "vq-patch-8"]
    assert lines.loc[lines.psnr.idxmin(), "image"] in shown


def test_images_that_are_gone_leave_a_reason(small_run: Results, tmp_path: Path) -> None:
    page, document = build_report([small_run], discover(), images=2, device="cpu")
    assert document["images"] == []
    assert (
        "no pictures: `images:small` is not installed here (say with --image-set where it is)"
        in document["image_notes"][0]["text"]
    )
    assert "psnr" in page
    Image.new("RGB", (64, 64)).save(tmp_path / "other.png")
    note = _report(small_run, tmp_path)["image_notes"][0]["text"]
    assert "holds other images than those measured" in note


def test_a_changed_tokenizer_leaves_a_reason(small_run: Results, images: Path) -> None:
    identity = {
        key: {**each, "tokenizer": {**each["tokenizer"], "adapter": "0" * 64}}
        if key.startswith("jpeg")
        else each
        for key, each in small_run.manifest["identity"].items()
    }
    document = _report(replace(small_run, manifest={**small_run.manifest, "identity": identity}), images)
    (note,) = document["image_notes"]
    assert note["text"].startswith("no pictures of jpeg-q50: tokenizer `jpeg-q50`: its adapter changed")
    assert all(len(image["of"]) == 2 for image in document["images"])


def test_a_manifest_cannot_name_anything_of_torch(small_run: Results, images: Path) -> None:
    identity = {
        key: {**each, "tokenizer": {**each["tokenizer"], "dtype": "load"}}
        for key, each in small_run.manifest["identity"].items()
    }
    document = _report(replace(small_run, manifest={**small_run.manifest, "identity": identity}), images)
    assert all("names no type of its weights, but `load`" in note["text"] for note in document["image_notes"])
    assert len(document["image_notes"]) == 3


def test_names_in_a_manifest_are_no_paths(small_run: Results, images: Path, tmp_path: Path) -> None:
    code = tmp_path / "stranger.py"
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    key = "jpeg-q50 on images:small by adm-64"
    job = next(job for job in small_run.manifest["jobs"] if job["tokenizer"] == "jpeg-q50")
    for change, name in (({"tokenizer": str(code)}, str(code)), ({"dataset": str(images)}, str(images))):
        changed = {**job, **change}
        identity = {
            f"{changed['tokenizer']} on {changed['dataset']} by adm-64": small_run.manifest["identity"][key]
        }
        manifest = {**small_run.manifest, "jobs": [changed], "identity": identity}
        document = _report(replace(small_run, manifest=manifest), images)
        assert f"`{name}` is not installed here" in document["image_notes"][0]["text"]
    assert not (tmp_path / "ran").exists()


def test_without_shards_there_are_numbers_and_a_reason(small_run: Results, tmp_path: Path) -> None:
    document = build_report([replace(small_run, folder=tmp_path)], discover(), images=2)[1]
    assert document["boards"]
    assert document["looks"][0]["hists"] == {}
    assert document["image_notes"][0]["text"] == "no pictures: the results folder holds no per-image values"


def test_pictures_stay_within_the_budget(small_run: Results, images: Path) -> None:
    document = _report(small_run, images, 4, budget=90_000)
    sizes = [len(image["original"]) + sum(map(len, image["of"].values())) for image in document["images"]]
    assert 0 < len(sizes) < 4
    assert sum(sizes) <= 90_000
    assert "left out to keep this file small" in document["image_notes"][0]["text"]


def test_the_largest_set_gives_way_first() -> None:
    def images(*sizes: int) -> list[dict[str, Any]]:
        return [{"original": "x" * size, "of": {}} for size in sizes]

    found = [images(5, 5, 5), images(4, 4)]
    assert [len(kept) for kept in trimmed(found, 100)] == [3, 2]
    assert [len(kept) for kept in trimmed(found, 18)] == [2, 2]
    assert [len(kept) for kept in trimmed(found, 0)] == [0, 0]
