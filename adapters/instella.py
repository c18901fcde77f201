# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.1", "einops", "diffusers", "transformers>=4.53.1", "safetensors"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "lfq"
# vocab = 2
# codebooks = 64
# tokens = 128
# license = "LicenseRef-AMD-Research-RAIL-MS"
# source = "https://github.com/AMD-AGI/Instella-T2I"
# revision = "5b1a25dd6566ce2ec7a3b6caaad61d1fb4c784d9"
# trained_on = ["laion-coco", "dalle3-1m", "diffusiondb-prompts"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/AMD-AGI/Instella-T2I"
# commit = "5b1a25dd6566ce2ec7a3b6caaad61d1fb4c784d9"
#
# [[tool.tokbench.tokenizers]]
# name = "instella-t2i-1024"
# description = "Instella-T2I's tokenizer at 1024: 128 tokens in a row of 64 bits each"
# resolution = 1024
# stride = 1024
# weights = [{ name = "instella-t2i-bae", source = "hub:amd/Instella-T2I@main/bae/model.safetensors" }]
#
# [[tool.tokbench.tokenizers]]
# name = "instella-t2i-512"
# description = "Instella-T2I's tokenizer at 512: 128 tokens in a row of 64 bits each, the same weights"
# resolution = 512
# stride = 512
# weights = [{ name = "instella-t2i-bae", source = "hub:amd/Instella-T2I@main/bae/model.safetensors" }]
# ///
"""Instella-T2I (Wang et al., arXiv 2506.21022): an image of any size up to 1024 as 128 tokens of 64 bits.

The bits of a token are its codebooks here, as 64 of them fit no integer. Positions are those of a picture of 1024
pixels, whatever its size. The authors' attention calls flash-attn, which has no CPU; torch's own stands for it. Code
and weights are for research only.
"""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_TRAINED_AT = 1024


class Settings(dict[str, Any]):
    """The authors' configuration: names of it are read as attributes and through `get`."""

    __getattr__ = dict.__getitem__


class Instella:
    """64 bits a token."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return bits ``[n, 64, 128]``."""
        bits = self.model.encode((images * 2 - 1).to(self.kind))[2]["binary_code"]
        return Codes(ids=bits.long().transpose(1, 2))

    def decode(self, codes: Codes) -> Tensor:
        """Return images of the native size."""
        side = self.spec.resolution // self.model.configs.patch_size
        bits = codes.ids.transpose(1, 2).to(self.kind)
        return (self.model.decode(bits, side, side).float() + 1) / 2


def attend(q: Tensor, k: Tensor, v: Tensor, *rest: Any, **settings: Any) -> Tensor:
    """Attend over everything, ``[n, rows, heads, dim]``, as the authors ask of flash-attn."""
    return F.scaled_dot_product_attention(*(each.transpose(1, 2) for each in (q, k, v))).transpose(1, 2)


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model from their configuration."""
    from transformers import utils

    # Gone from later versions of transformers, and about flash-attn.
    vars(utils).setdefault("is_flash_attn_greater_or_equal_2_10", bool)
    from bae import ae_model, llama_attn

    llama_attn._flash_attention_forward = attend
    model = ae_model.BAE_Model(Settings(runpy.run_path(str(source / "configs/bae_config.py"))))
    model.set_scale(_TRAINED_AT)
    if weights:
        path = weights["instella-t2i-bae"]
        load_needed(model, load_checkpoint(path), path)
    return Instella(spec, model.to(device, dtype).eval(), dtype)
