"""How pixels reach the tokenizer and the metrics, as a value with an identity.

A number without its protocol is not a result: every row carries `EvalProtocol.id`. The pixel work itself is in
`tokbench.images.preprocess`; this module only names it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Literal

from tokbench.errors import UnknownNameError, UsageError

Fit = Literal[
    "adm-crop",
    "bicubic-crop",
    "tensor-crop",
    "bilinear-noaa-crop",
    "lanczos-crop",
    "centre-crop",
    "native-pad",
    "fit-pad",
]


@dataclass(frozen=True)
class EvalProtocol:
    """One way to present an image to a tokenizer and to compare what comes back.

    Attributes:
        name: preset name, e.g. ``adm-256``.
        fit: what happens to the image.

            ``adm-crop``: halve with a box filter while the short side is at least twice the target, resize the short
            side with bicubic, crop the centre (guided-diffusion's ``center_crop_arr``; LlamaGen, VAR, RAE).
            ``bicubic-crop``: short side to the target with antialiased bicubic, crop the centre (torchvision
            ``Resize`` and ``CenterCrop`` on Pillow images; TiTok, MaskBit).
            ``tensor-crop``: the same on float tensors with antialiased bilinear, then rounded (LightningDiT; there the
            tokenizer is given the unrounded floats, here the rounded pixels).
            ``bilinear-noaa-crop``: short side to the target with OpenCV's bilinear, which does not antialias, crop the
            centre (albumentations ``SmallestMaxSize`` and ``CenterCrop``; SEED-Voken, WeTok).
            ``lanczos-crop``: cover the square with Lanczos, crop the centre (VTBench).
            ``centre-crop``: no resize, crop the centre; smaller images are refused (figures on Kodak crops).
            ``native-pad``: no resize; right and bottom are padded by edge replication to the tokenizer's stride, and
            the padding is cut off again before comparing.
            ``fit-pad``: fit into a square with Lanczos, paste centred on black; afterwards cut out, resize back with
            Lanczos and compare with the untouched original (TokBench, arXiv 2505.18142).
        resolution: side of the square in pixels; None for ``native-pad``.
    """

    name: str
    fit: Fit
    resolution: int | None

    @property
    def id(self) -> str:
        """Identity that enters result keys: the first 16 hex digits of a SHA-256 over the canonical JSON.

        The name is left out: two names for the same treatment are the same protocol. Rounding (half up, to uint8) and
        the reference (the same preprocessed images) are fixed for every protocol and part of ``version``.
        """
        settings = asdict(self) | {"version": 1}
        del settings["name"]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


_FAMILIES: dict[str, Fit] = {
    "adm": "adm-crop",
    "bicubic": "bicubic-crop",
    "crop": "centre-crop",
    "lightningdit": "tensor-crop",
    "seed": "bilinear-noaa-crop",
    "tokbench": "fit-pad",
    "vtbench": "lanczos-crop",
}

PRESETS: dict[str, EvalProtocol] = {
    **{
        f"{family}-{side}": EvalProtocol(f"{family}-{side}", fit, side)
        for family, fit in _FAMILIES.items()
        for side in (256, 512, 1024)
    },
    "native": EvalProtocol("native", "native-pad", None),
}


def get_protocol(name: str) -> EvalProtocol:
    """Look a protocol up by preset name; ``FAMILY-SIDE`` works for any side from 16 to 8192.

    Raises:
        UnknownNameError: no such family.
        UsageError: the side is out of range.
    """
    if name in PRESETS:
        return PRESETS[name]
    match = re.fullmatch(r"([a-z]+)-(\d+)", name)
    if match is None or match[1] not in _FAMILIES:
        raise UnknownNameError("protocol", name, PRESETS, hint=f"protocols are {', '.join(PRESETS)}")
    side = int(match[2])
    if not 16 <= side <= 8192:
        raise UsageError(
            f"protocol `{name}`: side {side} is out of range", hint="use a side from 16 to 8192 pixels"
        )
    return EvalProtocol(name, _FAMILIES[match[1]], side)
