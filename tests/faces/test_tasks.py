"""The tasks through the engine, offline: on the embedded faces with a network made from a seed."""

import math

import pytest

from tokbench import evaluate
from tokbench.tasks.face import FACE

NAMES = ["identity", "jpeg-q95", "jpeg-q50", "jpeg-q10"]


@pytest.fixture(scope="module")
def results(weights, tmp_path_factory):
    return evaluate(
        NAMES,
        "faces-mini",
        ["face", "face-tokbench2025"],
        weights={"dlib-face": weights},
        out=tmp_path_factory.mktemp("runs") / "out",
    )


MEASURED = ("f_sim_dlib_all", "f_sim_dlib", "f_sim_dlib_small", "f_sim_dlib_medium", "f_sim_dlib_large")


@pytest.mark.parametrize("metric", MEASURED)
def test_identity_keeps_every_face(results, metric):
    row = next(r for r in results.rows if r.tokenizer == "identity" and r.metric == metric)
    assert (row.value, row.ci_low, row.ci_high) == (1.0, 1.0, 1.0)
    assert row.reason == "4 faces without five points left out"


@pytest.mark.parametrize("metric", MEASURED)
def test_jpeg_falls_in_order(results, metric):
    values = [results.value(name, metric) for name in NAMES]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


def test_verification_is_measured(results):
    """Several people with pictures and points; what a random network makes of them is its own affair."""
    for name in NAMES:
        assert 0 <= results.value(name, "face_verification_dlib") <= 1


def test_the_mean_of_bins_is_the_mean_of_the_three(results):
    for name in NAMES:
        bins = [results.value(name, f"f_sim_dlib_{size}") for size in ("small", "medium", "large")]
        # The same sums in another order.
        assert results.value(name, "f_sim_dlib") == pytest.approx(sum(bins) / 3, abs=1e-12)


def test_tokbenchs_network_is_unsupported_with_a_reason(results):
    rows = [row for row in results.rows if row.task == "face-tokbench2025"]
    assert {row.metric for row in rows} >= {"f_sim", "f_sim_large", "f_sim_a77070c", "f_sim_buffalo_l"}
    for row in rows:
        assert math.isnan(row.value)
        assert row.status == "unsupported"
        missing = "tokbench fetch arcface-" in row.reason or "pip install 'tokbench[face]'" in row.reason
        assert missing, row.reason


def test_without_weights_the_reason_says_how_to_get_them(tmp_path):
    found = evaluate("identity", "faces-mini", "face", limit=2, out=tmp_path / "out")
    assert {row.metric for row in found.rows} == {metric.name for metric in FACE.metrics}
    assert {row.reason for row in found.rows} == {"weights of dlib-face not found; tokbench fetch dlib-face"}


def test_an_image_set_without_faces_is_blank(weights, images, tmp_path):
    found = evaluate(
        "identity", str(images), "face", limit=3, weights={"dlib-face": weights}, out=tmp_path / "out"
    )
    reasons = {row.metric: row.reason for row in found.rows}
    assert reasons["f_sim_dlib_all"] == "no face with five points"
    assert reasons["face_verification_dlib"] == "0 of 0 identities have two pictures, at least 2 must"
    assert all(math.isnan(row.value) for row in found.rows)
