"""Differences in plain words: unit, direction and certainty."""

from __future__ import annotations

import math

import pytest

from tokbench.results.wording import amount, effect


@pytest.mark.parametrize(
    ("metric", "unit", "higher", "values", "finding", "words"),
    [
        ("t_acc", "", True, (0.8, 0.8248), "certain", "B reads 3.1 % more words, certain"),
        ("t_acc_small", "", True, (0.5, 0.25), "likely", "B reads 50 % fewer words (small), likely"),
        ("t_acc", "", True, (0.0, 0.25), "certain", "B has 0.25 higher t_acc (better), certain"),
        ("cer", "", False, (0.2, 0.1), "certain", "B misreads 50 % fewer characters, certain"),
        ("psnr", "dB", True, (30.0, 29.2), "certain", "B loses 0.80 dB PSNR, certain"),
        ("region_psnr", "dB", True, (30.0, 31.0), "likely", "B gains 1.0 dB region_psnr, likely"),
        ("detail_loss", "dB", False, (1.0, 2.5), "certain", "B has 1.5 dB higher detail_loss (worse), certain"),
        ("bpp", "bit/px", None, (1.0, 1.5), "certain", "B spends 50 % more bits, certain"),
        ("fd_lite0", "", False, (100.0, 87.0), "certain", "B has 13 % lower fd_lite0 (better), certain"),
        ("kid", "", False, (-0.001, 0.001), "likely", "B has 0.0020 higher kid (worse), likely"),
        ("ssim", "", True, (0.9, 0.888), "certain", "B has 0.012 lower ssim (worse), certain"),
        ("entropy_raster", "bit", None, (5.0, 6.0), "certain", "B has 1.0 bit higher entropy_raster, certain"),
        ("pfid@a=1", "", False, (10.0, 20.0), "certain", "B has 100 % higher pfid@a=1 (worse), certain"),
        ("cost_x", "", False, (10.0, 20.0), "unknown", "B has 100 % higher cost_x (worse), no interval known"),
        ("psnr", "dB", True, (math.inf, 30.0), "certain", "the reference is exact in psnr, B is not, certain"),
        ("ssim", "", True, (0.9, 0.9), "equal", "ssim is exactly the same"),
    ],
)  # fmt: skip
def test_effects(
    metric: str, unit: str, higher: bool | None, values: tuple[float, float], finding: str, words: str
) -> None:
    assert effect("B", metric, unit, higher, values, (math.nan, math.nan), finding) == words


def test_no_difference_names_its_resolution() -> None:
    said = effect("B", "ssim", "", True, (0.9, 0.9005), (-0.0015, 0.0025), "none")
    assert said == "no difference seen in ssim (±0.0020)"
    said = effect("B", "psnr", "dB", True, (30.0, 30.01), (-0.1, 0.1), "none")
    assert said == "no difference seen in psnr (±0.10 dB)"


def test_unreliable_numbers_are_never_called_certain() -> None:
    said = effect("B", "rfid", "", False, (10.0, 20.0), (5.0, 15.0), "unreliable", "n = 40 below 2 × 2,048")
    assert said == "B has 100 % higher rfid (worse), not certain: n = 40 below 2 × 2,048"
    said = effect("B", "rfid", "", False, (1.0, math.nan), (1.0, 1.0), "unsupported", "`B`: no weights")
    assert said == "rfid not compared: `B`: no weights"


def test_sizes_have_two_digits_and_are_no_zeros() -> None:
    assert [amount(x) for x in (0.0, 0.123, 1.26, 26.4, 1234.0, 0.00001, 3e-9)] == [
        "0", "0.12", "1.3", "26", "1,200", "0.000010", "3.0e-09",
    ]  # fmt: skip
