"""A recogniser over word crops: one by one over PNG files, as its users call it, against ``tokbench run``.

    python benchmarks/words.py                  # 12 pages, some 800 words, 2 pairs: about 6 minutes on two cores
    python benchmarks/words.py --images 50      # all of text-mini

Both sides read the same annotated words of text-mini with RapidOCR's own models, on originals and reconstructions.
RapidOCR's weights travel in its wheel, so these are real numbers. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import _chain
import numpy as np
from _measure import measure
from _report import circumstances, spread, table
from _tasks import environment
from PIL import Image

from tokbench import Results
from tokbench.catalog import discover
from tokbench.engine.plan import make_plan
from tokbench.images.decode import decode
from tokbench.images.imageset import ImageSet, open_card
from tokbench.metrics.text import BINS, bin_numbers, size_ratio

DATASET = "text-mini"
SETTING = 256
METRICS = ("t_acc", *(f"t_acc_{name}" for name in BINS))


class Words:
    """Both sides on the first pages of a plan.

    Args:
        folder: where everything is kept.
        images: how many.
        tokenizer: which.
    """

    def __init__(self, folder: Path, images: int, tokenizer: str) -> None:
        self.folder = folder
        self.count = images
        self.tokenizer = tokenizer
        self.environment = environment(folder)
        pages: ImageSet = open_card(*discover().image_set(DATASET))
        self.words = self._write(pages)

    def _write(self, pages: ImageSet) -> list[dict[str, Any]]:
        """Write pages as PNG files (they are 256×256, so that no protocol resizes them) and words as JSON."""
        folder = self.folder / "originals"
        folder.mkdir()
        annotated = {}
        for item, data in pages.read(make_plan(pages, self.count).items):
            if isinstance(data, Exception):
                raise data
            Image.fromarray(decode(data, item.file).pixels).save(folder / f"{item.id}.png")
            annotated[item.id] = [
                {"text": word["text"], "box": list(word["box"])} for word in item.truth["words"]
            ]
        folder.with_suffix(".json").write_text(json.dumps(annotated))
        return [word for words in annotated.values() for word in words]

    def peers(self) -> dict[str, Any]:
        """Reconstruct to PNG, then read."""
        originals, back, result = (self.folder / name for name in ("originals", "back", "words.json"))
        shutil.rmtree(back, ignore_errors=True)
        usage = self._chain("reconstruct", self.tokenizer, originals, back).then(
            self._chain("words", originals, back, result)
        )
        read = json.loads(result.read_text())
        return {"usage": asdict(usage), "values": self.scores(read["reconstruction"])}

    def tokbench(self) -> dict[str, Any]:
        """Run tokbench into a new folder with nothing cached."""
        out = self.folder / "out"
        for old in (out, self.folder / "cache"):
            shutil.rmtree(old, ignore_errors=True)
        command = [
            *(sys.executable, "-m", "tokbench", "run", "--offline", "--json", "--task", "text-words"),
            *("--dataset", DATASET, "--limit", str(self.count), "--tokenizer", self.tokenizer),
            *("--device", "cpu", "--out", str(out)),
        ]
        usage = measure(command, self.environment)
        results = Results.load(out)
        return {
            "usage": asdict(usage),
            "values": {name: results.value(self.tokenizer, name) for name in METRICS},
        }

    def scores(self, right: list[int]) -> dict[str, float]:
        """Return T-ACC in each bin of size, and their mean; NaN where there is no word."""
        ratios = [size_ratio(word["box"], len(word["text"]), SETTING, SETTING) for word in self.words]
        numbers = bin_numbers(np.array(ratios), SETTING)
        bins = [np.array(right)[numbers == number] for number in range(len(BINS))]
        found = [float(each.mean()) if len(each) else float("nan") for each in bins]
        return {"t_acc": float(np.mean(found))} | {
            f"t_acc_{name}": value for name, value in zip(BINS, found, strict=True)
        }

    def _chain(self, step: str, *words: str | Path) -> Any:
        return measure([sys.executable, _chain.__file__, step, *map(str, words)], self.environment)


def show(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Return the tables of ``(chain, tokbench)`` pairs."""
    heads = {
        "wall": "wall s",
        "cpu": "CPU s",
        "largest": "largest process MB",
        "together": "all processes MB",
    }
    rows = [
        [title, *(f"{median([pair[side]['usage'][key] for pair in pairs]):.1f}" for key in heads)]
        for side, title in enumerate(("peers' chain", "tokbench"))
    ]
    ratios = {key: [theirs["usage"][key] / ours["usage"][key] for theirs, ours in pairs] for key in heads}
    rows.append(["peers' chain ÷ tokbench", *(f"**{spread(ratios[key])}**" for key in heads)])
    theirs, ours = pairs[0][0]["values"], pairs[0][1]["values"]
    numbers = [
        [name, f"{theirs[name]:.6f}", f"{ours[name]:.6f}", f"{abs(theirs[name] - ours[name]):.1e}"]
        for name in theirs
    ]
    return f"{table(['', *heads.values()], rows)}\n\n{table(['number', 'chain', 'tokbench', 'difference'], numbers)}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images", type=int, default=12, metavar="N", help="pages of text-mini, 1 to 50 (12)"
    )
    parser.add_argument("--pairs", type=int, default=2, help="repetitions of both sides, interleaved (2)")
    parser.add_argument("--tokenizer", default="jpeg-q50")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        bench = Words(Path(place).resolve(), chosen.images, chosen.tokenizer)
        pairs = []
        for _ in range(chosen.pairs):
            ours = bench.tokbench()
            pairs.append((bench.peers(), ours))
    print(
        f"{chosen.images} pages, {len(bench.words)} words, {chosen.tokenizer}, {chosen.pairs} interleaved pairs.\n"
    )
    print(circumstances("cpu", "RapidOCR's PP-OCRv6 small, as in its wheel"))
    print(f"\n{show(pairs)}")


if __name__ == "__main__":
    main()
