"""Which values a metric can take, by the start of its name: what a stranger's number is held against."""

from __future__ import annotations

import math

_SHARE, _SIGNED, _ANY = (0.0, 1.0), (-1.0, 1.0), (-1e12, 1e12)
_RANGES = {
    "psnr": (0.0, math.inf),
    "region_psnr": (0.0, math.inf),
    "bpp": (0.0, 4096.0),
    "ssim": _SIGNED,
    "ms_ssim": _SIGNED,
    "f_sim": _SIGNED,
    "clip_similarity": _SIGNED,
    "t_acc": _SHARE,
    "t_acc_drop": _SIGNED,
    "t_acc_relative": (0.0, 1e6),
    "t_ned": _SHARE,
    "t_ned_relative": (0.0, 1e6),
    "cer_kept": _SHARE,
    "wer_kept": _SHARE,
    "cer_added": _ANY,
    "wer_added": _ANY,
    "codebook_usage": _SHARE,
    "edge_f1": _SHARE,
    "class_agreement": _SHARE,
    "object_agreement": _SHARE,
    "zero_shot_agreement": _SHARE,
    "linear_probe": _SHARE,
    "face_verification": _SHARE,
    "gmsd": _SHARE,
    "l1": _SHARE,
    "kid": _ANY,
    "cmmd": _ANY,
    "band_": _ANY,
    "detail_loss": _ANY,
    "latent_": _ANY,
    "entropy_": _ANY,
    "heaps": _ANY,
    "zipf": _ANY,
}
_OTHER = (0.0, 1e15)


def value_range(metric: str) -> tuple[float, float]:
    """Return the least and the greatest value of a metric; the longest start of its name that is known decides."""
    known = [start for start in _RANGES if metric.startswith(start)]
    return _RANGES[max(known, key=len)] if known else _OTHER


def out_of_range(metric: str, value: float) -> str:
    """Say what is wrong with a value, or "".

    A distance that is 0 may come out as a rounding error below it, hence the slack of a millionth.
    """
    low, high = value_range(metric)
    if math.isinf(value) and not (value > 0 and math.isinf(high)):
        return f"{value} where a finite number must stand"
    if value < low - 1e-6 or value > high + 1e-6:
        return f"{value:g} lies outside [{low:g}, {high:g}]"
    return ""
