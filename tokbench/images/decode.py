"""From encoded bytes to uint8 RGB pixels, by one stated rule.

1. The format is told from the first bytes, never from the name. PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG
   2000 and (with the ``jxl`` extra) JPEG XL are read; no other Pillow plugin is given a chance.
2. The size is read from the header and checked before anything is decoded. Pillow's own guard is a global
   setting that warns, so it is bypassed rather than changed.
3. Of an animation or a file of several pages the first frame counts.
4. Samples deeper than 8 bits: grey levels 0…65535 become ``(v + 128) // 257`` (nearest); floats in [0, 1]
   become ``floor(255 v + 0.5)``; anything outside these ranges is refused, not guessed. Pillow keeps only
   the high byte of 16-bit colour, so there it is ``v >> 8``; both rules give back every 8-bit level stored
   as ``257 v``.
5. An ICC profile that is valid and made for the image's kind of pixels is applied: perceptual intent, to
   sRGB. A profile that moves no colour by more than one level is sRGB, and the pixels are left as they are.
   A broken or mismatched profile is ignored, as browsers do: the pixels are there, and sRGB is the
   likeliest meaning.
6. CMYK and YCCK go through their profile; without one, Pillow's plain conversion. Grey, 1-bit and palette
   images become RGB.
7. Transparency is composited on white, after colour management: what is cut out or drawn on a clear ground
   (logos, figures, text) was mostly made for white pages, and black ink on black would vanish.
8. The EXIF orientation is applied last; a broken EXIF block counts as upright.

Truncated or damaged data is an `ImageError`, never a partly grey picture.
"""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from tokbench.errors import DataError, ImageError
from tokbench.images.colour import to_srgb
from tokbench.images.headers import describe_bytes, exif_orientation, jxl_size, sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt
    from PIL.ImageFile import ImageFile

LIMIT_PIXELS = 8192 * 8192
"""64 megapixels (binary): the largest image that is decoded unless a caller says otherwise."""


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """A JPEG whose EXIF Pillow leaves alone: it would seek a resolution there and warn of a broken block."""

    def _read_dpi_from_exif(self) -> None:
        pass


_OPENERS: dict[str, Callable[[io.BytesIO], ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": _Jpeg,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Decoded:
    """An image as everything downstream sees it.

    Attributes:
        pixels: uint8 ``[h, w, 3]``, sRGB, contiguous and writable.
        digest: 32 bytes, SHA-256 over width and height (little-endian uint32 each) and then the RGB bytes.
    """

    pixels: npt.NDArray[np.uint8]
    digest: bytes


def decode(data: bytes, name: str, *, limit: int = LIMIT_PIXELS) -> Decoded:
    """Decode one image.

    Args:
        data: the encoded file.
        name: what to call it in an error.
        limit: most pixels (width × height) that are decoded.

    Raises:
        ImageError: it is no image, too large, damaged, or of a kind the rule refuses; names the file and
            the reason.
    """
    kind = sniff(data)
    if not kind:
        reason, hint = describe_bytes(data)
        raise ImageError(f"{name}: {reason}", hint=hint)
    if kind == "JPEG XL" and (size := jxl_size(data)) is not None:
        _check_size(size, limit, name)
    try:
        image = _open(kind, data, name)
        _check_size(image.size, limit, name)
        image.load()
        picture = to_srgb(image)
        orientation = _orientation(kind, image)
        if orientation in _TRANSPOSES:
            picture = picture.transpose(_TRANSPOSES[orientation])
    except ImageError:
        raise
    except Exception as error:
        # Pillow's plugins answer hostile bytes with a dozen exception types (SyntaxError and struct.error
        # among them); each means that this image cannot be read, and the original is chained.
        raise ImageError(f"{name}: damaged or unsupported {kind}: {_reason(error)}") from error
    pixels = np.array(picture)
    return Decoded(pixels, pixel_digest(pixels))


def pixel_digest(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return the 32-byte digest of uint8 ``[h, w, 3]`` pixels that `Decoded` documents."""
    height, width = pixels.shape[:2]
    whole = hashlib.sha256(struct.pack("<II", width, height))
    whole.update(np.ascontiguousarray(pixels).data)
    return whole.digest()


def set_digest(pairs: Iterable[tuple[str, bytes]]) -> str:
    """Combine image digests into that of a set, whatever order or shards they come in.

    Args:
        pairs: ``(id, pixel digest)`` of every image.

    Returns:
        ``sha256:`` and the hex SHA-256 over, for each image by ascending id: the id in UTF-8, a NUL, its
        digest.

    Raises:
        DataError: an id occurs twice.
    """
    whole = hashlib.sha256()
    previous: str | None = None
    for name, digest in sorted(pairs):
        if name == previous:
            raise DataError(f"image id `{name}` occurs twice in the set")
        previous = name
        # File names need not be UTF-8; surrogateescape gives their own bytes back.
        whole.update(name.encode("utf-8", "surrogateescape") + b"\0" + digest)
    return f"sha256:{whole.hexdigest()}"


def _open(kind: str, data: bytes, name: str) -> ImageFile:
    if kind != "JPEG XL":
        return _OPENERS[kind](io.BytesIO(data))
    try:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile
    except ImportError as error:
        raise ImageError(
            f"{name}: JPEG XL needs a decoder that is not installed", hint="pip install 'tokbench[jxl]'"
        ) from error
    opened: ImageFile = JXLImageFile(io.BytesIO(data))
    return opened


def _orientation(kind: str, image: ImageFile) -> int:
    """Return the turn still to be made; TIFF and native JPEG XL are upright already when decoded."""
    if kind == "TIFF" or (kind == "JPEG XL" and not getattr(image, "jpeg", False)):
        return 1
    return exif_orientation(image.info.get("exif"))


def _check_size(size: tuple[int, int], limit: int, name: str) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{name}: the image is {width}×{height} pixels")
    if width * height > limit:
        raise ImageError(
            f"{name}: {width}×{height} is {width * height / 1e6:,.1f} megapixels, above the limit of "
            f"{limit / 1e6:,.1f}",
            hint="scale it down first, or leave it out",
        )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
