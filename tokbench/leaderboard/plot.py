"""Quality over rate as a drawing: what a rank says only beside the bits that it took."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from tokbench.leaderboard import words
from tokbench.leaderboard.rank import rankable
from tokbench.results.table import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokbench.leaderboard.boards import Board

RATE = "bpp"
_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 90, 16, 44

Point = tuple[str, float, float]


def points(board: Board) -> list[Point]:
    """Return (tokenizer, bits per pixel, value of the ordering metric) of what has both, both finite."""
    found = []
    for line in board.lines:
        rate, row = line.cells.get(RATE), line.cells.get(board.order)
        if rate is None or row is None or rate.status != "ok" or not rankable(row):
            continue
        if rate.value > 0 and math.isfinite(row.value):
            found.append((line.tokenizer, rate.value, row.value))
    return found


def frontier(found: Sequence[Point], up: bool) -> list[Point]:
    """Return the points that no other one beats at as few bits or fewer, by rising rate."""
    best: list[Point] = []
    for name, rate, value in sorted(found, key=lambda each: (each[1], -each[2] if up else each[2], each[0])):
        if not best or (value > best[-1][2] if up else value < best[-1][2]):
            best.append((name, rate, value))
    return best


def rate_plot(board: Board) -> str:
    """Draw the ordering metric over bits per pixel as SVG, the frontier joined; "" with fewer than three points."""
    found, order = points(board), board.ordering
    if order is None or len(found) < 3:
        return ""
    best = frontier(found, bool(order.higher_is_better))
    rates, values = [each[1] for each in found], [each[2] for each in found]
    low, high = math.floor(math.log2(min(rates))), math.ceil(math.log2(max(rates)))
    high = max(high, low + 1)
    step = _step(max(values) - min(values))
    bottom, top = math.floor(min(values) / step) * step, math.ceil(max(values) / step) * step
    top = max(top, bottom + step)

    def x(rate: float) -> float:
        return _LEFT + (math.log2(rate) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (top - value) / (top - bottom) * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for exponent in range(low, high + 1):
        at = x(2.0**exponent)
        parts.append(f'<path class="grid" d="M{at:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
        parts.append(
            _text(at, _HEIGHT - _BOTTOM + 16, number(2.0**exponent).rstrip("0").rstrip("."), "middle")
        )
    for tick in range(round((top - bottom) / step) + 1):
        value = bottom + tick * step
        parts.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(_text(_LEFT - 6, y(value) + 4, f"{value:.6g}", "end"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "bits per pixel (log scale)", "middle"))
    parts.append(_text(_LEFT + 6, _TOP + 12, words.heading(order), "start"))
    line = " ".join(f"{x(rate):.1f},{y(value):.1f}" for _, rate, value in best)
    parts.append(f'<polyline class="front" points="{line}"/>')
    chosen = {each[0] for each in best}
    for name, rate, value in found:
        tip = f"{name}: {number(value)} at {number(rate)} bit/px"
        kind = "dot best" if name in chosen else "dot"
        parts.append(
            f'<circle class="{kind}" cx="{x(rate):.1f}" cy="{y(value):.1f}" r="4"><title>{escape(tip)}</title></circle>'
        )
    parts += _labels([(x(rate), y(value), name) for name, rate, value in best])
    label = escape(
        f"{order.metric} over bits per pixel; on the frontier: {', '.join(each[0] for each in best)}"
    )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
        "<figcaption>Joined: nothing here is as good with as few bits. Hover a dot for its name.</figcaption></figure>"
    )


def _labels(places: Sequence[tuple[float, float, str]]) -> list[str]:
    """Write the frontier's names to the upper left of their dots, leaving out those that would cover another."""
    parts: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for x, y, name in places:
        right, base, width = x - 6, y - 6, 6.5 * len(name)
        if any(
            abs(base - other) < 13 and right - width < end and start < right for start, end, other in taken
        ):
            continue
        taken.append((right - width, right, base))
        parts.append(_text(right, base, name, "end"))
    return parts


def _step(span: float) -> float:
    """Return a round step that cuts a span into four to ten."""
    if span <= 0:
        return 1.0
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
