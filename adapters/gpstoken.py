# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.1", "torchvision", "numpy", "opencv-python-headless", "omegaconf", "safetensors"]
#
# [tool.tokbench]
# kind = "continuous"
# resolution = 256
# stride = 256
# license = "LicenseRef-none-stated"
# source = "https://github.com/xtudbxk/GPSToken"
# revision = "372231d1de74cf759dc20cef12455265010d803e"
# trained_on = ["imagenet-train"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/xtudbxk/GPSToken"
# commit = "372231d1de74cf759dc20cef12455265010d803e"
#
# [[tool.tokbench.tokenizers]]
# name = "gpstoken-s64"
# description = "GPSToken: 64 Gaussians of 5 numbers for place and 16 for content, 128 M parameters"
# tokens = 64
# channels = 21
# options.config = "gpstoken_s64"
# weights = [{ name = "gpstoken-s64", source = "hub:xtudbxk/GPSToken@main/gpstoken_s64.safetensors" }]
#
# [[tool.tokbench.tokenizers]]
# name = "gpstoken-m128"
# description = "GPSToken: 128 Gaussians of 5 numbers for place and 16 for content, 128 M parameters"
# tokens = 128
# channels = 21
# options.config = "gpstoken_m128"
# weights = [{ name = "gpstoken-m128", source = "hub:xtudbxk/GPSToken@main/gpstoken_m128.safetensors" }]
#
# [[tool.tokbench.tokenizers]]
# name = "gpstoken-l256"
# description = "GPSToken: 256 Gaussians of 5 numbers for place and 32 for content, 129 M parameters"
# tokens = 256
# channels = 37
# options.config = "gpstoken_l256"
# weights = [{ name = "gpstoken-l256", source = "hub:xtudbxk/GPSToken@main/gpstoken_l256.safetensors" }]
# ///
"""GPSToken (Zhang et al., arXiv 2509.01109): Gaussians placed where the picture is busy, splatted and decoded.

Where they start comes from the authors' splitting of the picture into regions of like entropy, on the CPU. Splatting is
done here in torch from its definition in place of their CUDA extension, which a compiler would have to build: terms are
added in another order. The README has a badge of Apache-2.0 and there is no licence file. Only the name of the M128
file stands in the repository; the others follow it and were not checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_GREY = (0.299, 0.587, 0.114)


def splat(sigmas: Tensor, centres: Tensor, colours: Tensor, size: tuple[int, int], reach: float) -> Tensor:
    """Add up Gaussians of height 1 times their colours, each as far as `reach` of its standard deviations.

    Args:
        sigmas: ``[s, 3]``: deviation along x, along y, and correlation; the picture spans [-1, 1] both ways.
        centres: ``[s, 2]``, x and y.
        colours: ``[s, c]``.
        size: rows and columns.
        reach: in standard deviations along each axis.

    Returns:
        ``[rows, columns, c]``.
    """
    x, y = (torch.linspace(-1, 1, side, device=sigmas.device, dtype=sigmas.dtype) for side in size[::-1])
    dx = (x.view(1, -1, 1) - centres[:, 0]) / sigmas[:, 0]
    dy = (y.view(-1, 1, 1) - centres[:, 1]) / sigmas[:, 1]
    rho = sigmas[:, 2]
    heights = torch.exp(-(dx * dx - 2 * rho * dx * dy + dy * dy) / (2 * (1 - rho * rho)))
    return (heights * ((dx.abs() <= reach) & (dy.abs() <= reach))) @ colours


class GPSToken:
    """A set of Gaussians, ``(sigma x, sigma y, rho, x, y, content …)`` each."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype, weight: float) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind
        self.weight = weight

    def encode(self, images: Tensor) -> Codes:
        """Return latents ``[n, tokens, channels]``."""
        from datasets.adaptivegps import adaptive_initialize

        pixels = images * 2 - 1
        grey = sum(part * pixels[:, channel] for channel, part in enumerate(_GREY))
        starts = [
            adaptive_initialize(self.spec.tokens, img=each, weight=self.weight) for each in grey.cpu().numpy()
        ]
        gaussians, regions = (
            torch.stack([torch.from_numpy(start[part]) for start in starts]).to(images.device, self.kind)
            for part in (0, 1)
        )
        latents = self.model.encode(pixels.to(self.kind), init_gpscodes=gaussians, regions=regions)
        return Codes(latents=latents.float())

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        return (self.model.decode(codes.latents.to(self.kind)).float() + 1) / 2


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model from their configuration."""
    from omegaconf import OmegaConf

    stand_in("albumentations")
    stand_in("gscuda.gswrapper", gaussiansplatting_render=splat)
    from models.gpstoken import GPSToken as Model

    config = OmegaConf.to_container(OmegaConf.load(source / f"configs/{spec.options['config']}.yaml"))[
        "model"
    ]
    model = Model(decoderconfig=config["decoderconfig"], gpsconfig=config["gpsconfig"])
    if weights:
        path = weights[spec.name]
        load_needed(model, load_checkpoint(path), path, unused=("",))  # the file has the losses' networks too
    weight = config["gpsconfig"]["gps_adaptive_w"]
    return GPSToken(spec, model.to(device, dtype).eval(), dtype, weight)
