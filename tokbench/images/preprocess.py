"""The pixel work of protocols: what of an image reaches the tokenizer, and what its output is compared with.

Pure functions on uint8 arrays ``[h, w, 3]``. Every resize is Pillow's, on uint8, because that is what the
published evaluations used; `tokbench.protocol` says where each fit comes from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from tokbench.errors import ContractError, ImageError

if TYPE_CHECKING:
    from tokbench.protocol import EvalProtocol

Pixels = npt.NDArray[np.uint8]

MAX_RESIZED_PIXELS = 8192 * 8192
"""No resize makes more than this: scaling the short side of a 1 × 10,000 image to 256 would ask for 2 GB."""


@dataclass(frozen=True)
class Placement:
    """Where a point ``(x, y)`` of the image lies in the reference: ``(x · scale_x - left, y · scale_y - top)``."""

    scale_x: float = 1.0
    scale_y: float = 1.0
    left: float = 0.0
    top: float = 0.0


@dataclass(frozen=True)
class Prepared:
    """An image as a protocol presents it.

    Attributes:
        reference: uint8 ``[h, w, 3]``, what reconstructions are compared with.
        canvas: uint8 ``[H, W, 3]``, what the tokenizer is given (before `pad`).
        box: ``(x0, y0, x1, y1)`` in pixels, where the image lies inside the canvas, ends exclusive.
        placement: how a point of the file's image is found in `reference`.
    """

    reference: Pixels
    canvas: Pixels
    box: tuple[int, int, int, int]
    placement: Placement


def prepare(pixels: Pixels, protocol: EvalProtocol, name: str = "image") -> Prepared:
    """Present one image as `protocol` says.

    Args:
        pixels: uint8 ``[h, w, 3]``, RGB, both sides at least 1.
        protocol: the fit and its side.
        name: the image's name, for the error.

    Raises:
        ImageError: the image is so elongated that resizing it would exceed `MAX_RESIZED_PIXELS`.
    """
    if protocol.fit == "fit-pad":
        return _fit_pad(pixels, _side(protocol))
    placement = Placement()
    if protocol.fit == "native-pad":
        canvas = pixels
    elif protocol.fit == "adm-crop":
        canvas, placement = _adm_crop(pixels, _side(protocol), name)
    else:
        canvas, placement = _bicubic_crop(pixels, _side(protocol), name)
    height, width = canvas.shape[:2]
    return Prepared(reference=canvas, canvas=canvas, box=(0, 0, width, height), placement=placement)


def pad(canvas: Pixels, stride: int) -> Pixels:
    """Extend right and bottom to multiples of `stride` by repeating the last column and row."""
    height, width = canvas.shape[:2]
    below, right = -height % stride, -width % stride
    if below == right == 0:
        return canvas
    return np.pad(canvas, ((0, below), (0, right), (0, 0)), mode="edge")


def restore(output: Pixels, prepared: Prepared) -> Pixels:
    """Turn what came back for a (padded) canvas into what is compared with ``prepared.reference``.

    Cuts the padding of `pad` off, cuts the image out of the canvas, and if the protocol had scaled it
    resizes it back with Lanczos.

    Args:
        output: uint8 ``[H', W', 3]`` with H' and W' at least the canvas's.
        prepared: what `prepare` gave for the image.

    Raises:
        ContractError: the output is smaller than the canvas.
    """
    height, width = prepared.canvas.shape[:2]
    if output.shape[0] < height or output.shape[1] < width or output.shape[2:] != (3,):
        raise ContractError(
            f"reconstruction has shape {list(output.shape)}, wanted at least {[height, width, 3]}",
            hint="`decode` must return images of the size `encode` was given",
        )
    x0, y0, x1, y1 = prepared.box
    cut = output[y0:y1, x0:x1]
    if cut.shape == prepared.reference.shape:
        return np.ascontiguousarray(cut)
    height, width = prepared.reference.shape[:2]
    return np.array(_image(cut).resize((width, height), Image.Resampling.LANCZOS))


def _side(protocol: EvalProtocol) -> int:
    if protocol.resolution is None:
        raise ValueError(f"protocol `{protocol.name}` ({protocol.fit}) has no resolution")
    return protocol.resolution


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels))


def _check_size(size: tuple[int, int], resized: tuple[int, int], name: str) -> None:
    if resized[0] * resized[1] > MAX_RESIZED_PIXELS:
        raise ImageError(
            f"{name}: {size[0]}×{size[1]} is too elongated for a crop; resizing its short side first "
            f"would make {resized[0]}×{resized[1]} pixels",
            hint="use a `tokbench-SIDE` or `native` protocol, which keep the whole image",
        )


def _adm_crop(pixels: Pixels, side: int, name: str) -> tuple[Pixels, Placement]:
    """Crop as guided-diffusion's ``center_crop_arr`` does."""
    image = _image(pixels)
    while min(image.size) >= 2 * side:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = side / min(image.size)
    resized = (round(image.width * scale), round(image.height * scale))
    _check_size(image.size, resized, name)
    image = image.resize(resized, Image.Resampling.BICUBIC)
    x, y = (image.width - side) // 2, (image.height - side) // 2
    return np.array(image.crop((x, y, x + side, y + side))), _placement(pixels, resized, x, y)


def _bicubic_crop(pixels: Pixels, side: int, name: str) -> tuple[Pixels, Placement]:
    """Crop as torchvision's ``Resize(side, BICUBIC)`` and ``CenterCrop(side)`` do on Pillow images.

    The long side is truncated, not rounded, and crop offsets round half to even.
    """
    image = _image(pixels)
    short = min(image.size)
    resized = (
        side if image.width == short else int(side * image.width / short),
        side if image.height == short else int(side * image.height / short),
    )
    _check_size(image.size, resized, name)
    if resized != image.size:
        image = image.resize(resized, Image.Resampling.BICUBIC)
    x, y = round((image.width - side) / 2), round((image.height - side) / 2)
    return np.array(image.crop((x, y, x + side, y + side))), _placement(pixels, resized, x, y)


def _placement(pixels: Pixels, resized: tuple[int, int], left: int, top: int) -> Placement:
    height, width = pixels.shape[:2]
    return Placement(resized[0] / width, resized[1] / height, left, top)


def _fit_pad(pixels: Pixels, side: int) -> Prepared:
    """Fit into a black square as TokBench's ``smart_padding`` does (arXiv 2505.18142).

    Sizes are rounded up. Where float error would push one a pixel past the square (sides that are no power of
    two; the published settings are), it is held at the square.
    """
    height, width = pixels.shape[:2]
    scale = min(side / width, side / height)
    size = (min(side, math.ceil(width * scale)), min(side, math.ceil(height * scale)))
    x, y = (side - size[0]) // 2, (side - size[1]) // 2
    canvas = np.zeros((side, side, 3), np.uint8)
    canvas[y : y + size[1], x : x + size[0]] = np.asarray(
        _image(pixels).resize(size, Image.Resampling.LANCZOS)
    )
    return Prepared(
        reference=pixels, canvas=canvas, box=(x, y, x + size[0], y + size[1]), placement=Placement()
    )
