"""What a task is: a value that names a protocol and its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokbench.metrics.base import ImageMetric, SetMetric
    from tokbench.protocol import EvalProtocol
from tokbench.views import CLEAN, View


@dataclass(frozen=True)
class Task:
    """One question asked of a tokenizer.

    Attributes:
        name: name on the command line and in results.
        version: raised when its numbers stop being comparable with earlier ones.
        title: one line for `tokbench list`.
        protocol: how pixels reach tokenizer and metrics, unless the user names another protocol.
        metrics: what is measured, in table order.
        headline: names of the metrics that fit the terminal table; the rest is in the results folder.
        primary: the metric that orders a table.
        views: what is done to the codes; every metric is measured on every view.
        means: ``(metric, name)`` pairs: the mean of a metric over the views, as a row of its own.
    """

    name: str
    version: int
    title: str
    protocol: EvalProtocol
    metrics: tuple[ImageMetric | SetMetric, ...]
    headline: tuple[str, ...]
    primary: str
    views: tuple[View, ...] = (CLEAN,)
    means: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a declaration whose parts do not fit: a defect of the task, found when it is made."""
        names = [metric.name for metric in self.metrics]
        if len(set(names)) != len(names):
            msg = f"task {self.name}: a metric is listed twice"
            raise ValueError(msg)
        means = [name for _, name in self.means]
        for name in (*self.headline, self.primary):
            if name not in [*names, *means]:
                msg = f"task {self.name}: `{name}` is not one of its metrics"
                raise ValueError(msg)
