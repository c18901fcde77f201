"""A tokenizer whose codes are image files written by Pillow: the classical codecs in every rate plot."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from tokbench.errors import ContractError
from tokbench.images.rounding import from_uint8, to_uint8
from tokbench.tokenizer import Codes, TokenSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class ImageFileCodec:
    """Write each image as one file, read it back; the file is the payload, so its headers count as bits.

    Args:
        spec: what the header says.
        device: where decoded images go; the coding itself is Pillow's, on the CPU, one image after the other.
        file_format: Pillow's name of the format.
        settings: save options of that format.
    """

    def __init__(self, spec: TokenSpec, device: torch.device, file_format: str, **settings: Any) -> None:
        self.spec = spec
        self._device = device
        self._format = file_format
        self._settings = settings

    def encode(self, images: Tensor) -> Codes:
        """Write n files from ``[n, 3, h, w]`` in [0, 1], rounded to 8 bits."""
        from PIL import Image

        pixels = to_uint8(images).permute(0, 2, 3, 1).cpu().contiguous().numpy()
        payloads = []
        for array in pixels:
            file = io.BytesIO()
            Image.fromarray(array).save(file, format=self._format, **self._settings)
            payloads.append(file.getvalue())
        return Codes(payloads=tuple(payloads))

    def decode(self, codes: Codes) -> Tensor:
        """Read n files into float32 ``[n, 3, h, w]`` in [0, 1].

        Raises:
            ContractError: the codes are not payloads.
        """
        import numpy as np
        import torch
        from PIL import Image

        if not codes.payloads:
            raise ContractError(
                f"`{self.spec.name}`: got codes without payloads, wanted {self._format} files"
            )
        arrays = []
        for payload in codes.payloads:
            with Image.open(io.BytesIO(payload), formats=[self._format]) as image:
                arrays.append(np.asarray(image.convert("RGB")))
        pixels = torch.from_numpy(np.stack(arrays)).to(self._device)
        return from_uint8(pixels.permute(0, 3, 1, 2).contiguous())
