"""insightface's recognition networks, run by onnxruntime: the reference of TokBench's F-Sim.

The weights are for non-commercial research only (https://github.com/deepinsight/insightface, model zoo), so nothing
runs them by default. They are the files ``glintr100.onnx`` of the pack antelopev2 and ``w600k_r50.onnx`` of buffalo_l:
who has insightface's packs gives their paths with ``--weights NAME=PATH``; `tokbench fetch` takes copies from the model
hub, held to the same SHA-256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokbench.errors import SetupError
from tokbench.networks.base import Evaluator
from tokbench.weights import WeightFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor

    from tokbench.networks.face import Pixels

ANTELOPEV2_WEIGHTS = WeightFile(
    name="arcface-antelopev2",
    source="hub:DIAMONIK7777/antelopev2@main/glintr100.onnx",
    sha256="4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf",
    size=260_665_334,
    license="LicenseRef-insightface-non-commercial",
)

BUFFALO_L_WEIGHTS = WeightFile(
    name="arcface-buffalo_l",
    source="hub:public-data/insightface@33c1063c49c785b7652d3fd529f86fa4f149392b/models/buffalo_l/w600k_r50.onnx",
    sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    size=174_383_860,
    license="LicenseRef-insightface-non-commercial",
)

SIDE = 112

# ArcFace's template for 112×112 (insightface, utils/face_align.py).
TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


def norm_crop(image: Pixels, points: Sequence[Sequence[float]]) -> Pixels:
    """Cut a face out as insightface's function of this name does: OpenCV's bilinear warp, black outside.

    Args:
        image: uint8 ``[h, w, 3]``.
        points: five points.

    Returns:
        uint8 ``[112, 112, 3]``.
    """
    import cv2  # type: ignore[import-not-found, import-untyped, unused-ignore]
    import numpy as np

    from tokbench.networks.align import similarity

    matrix = similarity(np.asarray(points, np.float64), np.array(TEMPLATE, np.float32))
    warped: Any = cv2.warpAffine(np.ascontiguousarray(image), matrix, (SIDE, SIDE), borderValue=0.0)
    chip: Pixels = warped
    return chip


class ArcFace:
    """An ArcFace network of insightface: RGB scaled to ``(x - 127.5) / 127.5``, one face at a time.

    Args:
        weights: the ONNX file.
        device: CUDA is used when onnxruntime was built with it, else the CPU.

    Raises:
        SetupError: the file is no network from ``[n, 3, 112, 112]`` to one vector.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        import onnxruntime  # type: ignore[import-not-found, import-untyped, unused-ignore]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # more threads would change the last bits
        options.log_severity_level = 3
        wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        at_hand = onnxruntime.get_available_providers()
        providers = [name for name in (*wanted, "CPUExecutionProvider") if name in at_hand]
        try:
            self._session: Any = onnxruntime.InferenceSession(str(weights), options, providers=providers)
        except _onnx_errors() as error:
            raise SetupError(
                f"weights {weights} are no ONNX network: {str(error).splitlines()[0]}",
                hint="fetch the file again, or give the right one",
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or list(inputs[0].shape[1:]) != [3, SIDE, SIDE]:
            raise SetupError(
                f"weights {weights} are no network from 3×{SIDE}×{SIDE} pixels to one vector",
                hint="give the pack's recognition file, not its detector",
            )
        self._input = inputs[0].name
        self._width = outputs[0].shape[-1]

    def embed(
        self, images: Tensor | Sequence[Pixels], points: Sequence[Sequence[Sequence[Sequence[float]]]]
    ) -> npt.NDArray[np.float32]:
        """Return embeddings ``[m, 512]``, not normalised; see `tokbench.networks.face.FaceEncoder.embed`."""
        import numpy as np

        from tokbench.networks.face import as_arrays

        rows = [
            self._look(norm_crop(image, face))
            for image, faces in zip(as_arrays(images), points, strict=True)
            for face in faces
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self._width), np.float32)

    def _look(self, chip: Pixels) -> npt.NDArray[np.float32]:
        import numpy as np

        scaled = ((chip.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None]
        found: npt.NDArray[np.float32] = self._session.run(None, {self._input: np.ascontiguousarray(scaled)})[
            0
        ]
        return found


def _onnx_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return (state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument, state.Fail, state.NoSuchFile)


def _load_antelopev2(weights: Mapping[str, Path], device: torch.device) -> ArcFace:
    return ArcFace(weights[ANTELOPEV2_WEIGHTS.name], device)


def _load_buffalo_l(weights: Mapping[str, Path], device: torch.device) -> ArcFace:
    return ArcFace(weights[BUFFALO_L_WEIGHTS.name], device)


ARCFACE_ANTELOPEV2 = Evaluator(
    name="arcface-antelopev2",
    title="ArcFace of antelopev2 (glintr100, Glint360K, 112 px, 512-d); non-commercial weights",
    license="LicenseRef-insightface-non-commercial",
    source="https://github.com/deepinsight/insightface",
    width=0,
    weights=(ANTELOPEV2_WEIGHTS,),
    packages=("onnxruntime", "cv2"),
    extra="face",
    load=_load_antelopev2,
)

ARCFACE_BUFFALO_L = Evaluator(
    name="arcface-buffalo_l",
    title="ArcFace of buffalo_l (w600k_r50, WebFace600K, 112 px, 512-d); non-commercial weights",
    license="LicenseRef-insightface-non-commercial",
    source="https://github.com/deepinsight/insightface",
    width=0,
    weights=(BUFFALO_L_WEIGHTS,),
    packages=("onnxruntime", "cv2"),
    extra="face",
    load=_load_buffalo_l,
)
