"""What a comparison found: typed rows, frames, JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tokbench.results.schema import column

if TYPE_CHECKING:
    import pandas as pd

    from tokbench.results.wording import Finding


@dataclass(frozen=True)
class Compared:
    """One metric of two tokenizers on the same images.

    Attributes:
        a: label of the reference.
        b: label of the other.
        dataset: image-set name.
        task: task name.
        protocol: protocol name.
        metric: metric name.
        view: what was done to the codes, "" for the clean round trip.
        unit: unit of values and difference.
        higher_is_better: direction, None when neither end is better in itself.
        value_a: the reference's number.
        value_b: the other's.
        difference: B minus A over the images that both measured.
        ci_low: lower end of its 95 % interval, NaN when unknown.
        ci_high: upper end.
        p: p-value of this metric alone, NaN when unknown.
        p_holm: p-value corrected for all metrics compared.
        method: how interval and p were made.
        n: images that the difference rests on.
        finding: see `tokbench.results.wording.Finding`.
        reason: why there is no difference or no certainty, else "".
        effect: the difference in plain words.
    """

    a: str
    b: str
    dataset: str
    task: str
    protocol: str
    metric: str
    view: str
    unit: str
    higher_is_better: bool | None
    value_a: float
    value_b: float
    difference: float
    ci_low: float
    ci_high: float
    p: float
    p_holm: float
    method: str
    n: int
    finding: Finding
    reason: str
    effect: str

    @property
    def name(self) -> str:
        """``metric`` or ``metric@view``."""
        return column(self.metric, self.view)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Changed:
    """One of the images that changed most.

    Attributes:
        b: label of the side that differs from the reference.
        dataset: image-set name.
        task: task name.
        protocol: protocol name.
        metric: the metric it changed in.
        image: image id.
        value_a: the reference's value.
        value_b: the other's.
    """

    b: str
    dataset: str
    task: str
    protocol: str
    metric: str
    image: str
    value_a: float
    value_b: float


@dataclass(frozen=True)
class Comparison:
    """Tokenizers compared with a reference.

    Attributes:
        reference: label of the reference.
        others: labels of the others.
        tests: number of p-values that were corrected together.
        rows: one row per other tokenizer, image set, task and metric.
        changed: the images that changed most, by each task's first per-image metric.
        left_out: what was not compared, in words.
    """

    reference: str
    others: tuple[str, ...]
    tests: int
    rows: tuple[Compared, ...]
    changed: tuple[Changed, ...]
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the document that `--json` prints."""
        return {
            "reference": self.reference,
            "others": list(self.others),
            "tests": self.tests,
            "rows": [row.to_dict() for row in self.rows],
            "changed": [asdict(each) for each in self.changed],
            "left_out": list(self.left_out),
        }

    def frame(self) -> pd.DataFrame:
        """Return the rows as a tidy pandas frame."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows])

    def _repr_html_(self) -> str:
        """Show as a table per other tokenizer, image set and task in a notebook."""
        from tokbench.results.compare_table import html_comparison

        return html_comparison(self)
