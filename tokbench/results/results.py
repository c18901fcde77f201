"""`Results`: what a run gives back, in Python, in a notebook, and from disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokbench.errors import IntegrityError
from tokbench.results.schema import SCHEMA, Row, row_from_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Results:
    """The results of a run.

    Attributes:
        folder: the results folder, a path or the URL it was opened by.
        rows: one row per tokenizer, image set, task and metric.
        manifest: everything needed to repeat the run.
        complete: False when a tokenizer failed or shards are missing.
        failures: ``{tokenizer: why it broke}``.
        unreadable: ``{image set: {image id: why it could not be read}}``.
    """

    folder: Path | str
    rows: tuple[Row, ...]
    manifest: Mapping[str, Any]
    complete: bool
    failures: Mapping[str, str]
    unreadable: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls, folder: Path | str) -> Results:
        """Read a results folder.

        Raises:
            IntegrityError: the run has not been finished, the folder is damaged or of another schema version.
        """
        from tokbench.results.sound import check_manifest, check_summary
        from tokbench.results.store import MANIFEST, PARTIAL, SUMMARY, Store

        store = Store(folder)
        manifest = store.read_json(MANIFEST)
        summary = store.read_json(SUMMARY) or store.read_json(PARTIAL)
        if manifest is None or summary is None:
            raise IntegrityError(
                f"`{folder}` holds no finished run",
                hint="run the command that made it again; it goes on where it was",
            )
        if summary.get("schema") != SCHEMA:
            raise IntegrityError(
                f"`{folder}` was written by another version of tokbench (schema {summary.get('schema')})"
            )
        check_manifest(manifest, folder)
        check_summary(summary, folder)
        try:
            rows = tuple(row_from_dict(fields) for fields in summary["rows"])
        except ValueError as error:
            raise IntegrityError(f"the summary in `{folder}` is damaged: {error}") from error
        return cls(
            store.folder, rows, manifest, summary["complete"], summary["failures"], summary["unreadable"]
        )

    @property
    def name(self) -> str:
        """The last part of the folder's path or URL."""
        return Path(self.folder).resolve().name

    @property
    def seen(self) -> dict[str, list[str]]:
        """``{tokenizer: image sets that it was trained on and is measured on here}``: no fair test of it."""
        found: dict[str, list[str]] = {}
        for job in self.manifest["jobs"]:
            if job["dataset"] in job["spec"].get("trained_on", ()):
                found.setdefault(job["tokenizer"], []).append(job["dataset"])
        return found

    def summary(self) -> dict[str, Any]:
        """Return the document that `summary.json` holds and `--json` prints."""
        return {
            "schema": SCHEMA,
            "key": self.manifest["key"],
            "complete": self.complete,
            "folder": str(self.folder),
            "partial_images": any(job["partial"] for job in self.manifest["jobs"]),
            "failures": dict(self.failures),
            "unreadable": {name: dict(images) for name, images in self.unreadable.items()},
            "seen": self.seen,
            "rows": [row.to_dict() for row in self.rows],
        }

    def value(self, tokenizer: str, metric: str, dataset: str | None = None, view: str = "") -> float:
        """Return one number.

        Raises:
            KeyError: no such row, or several because `dataset` was left out.
        """
        found = [
            row.value
            for row in self.rows
            if (row.tokenizer, row.metric, row.view) == (tokenizer, metric, view)
            and dataset in {None, row.dataset}
        ]
        if len(found) != 1:
            msg = f"{len(found)} rows for {tokenizer}, {metric}, {dataset}, view {view!r}"
            raise KeyError(msg)
        return found[0]

    def frame(self) -> pd.DataFrame:
        """Return the rows as a tidy pandas frame."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows])

    def images(self) -> pd.DataFrame:
        """Return per-image values as a pandas frame: one row per tokenizer, image set and image."""
        import pandas as pd

        from tokbench.results.store import Store
        from tokbench.results.summary import read_table

        store = Store(self.folder)
        frames = []
        for job in self._finished_jobs():
            frame = read_table(store, job).to_pandas()
            frame = frame.rename(columns=lambda name: name.removeprefix("metric:"))
            for position, name in enumerate(("tokenizer", "dataset", "protocol")):
                frame.insert(position, name, job[name])
            frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def plot(
        self, quality: str = "psnr", *, rate: str = "bpp", dataset: str | None = None, ax: Axes | None = None
    ) -> Axes:
        """Draw quality over rate with intervals and return the axes; needs matplotlib (extra ``report``).

        Args:
            quality: metric of the vertical axis.
            rate: metric of the horizontal, logarithmic axis.
            dataset: image set; by default the first that has both metrics.
            ax: where to draw; by default a new figure.

        Raises:
            UsageError: no tokenizer has both metrics there.
            MissingPackageError: matplotlib is not installed.
        """
        from tokbench.results.plot import rate_distortion_plot

        return rate_distortion_plot(self.rows, quality, rate=rate, dataset=dataset, ax=ax)

    def _finished_jobs(self) -> Sequence[Mapping[str, Any]]:
        return [job for job in self.manifest["jobs"] if job["tokenizer"] not in self.failures]

    def _repr_html_(self) -> str:
        """Show as a table per image set in a notebook."""
        from tokbench.results.table import html_tables

        return html_tables(self.rows)
