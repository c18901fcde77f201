"""RapidOCR with PP-OCRv6 small, whose weights travel in its wheel: the recogniser that runs without a download.

It reads Latin, Chinese and Japanese. It does not read Cyrillic, Greek, Korean or Devanagari, so scores on those scripts
are low on the originals already: metrics say so and give scores relative to the originals.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokbench.networks.base import Evaluator
from tokbench.networks.recognisers import in_reading_order
from tokbench.weights import WeightFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import torch

    from tokbench.networks.recognisers import Image

RECOGNITION = WeightFile(
    name="ppocr-v6-rec",
    source="package:rapidocr/models/PP-OCRv6_rec_small.onnx",
    sha256="6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    size=21_234_383,
    license="Apache-2.0",
)
DETECTION = WeightFile(
    name="ppocr-v6-det",
    source="package:rapidocr/models/PP-OCRv6_det_small.onnx",
    sha256="090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    size=9_929_594,
    license="Apache-2.0",
)


class RapidOcr:
    """PP-OCRv6 small on the CPU, whatever device the run uses.

    One thread: a pool of one has no idle worker that could spin, and the result does not depend on the machine. Crops
    are read one at a time, since RapidOCR pads a batch to its widest member, which changes what the others say (5 of 63
    small words in a trial), and one at a time is not slower on a CPU.

    Args:
        recognition: the recognition model.
        detection: the detection model.
    """

    def __init__(self, recognition: Path, detection: Path) -> None:
        common: dict[str, Any] = {
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Rec.model_path": str(recognition),
            "Rec.rec_batch_num": 1,
        }
        # Options given to a call stay for all later calls, so each mode has an engine of its own.
        self._words = _Engines(common | {"Global.use_det": False, "Global.use_preprocess_img": False})
        self._page = _Engines(common | {"Det.model_path": str(detection)})
        self._finder = _Engines(common | {"Det.model_path": str(detection), "Global.return_word_box": True})

    def read_words(self, crops: Sequence[Image]) -> list[str]:
        """Read words without looking for boxes; see `Recogniser`."""
        with self._words.borrowed() as engine:
            return [_first(engine(_bgr(crop))) for crop in crops]

    def read_page(self, image: Image) -> str:
        """Find lines, leave out those read with a confidence below 0.5 (RapidOCR's default), and join them."""
        with self._page.borrowed() as engine:
            found: Any = engine(_bgr(image))
        return "" if found.txts is None else in_reading_order(found.txts, found.boxes)

    def find_words(self, image: Image) -> list[tuple[str, tuple[float, float, float, float]]]:
        """Find lines as `read_page` does and cut them into words where the model sees a blank.

        Args:
            image: uint8 ``[h, w, 3]``, RGB.

        Returns:
            Each word with its box ``(x0, y0, x1, y1)`` in pixels, upright around the word; a box follows from where in
            the line the model sees letters, so it may be some pixels off.
        """
        with self._finder.borrowed() as engine:
            found: Any = engine(_bgr(image))
        words = []
        for line in found.word_results if found.txts else ():
            for text, _, corners in line:
                xs, ys = zip(*((float(x), float(y)) for x, y in corners), strict=True)
                words.append((str(text), (min(xs), min(ys), max(xs), max(ys))))
        return words


class _Engines:
    """Engines of one mode, built when all others are in use: one keeps state while it reads, and lanes read at once.

    Args:
        parameters: of RapidOCR.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        self._idle: deque[Any] = deque()

    @contextmanager
    def borrowed(self) -> Iterator[Any]:
        """Lend an engine to this thread alone."""
        from rapidocr import RapidOCR  # type: ignore[import-untyped, import-not-found, unused-ignore]

        try:
            engine = self._idle.pop()
        except IndexError:
            engine = RapidOCR(params=self._parameters)
        try:
            yield engine
        finally:
            self._idle.append(engine)


def _first(found: Any) -> str:
    return str(found.txts[0]) if found.txts else ""


def _bgr(image: Image) -> Image:
    import numpy as np

    return np.ascontiguousarray(image[:, :, ::-1])


def _load(weights: Mapping[str, Path], device: torch.device) -> RapidOcr:
    return RapidOcr(weights[RECOGNITION.name], weights[DETECTION.name])


RAPIDOCR = Evaluator(
    name="rapidocr",
    title="RapidOCR 3.10, PP-OCRv6 small: Latin, Chinese, Japanese",
    license="Apache-2.0",
    source="https://github.com/RapidAI/RapidOCR",
    width=0,
    weights=(RECOGNITION, DETECTION),
    packages=("rapidocr", "onnxruntime"),
    extra="ocr",
    load=_load,
)
