"""Rows as a picture in Python: quality over bits per pixel, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokbench.errors import MissingPackageError, UsageError
from tokbench.results.rate_distortion import curves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from tokbench.results.schema import Row


def rate_distortion_plot(
    rows: Sequence[Row],
    quality: str = "psnr",
    *,
    rate: str = "bpp",
    dataset: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw quality over rate: a line for each family of tokenizers, 95 % intervals as bars.

    Args:
        rows: rows of one or several runs.
        quality: metric of the vertical axis; values that must not be ranked, or are infinite, are left out.
        rate: metric of the horizontal axis, which is logarithmic.
        dataset: image set; by default the first that has both metrics.
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        UsageError: no tokenizer has both metrics, or not on this image set.
        MissingPackageError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingPackageError(
            "plots need matplotlib", hint="pip install 'tokbench[report]', or use `tokbench report`"
        ) from error

    found = curves(rows, quality, rate=rate)
    dataset = dataset or found[0].dataset
    drawn = [curve for curve in found if curve.dataset == dataset]
    if not drawn:
        raise UsageError(
            f"no tokenizer has both `{quality}` and `{rate}` on `{dataset}`",
            hint=f"image sets are {', '.join(dict.fromkeys(curve.dataset for curve in found))}",
        )
    # One protocol at a time: numbers of two do not belong on one axis.
    drawn = [curve for curve in drawn if curve.protocol == drawn[0].protocol]
    known = {
        (row.tokenizer, row.view, row.metric): row
        for row in rows
        if (row.dataset, row.protocol) == (dataset, drawn[0].protocol)
    }
    if ax is None:
        _, ax = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for curve in drawn:
        pairs = [
            [known[point.tokenizer, point.view, name] for point in curve.points] for name in (rate, quality)
        ]
        arms = [
            [[_arm(row.value - row.ci_low) for row in side], [_arm(row.ci_high - row.value) for row in side]]
            for side in pairs
        ]
        label = curve.points[0].tokenizer if len(curve.points) == 1 else curve.family
        ax.errorbar(
            [point.rate for point in curve.points],
            [point.quality for point in curve.points],
            xerr=arms[0],
            yerr=arms[1],
            marker="o",
            markersize=4,
            capsize=2,
            linewidth=1.2,
            label=label,
        )
    unit = known[drawn[0].points[0].tokenizer, drawn[0].points[0].view, quality].unit
    ax.set_xscale("log")
    ax.set_xlabel(f"{rate}, bit per pixel")
    ax.set_ylabel(f"{quality}{f', {unit}' if unit else ''} {'↑' if drawn[0].higher_is_better else '↓'}")
    ax.set_title(f"{dataset} · {drawn[0].protocol}", fontsize="medium")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize="small")
    return ax


def _arm(length: float) -> float:
    """Return the length of an interval's arm; an unknown one is not drawn."""
    return length if math.isfinite(length) and length > 0 else 0.0
