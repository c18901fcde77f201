"""A face detector with five points: MTCNN (Zhang et al., IEEE Signal Processing Letters 23(10), arXiv 1604.02878).

Own implementation over the weights of the package facenet-pytorch (MIT), whose order of steps and constants are kept.
Evaluation never detects faces; this proposes them when an image set is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.networks.base import Evaluator
from tokbench.weights import WeightFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor

    from tokbench.networks.mtcnn_nets import Stage

    Rows = npt.NDArray[np.float32]
    Box = tuple[float, float, float, float]
    Points = tuple[tuple[float, float], ...]


def _weight_file(letter: str, sha256: str, size: int) -> WeightFile:
    return WeightFile(
        name=f"mtcnn-{letter}net",
        source=f"pypi:facenet-pytorch==2.6.0/facenet_pytorch/data/{letter}net.pt",
        sha256=sha256,
        size=size,
        license="MIT",
    )


PNET = _weight_file("p", "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f", 28_570)
RNET = _weight_file("r", "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86", 403_147)
ONET = _weight_file("o", "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d", 1_559_269)

THRESHOLDS = (0.6, 0.7, 0.7)
"""Least probability of a face after each network."""
FACTOR = 0.709
"""From one scale of the pyramid to the next; about the root of one half."""
_AT_ONCE = 512  # squares judged together


class Mtcnn:
    """The cascade: proposals on a pyramid, refined in squares of 24 pixels, judged and given points in 48.

    Args:
        proposal: weights of the first network.
        refinement: of the second.
        output: of the third.
        device: where to run.

    Raises:
        SetupError: a file does not hold its network.
    """

    def __init__(self, proposal: Path, refinement: Path, output: Path, device: torch.device) -> None:
        from tokbench.networks.mtcnn_nets import OUTPUT, PROPOSAL, REFINEMENT, Stage

        self._proposal = Stage(PROPOSAL, proposal, device)
        self._refinement = Stage(REFINEMENT, refinement, device)
        self._output = Stage(OUTPUT, output, device)
        self._device = device

    def find_faces(
        self, image: npt.NDArray[np.uint8], smallest: float = 20.0
    ) -> list[tuple[float, Box, Points]]:
        """Find the faces of a picture.

        Args:
            image: uint8 ``[h, w, 3]``, RGB.
            smallest: side of the smallest face to look for, in pixels.

        Returns:
            Of each face, likeliest first: its probability; its box ``(x0, y0, x1, y1)`` in pixels, edge to edge, which
            may reach out of the picture; and the five points left eye, right eye, nose, left and right corner of the
            mouth (left in the image), the first pixel's centre being (0, 0).
        """
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(image.copy()).to(self._device).permute(2, 0, 1)[None].to(torch.float32)
            scores, boxes, points = self._judge(pixels, self._refine(pixels, self._propose(pixels, smallest)))
        boxes[:, :2] -= 1  # pixels were counted from 1, both ends included
        return [
            (float(score), (box[0], box[1], box[2], box[3]), tuple((x, y) for x, y in five))
            for score, box, five in zip(scores, boxes.tolist(), points.tolist(), strict=True)
        ]

    def _propose(self, pixels: Tensor, smallest: float) -> Rows:
        """Return squares that may hold a face."""
        import numpy as np
        from torch.nn import functional

        from tokbench.networks.mtcnn_boxes import best, cells, moved, pyramid, squares

        height, width = pixels.shape[-2:]
        # Columns: box, score, shifts.
        found = [np.zeros((0, 9), np.float32)]
        for scale in pyramid(height, width, smallest, FACTOR):
            size = (int(height * scale + 1), int(width * scale + 1))
            score, shift = self._proposal(functional.interpolate(pixels, size=size, mode="area"))
            rows, columns = np.nonzero(score[0].cpu().numpy() >= THRESHOLDS[0])
            boxes = cells(rows, columns, scale)
            scores, shifts = (part[0].cpu().numpy()[..., rows, columns].T for part in (score, shift))
            kept = best(boxes, scores, 0.5)
            found.append(np.concatenate((boxes, scores[:, None], shifts), 1)[kept])
        every = np.concatenate(found)
        every = every[best(every[:, :4], every[:, 4], 0.7)]
        return squares(moved(every[:, :4], every[:, 5:], ends=0))

    def _refine(self, pixels: Tensor, boxes: Rows) -> Rows:
        """Return those squares that still look like a face, placed better."""
        from tokbench.networks.mtcnn_boxes import best, moved, squares

        boxes, scores, shifts = self._look(self._refinement, THRESHOLDS[1], pixels, boxes)
        kept = best(boxes, scores, 0.7)
        return squares(moved(boxes[kept], shifts[kept]))

    def _judge(self, pixels: Tensor, boxes: Rows) -> tuple[Rows, Rows, Rows]:
        """Return probabilities, boxes and points, ``[n]``, ``[n, 4]`` and ``[n, 5, 2]``."""
        import numpy as np

        from tokbench.networks.mtcnn_boxes import best, moved

        boxes, scores, shifts, places = self._look(self._output, THRESHOLDS[2], pixels, boxes)
        # Five columns, then five rows, as parts of the square.
        size = boxes[:, 2:] - boxes[:, :2] + 1
        points = places.reshape(-1, 2, 5).transpose(0, 2, 1) * size[:, None] + boxes[:, None, :2] - 1
        placed = moved(boxes, shifts)
        kept = best(placed, scores, 0.7, ends=1, of_smaller=True)
        return scores[kept], placed[kept], np.asarray(points[kept], np.float32)

    def _look(self, stage: Stage, least: float, pixels: Tensor, boxes: Rows) -> tuple[Rows, ...]:
        """Judge boxes; return those above a probability, then what the network says of them."""
        import numpy as np
        import torch
        from torch.nn import functional

        from tokbench.networks.mtcnn_boxes import windows

        within = windows(boxes, *pixels.shape[-2:])
        seen = (within[:, :2] < within[:, 2:]).all(1)  # a box may have been shifted out of the picture
        side = (stage.shape.side,) * 2
        crops = [
            functional.interpolate(pixels[:, :, y0:y1, x0:x1], size=side, mode="area")
            for x0, y0, x1, y1 in within[seen].tolist()
        ]
        crops = crops or [pixels.new_zeros((0, 3, *side))]
        said = [stage(part) for part in torch.split(torch.cat(crops), _AT_ONCE)]
        scores, *others = (torch.cat(parts).cpu().numpy() for parts in zip(*said, strict=True))
        likely = scores > least
        return boxes[seen][likely], scores[likely], *(np.asarray(part)[likely] for part in others)


def _load(weights: Mapping[str, Path], device: torch.device) -> Mtcnn:
    return Mtcnn(weights[PNET.name], weights[RNET.name], weights[ONET.name], device)


MTCNN = Evaluator(
    name="mtcnn",
    title="MTCNN face detector with five points, own torch port; proposes faces for image sets",
    license="MIT",
    source="https://github.com/timesler/facenet-pytorch",
    width=0,
    weights=(PNET, RNET, ONET),
    packages=(),
    extra="",
    load=_load,
)
