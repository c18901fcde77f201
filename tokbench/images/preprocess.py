"""The pixel work of protocols: what of an image reaches the tokenizer, and what its output is compared with.

Pure functions on uint8 arrays ``[h, w, 3]``. Every resize is Pillow's, on uint8, because that is what most
published evaluations used, but for the two of `tokbench.images.resample`; `tokbench.protocol` says where each fit
comes from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from tokbench.errors import ContractError, ImageError
from tokbench.images.resample import opencv_bilinear, tensor_bilinear

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
        ImageError: the image is so elongated that resizing it would exceed `MAX_RESIZED_PIXELS`, or smaller than
            a crop that does not resize.
    """
    if protocol.fit == "fit-pad":
        return _fit_pad(pixels, _side(protocol))
    placement = Placement()
    if protocol.fit == "native-pad":
        canvas = pixels
    else:
        canvas, placement = _CROPS[protocol.fit](pixels, _side(protocol), name)
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
    resized = _short_side(image.size, side)
    _check_size(image.size, resized, name)
    if resized != image.size:
        image = image.resize(resized, Image.Resampling.BICUBIC)
    x, y = round((image.width - side) / 2), round((image.height - side) / 2)
    return np.array(image.crop((x, y, x + side, y + side))), _placement(pixels, resized, x, y)


def _tensor_crop(pixels: Pixels, side: int, name: str) -> tuple[Pixels, Placement]:
    """Crop as torchvision's ``Resize(side)`` and ``CenterCrop(side)`` do on float tensors (LightningDiT)."""
    size = (pixels.shape[1], pixels.shape[0])
    width, height = _short_side(size, side)
    _check_size(size, (width, height), name)
    x, y = round((width - side) / 2), round((height - side) / 2)
    return _window(tensor_bilinear(pixels, width, height), side, x, y), _placement(
        pixels, (width, height), x, y
    )


def _opencv_crop(pixels: Pixels, side: int, name: str) -> tuple[Pixels, Placement]:
    """Crop as albumentations' ``SmallestMaxSize(side)`` and ``CenterCrop(side, side)`` do (SEED-Voken)."""
    size = (pixels.shape[1], pixels.shape[0])
    scale = side / min(size)
    width, height = round(size[0] * scale), round(size[1] * scale)
    _check_size(size, (width, height), name)
    resized = pixels if (width, height) == size else opencv_bilinear(pixels, width, height)
    x, y = (width - side) // 2, (height - side) // 2
    return _window(resized, side, x, y), _placement(pixels, (width, height), x, y)


def _lanczos_crop(pixels: Pixels, side: int, name: str) -> tuple[Pixels, Placement]:
    """Cover the square with Lanczos and crop the centre, as VTBench's ``pil_to_tensor`` does."""
    image = _image(pixels)
    scale = max(side / image.width, side / image.height)
    resized = (round(image.width * scale), round(image.height * scale))
    _check_size(image.size, resized, name)
    x, y = (resized[0] - side) // 2, (resized[1] - side) // 2
    covered = np.array(image.resize(resized, Image.Resampling.LANCZOS))
    return _window(covered, side, x, y), _placement(pixels, resized, x, y)


def _centre_crop(pixels: Pixels, side: int, name: str) -> tuple[Pixels, Placement]:
    """Crop the centre as it is."""
    height, width = pixels.shape[:2]
    if min(width, height) < side:
        raise ImageError(
            f"{name}: {width}×{height} is smaller than the crop of {side}×{side}",
            hint="use a protocol that resizes, e.g. `adm-256`",
        )
    x, y = (width - side) // 2, (height - side) // 2
    return _window(pixels, side, x, y), _placement(pixels, (width, height), x, y)


_CROPS = {
    "adm-crop": _adm_crop,
    "bicubic-crop": _bicubic_crop,
    "tensor-crop": _tensor_crop,
    "bilinear-noaa-crop": _opencv_crop,
    "lanczos-crop": _lanczos_crop,
    "centre-crop": _centre_crop,
}


def _window(pixels: Pixels, side: int, x: int, y: int) -> Pixels:
    return np.ascontiguousarray(pixels[y : y + side, x : x + side])


def _short_side(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Scale the short side to `side`; torchvision truncates the long one."""
    short = min(size)
    return (
        side if size[0] == short else int(side * size[0] / short),
        side if size[1] == short else int(side * size[1] / short),
    )


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
