# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.5", "torchvision", "timm", "einops", "pyyaml"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "vq"
# license = "MIT"
# source = "https://github.com/showlab/D-AR"
# revision = "3fb0f2dad0ee418aea412aa9c19e55c07aa080c3"
# trained_on = ["imagenet-train"]
# deterministic = false
#
# [tool.tokbench.environment]
# repository = "https://github.com/showlab/D-AR"
# commit = "3fb0f2dad0ee418aea412aa9c19e55c07aa080c3"
#
# [[tool.tokbench.tokenizers]]
# name = "d-ar-v1"
# description = "D-AR: 256 tokens in a row, coarse to fine, decoded by 8 steps of pixel diffusion, 307 M parameters"
# vocab = 16384
# tokens = 256
# resolution = 256
# stride = 256
# capabilities = ["codebook", "variable-length"]
# options.config = "tokenizer_v1"
# options.steps = 8
# options.lengths = [32, 64, 96, 128, 160, 192, 224, 256]
# [[tool.tokbench.tokenizers.weights]]
# name = "d-ar-v1"
# source = "hub:showlab/D-AR@main/D-AR-tokenizer_v1.pt"
# license = "MIT"
# ///
"""D-AR (Gao and Shou, arXiv 2505.23660): each 32 tokens condition one step of a diffusion decoder on pixels.

Noise is drawn for each picture from torch's generator, started from the picture's seed. A code cut short decodes
by as many steps as it has groups of 32; the last of these jumps to the estimate of the clean image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, own_noise

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class DAR:
    """256 ids in groups of 32, one group a step of denoising."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 256]``."""
        with own_noise(images.device):  # drawn for training and not used
            ids = self.model.extract_code((images * 2 - 1).to(self.kind))
        return Codes(ids=ids)

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``; `codes` hold whole groups of 32."""
        return torch.cat([self._decode_one(each) for each in codes.ids.split(1)])

    def lengths(self) -> tuple[int, ...]:
        """Return the multiples of a group."""
        return tuple(self.spec.options["lengths"])

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Keep the first `length` ids."""
        return Codes(ids=codes.ids[:, :length])

    def codebook(self) -> Tensor:
        """Return the entries, ``[16384, 8]``."""
        return F.normalize(self.model.quantize.embedding.weight, dim=-1)

    def _decode_one(self, ids: Tensor) -> Tensor:
        model, given = self.model, ids.shape[1]
        steps = given * model.denoising_steps // model.all_queries
        # What is not given is never looked at: decoding ends before, and attention is causal.
        padded = F.pad(ids, (0, model.all_queries - given))
        with own_noise(ids.device):
            pixels = model.decode_code(padded, clip_steps=steps if given < model.all_queries else None)
        return (pixels.float() + 1) / 2


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model from their configuration."""
    import yaml
    from config_util import Config
    from tokenizer.tokenizer_image.vq_model import VQModel

    config = yaml.safe_load((source / f"configs/{spec.options['config']}.yaml").read_text())["model"]
    config["num_denoising_steps"] = spec.options["steps"]
    model = VQModel(config)
    if weights:
        path = weights[spec.name]
        load_needed(model, load_checkpoint(path, classes=(Config,)), path, unused=("",))
    return DAR(spec, model.to(device, dtype).eval(), dtype)
