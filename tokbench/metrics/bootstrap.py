"""Bootstrap intervals for means of per-image values."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from tokbench.metrics.base import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

RESAMPLES = 2000
_LARGEST_BCA = 1000
_BATCH_VALUES = 1 << 22


def bootstrap(
    values: npt.NDArray[np.float64],
    mean: Callable[[npt.NDArray[np.float64]], Any] | None = None,
    *,
    seed: int = 0,
) -> Estimate:
    """Summarise per-image values.

    Args:
        values: float64 ``[n]``; NaN marks images that were not measured and is left out, infinities count.
        mean: how values become one number, over the last axis; default the arithmetic mean.
        seed: of the resampling; the same values and seed give the same interval.

    Returns:
        The number and its 95 % interval from 2,000 resamples: bias-corrected and accelerated (Efron 1987) up
        to 1,000 images, percentiles above or where infinities take part. Equal values give the exact
        interval, a single image none.
    """
    import numpy as np

    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    rule = mean or _arithmetic
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, "none", "no image was measured")
    value = float(rule(values))
    if len(values) == 1:
        return Estimate(value, math.nan, math.nan, "none")
    if (values == values[0]).all():
        return Estimate(value, value, value, "exact")
    if len(values) <= _LARGEST_BCA and np.isfinite(values).all():
        low, high = _bca(values, rule, seed)
        if math.isfinite(low) and math.isfinite(high):
            return Estimate(value, low, high, "bootstrap-bca")
    low, high = _percentile(values, rule, seed)
    return Estimate(value, low, high, "bootstrap-percentile")


def _arithmetic(values: npt.NDArray[np.float64]) -> Any:
    return values.mean(-1)


def _bca(
    values: npt.NDArray[np.float64], rule: Callable[[npt.NDArray[np.float64]], Any], seed: int
) -> tuple[float, float]:
    import numpy as np
    from scipy import stats  # type: ignore[import-untyped, unused-ignore]

    def statistic(sample: npt.NDArray[np.float64], axis: int) -> Any:
        return rule(np.moveaxis(sample, axis, -1))

    with warnings.catch_warnings():
        # A statistic that hardly varies makes the acceleration undefined: the caller then takes percentiles.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (values,),
            statistic,
            n_resamples=RESAMPLES,
            batch=max(1, _BATCH_VALUES // len(values)),
            vectorized=True,
            method="BCa",
            random_state=np.random.default_rng(seed),
        ).confidence_interval
    return float(found.low), float(found.high)


def _percentile(
    values: npt.NDArray[np.float64], rule: Callable[[npt.NDArray[np.float64]], Any], seed: int
) -> tuple[float, float]:
    import numpy as np

    random = np.random.default_rng(seed)
    count = len(values)
    rows = max(1, _BATCH_VALUES // count)
    means = [
        rule(values[random.integers(0, count, (min(rows, RESAMPLES - start), count))])
        for start in range(0, RESAMPLES, rows)
    ]
    # Without interpolation, which has no meaning between a finite value and infinity.
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975), method="inverted_cdf")
    return float(low), float(high)
