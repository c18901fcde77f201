"""From whatever a decoder gives to 8-bit sRGB; the rules are stated in `tokbench.images.decode`."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    import numpy.typing as npt

_DEEP_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_PROFILE_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert a loaded image of any mode to RGB, composited on white.

    Raises:
        ValueError: the samples have no agreed meaning as 8-bit colour (floats outside [0, 1], LAB, …).
    """
    profile = image.info.get("icc_profile")
    alpha: Image.Image | None = None
    if image.mode in _DEEP_MODES:
        colour, alpha = _shallow(image)
    elif image.mode in _ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = rgba.getchannel("A")
        colour = image.convert("L") if image.mode == "LA" else rgba.convert("RGB")
    elif image.mode in ("1", "L"):
        colour = image.convert("L")
    else:
        colour = image if image.mode == "CMYK" else image.convert("RGB")
    colour = _managed(colour, profile)
    if alpha is None:
        return colour
    page = Image.new("RGB", colour.size, (255, 255, 255))
    page.paste(colour, mask=alpha)
    return page


def _shallow(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Reduce samples deeper than 8 bits to L, with the mask of a transparent level where one is declared."""
    samples: npt.NDArray[np.generic] = np.asarray(image)
    if image.mode == "F":
        if not (np.isfinite(samples).all() and samples.min() >= 0 and samples.max() <= 1):
            raise ValueError("floating-point samples must lie in [0, 1]; scale them before evaluating")
        levels = np.floor(samples.astype(np.float64) * 255 + 0.5).astype(np.uint8)
    else:
        integers = samples.astype(np.int64)
        if integers.min() < 0 or integers.max() > 65535:
            raise ValueError("integer samples must lie in [0, 65535]; scale them before evaluating")
        levels = ((integers + 128) // 257).astype(np.uint8)
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return Image.fromarray(levels), None
    return Image.fromarray(levels), Image.fromarray(np.where(samples == clear, 0, 255).astype(np.uint8))


def _managed(image: Image.Image, profile: object) -> Image.Image:
    """Apply an ICC profile if it is usable and not sRGB in disguise; otherwise convert plainly."""
    if not isinstance(profile, bytes) or _moves_nothing(profile, image.mode):
        return image.convert("RGB")
    transform = _transform(profile, image.mode)
    if transform is None:
        return image.convert("RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # None is for in-place conversion
    return converted


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the conversion to sRGB; None when the profile is broken or is for another kind of pixels."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _PROFILE_SPACES[mode]:
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, mode, "RGB", ImageCms.Intent.PERCEPTUAL)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@lru_cache(maxsize=32)
def _moves_nothing(profile: bytes, mode: str) -> bool:
    """Whether no colour of a coarse grid moves by more than one level.

    Remembered for the last few profiles: the images of a set mostly share one, and the answer takes some 8 ms.
    """
    transform = _transform(profile, mode)
    if transform is None or mode == "CMYK":
        return False
    steps = np.linspace(0, 255, 256 if mode == "L" else 17).round().astype(np.uint8)
    if mode == "L":
        grid, wanted = steps[None, :], np.repeat(steps[None, :, None], 3, axis=2)
    else:
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        wanted = grid
    moved = ImageCms.applyTransform(Image.fromarray(grid), transform)
    return bool(np.abs(np.asarray(moved).astype(np.int16) - wanted).max() <= 1)
