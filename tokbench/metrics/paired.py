"""Differences between two tokenizers on the same images: interval, p-value, and the correction for asking often.

Both sides look at the same images, so what an image has in common on both cancels: a paired difference is known far
better than either number. Per-image metrics are resampled by image; set metrics are compared through the jackknife
replicates that leave out the same group of images on both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokbench.metrics import jackknife
from tokbench.metrics.bootstrap import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Rule = Callable[[Floats], Any]

FLIPS = 9999
_FEW_FLIPS = 999
_SAMPLED = 1000
_BATCH_VALUES = 1 << 22


@dataclass(frozen=True)
class Difference:
    """How far B lies from A.

    Attributes:
        value: B minus A, in the metric's unit.
        low: lower end of the 95 % interval of it, NaN when unknown.
        high: upper end.
        p: probability of a difference at least as far from zero if A and B were interchangeable; NaN when unknown.
        method: how interval and p were made.
        n: images that both sides measured; 0 where the number of images does not enter.
    """

    value: float
    low: float
    high: float
    p: float
    method: str
    n: int = 0

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval excludes no change."""
        return self.low > 0 or self.high < 0


def of_images(a: Floats, b: Floats, mean: Rule | None = None, *, seed: int = 0) -> Difference:
    """Compare two columns of per-image values, image by image.

    The interval is the bootstrap's over images (`tokbench.metrics.bootstrap`: BCa up to 1,000 images, percentiles
    above), both sides resampled together. The p-value is that of the sign-flip test: were A and B interchangeable,
    swapping them on any image would change nothing, so the observed difference is ranked among those of 9,999 random
    swappings. It was chosen over Wilcoxon's because it tests the very number that is shown, the difference of means,
    and over Student's because it is exact for any distribution of values, which have heavy tails and, where whole
    words are counted, few levels. Above 1,000 images the tail is the normal one with the spread of 999 swappings.
    With n images no p-value is below 2 / 2ⁿ: on fewer than six images no single metric reaches 0.05.

    Args:
        a: float64 ``[n]`` of the reference; NaN where an image was not measured. Infinities take part.
        b: float64 ``[n]`` of the other, the same images in the same order.
        mean: how values become one number, over the last axis; default the arithmetic mean.
        seed: of resampling and swapping.

    Returns:
        The difference over images measured on both sides; NaN without a common image.
    """
    import numpy as np

    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    n = len(a)
    if not n:
        return Difference(math.nan, math.nan, math.nan, math.nan, "none")
    rule = mean or _arithmetic
    value = float(_minus(rule(b), rule(a)))
    if n == 1:
        return Difference(value, math.nan, math.nan, 1.0, "none", n)
    if (a == b).all():
        return Difference(0.0, 0.0, 0.0, 1.0, "exact", n)

    def of(positions: Floats) -> Any:
        chosen = positions.astype(np.int64)
        return _minus(rule(b[chosen]), rule(a[chosen]))

    each = _minus(b, a)
    linear = mean is None and bool(np.isfinite(each).all())
    p = _sign_flip(a, b, None if linear else rule, value, seed)
    if linear and np.ptp(each) <= 1e-12 * np.abs(each).max():
        return Difference(value, value, value, p, "exact", n)
    if not math.isfinite(value):
        return Difference(value, math.nan, math.nan, p, "none", n)
    # Resamples of exact images alone are infinite: BCa then has no acceleration and percentiles stand in.
    with np.errstate(invalid="ignore"):
        estimate = bootstrap(np.arange(n, dtype=np.float64), of, seed=seed)
    return Difference(value, estimate.low, estimate.high, p, f"paired {estimate.method}", n)


def of_replicates(a: float, b: float, left_out_a: Sequence[float], left_out_b: Sequence[float]) -> Difference:
    """Compare two statistics of image sets through their jackknife replicates.

    Args:
        a: the statistic of the reference on all images.
        b: that of the other.
        left_out_a: the statistic of the reference without group i, for each of g groups.
        left_out_b: that of the other without the same groups.

    Returns:
        ``b - a`` with ``± t · standard error`` and p-value of Student's t on g - 1 degrees of freedom, both of the
        differences of replicates; without interval when the groups do not correspond.
    """
    from scipy import special  # type: ignore[import-untyped, unused-ignore]

    value = _number_minus(b, a)
    if len(left_out_a) != len(left_out_b) or len(left_out_a) < 2:
        return Difference(value, math.nan, math.nan, math.nan, "none")
    differences = [_number_minus(y, x) for x, y in zip(left_out_a, left_out_b, strict=True)]
    error = jackknife.standard_error(differences)
    if math.isnan(error) or not math.isfinite(value):
        return Difference(value, math.nan, math.nan, math.nan, "none")
    low, high = jackknife.interval(value, differences)
    if error == 0:
        return Difference(value, low, high, 1.0 if value == 0 else 0.0, "paired jackknife")
    p = 2 * float(special.stdtr(len(differences) - 1, -abs(value) / error))
    return Difference(value, low, high, p, "paired jackknife")


def holm(values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979): the chance of any false alarm among all stays below 5 %.

    Args:
        values: p-values; NaN marks comparisons without one, which do not count.

    Returns:
        Corrected p-values in the same order, at most 1; NaN stays.
    """
    known = sorted((p, position) for position, p in enumerate(values) if not math.isnan(p))
    corrected = [math.nan] * len(values)
    largest = 0.0
    for rank, (p, position) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[position] = largest
    return corrected


def _sign_flip(a: Floats, b: Floats, rule: Rule | None, observed: float, seed: int) -> float:
    """Return the p-value; without a rule the statistic is the mean of finite differences, which is a product."""
    import numpy as np
    from scipy import special

    random = np.random.default_rng([seed, 1])
    n = len(a)
    flips = FLIPS if n <= _SAMPLED else _FEW_FLIPS
    rows = max(1, _BATCH_VALUES // n)
    found = []
    for start in range(0, flips, rows):
        swap = random.integers(0, 2, (min(rows, flips - start), n), dtype=np.uint8).astype(bool)
        if rule is None:
            found.append((1 - 2 * swap.astype(np.float64)) @ (b - a) / n)
        else:
            found.append(_minus(rule(np.where(swap, a, b)), rule(np.where(swap, b, a))))
    drawn = np.concatenate(found)
    if n > _SAMPLED and np.isfinite(drawn).all() and math.isfinite(observed):
        # Swapping makes the mean zero, exactly; only the spread has to be estimated.
        spread = math.sqrt(float((drawn**2).mean()))
        return float(2 * special.ndtr(-abs(observed) / spread)) if spread else 1.0
    # Swappings that give the observed difference again, in another order of addition, count as equal to it.
    return float((1 + (np.abs(drawn) >= abs(observed) * (1 - 1e-12)).sum()) / (flips + 1))


def _arithmetic(values: Floats) -> Any:
    return values.mean(-1)


def _minus(x: Any, y: Any) -> Any:
    """Subtract; equal values, infinite ones too, differ by zero."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        return np.where(np.equal(x, y), 0.0, np.subtract(x, y))


def _number_minus(x: float, y: float) -> float:
    return 0.0 if x == y else x - y
