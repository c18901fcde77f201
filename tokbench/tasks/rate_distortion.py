"""Rate–distortion: quality over bits, from one encode for codes that can be cut short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokbench.metrics.frechet import FD_LITE0
from tokbench.metrics.perceptual import FEAT_LITE0
from tokbench.metrics.pixel import PSNR
from tokbench.metrics.rate import BPP, BPP_ENTROPY
from tokbench.metrics.structural import SSIM
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task
from tokbench.views import CLEAN, View

if TYPE_CHECKING:
    from tokbench.tokenizer import Codes, TokenSpec
    from tokbench.views import Encoded

GRID = (1, 2, 3, 4, 8, 16, 32, 64, 96, 128, 192, 256)
"""Lengths that are looked at, in tokens or quantiser levels: the grid that One-D-Piece, FlexTok and KARL share, and 3.

The three matters for residual quantisers of four levels: Bjøntegaard's classic fit needs four points.
"""


@dataclass(frozen=True)
class Truncated:
    """The first `length` tokens or levels of the codes."""

    length: int

    def __call__(self, encoded: Encoded) -> Codes:
        """Cut the codes short; the view asks for the capability, so the tokenizer has it."""
        codes: Codes = encoded.tokenizer.truncate(encoded.codes, self.length)  # type: ignore[attr-defined]
        return codes


@dataclass(frozen=True)
class HasLength:
    """Whether a tokenizer can be cut to `length`, which its header states under ``options.lengths``."""

    length: int

    def __call__(self, spec: TokenSpec) -> str:
        """Return "" or the reason why not."""
        lengths = tuple(spec.options.get("lengths", ()))
        if not lengths:
            return "its header states no lengths (options.lengths)"
        if self.length == max(lengths):
            return f"length {self.length} is the whole code: see the clean view"
        return "" if self.length in lengths else f"has no length {self.length}"


RATE_DISTORTION = Task(
    name="rate-distortion",
    version=1,
    title="quality over bits per pixel; variable-length codes are cut to each length after one encode",
    protocol=get_protocol("adm-256"),
    metrics=(BPP, BPP_ENTROPY, PSNR, SSIM, FEAT_LITE0, FD_LITE0),
    headline=("bpp", "bpp_entropy", "psnr", "ssim", "feat_lite0", "fd_lite0"),
    primary="psnr",
    views=(
        CLEAN,
        *(View(f"k={length}", Truncated(length), ("variable-length",), HasLength(length)) for length in GRID),
    ),
)
