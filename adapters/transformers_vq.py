# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "vq"
# any_size = true
#
# [[tool.tokbench.tokenizers]]
# # unchecked: licence of the weights
# name = "janus-pro-vq"
# description = "VQ of Janus-Pro (LlamaGen's), f16, 16384 entries of 8, 71.9 M parameters"
# vocab = 16384
# tokens = 576
# resolution = 384
# stride = 16
# license = "Apache-2.0 AND LicenseRef-DeepSeek"
# source = "https://huggingface.co/deepseek-community/Janus-Pro-1B"
# capabilities = ["codebook", "encoder-features"]
# verified = ["library", "contract"]
# options.class = "JanusVQVAE"
# options.config = { num_patches = 24 }
# [[tool.tokbench.tokenizers.weights]]
# name = "janus-pro-vq"
# source = "hub:deepseek-community/Janus-Pro-1B@main/model.safetensors"
# select = "model.vqmodel."
# [[tool.tokbench.tokenizers.weights]]
# name = "janus-pro-vq-config"
# source = "hub:deepseek-community/Janus-Pro-1B@main/config.json"
# inside = "vq_config"
# optional = true
#
# [[tool.tokbench.tokenizers]]
# name = "emu3-vq"
# description = "VQ of Emu3 on a still picture, f8, 32768 entries of 4, 270.7 M parameters"
# vocab = 32768
# tokens = 4096
# resolution = 512
# stride = 8
# license = "Apache-2.0"
# source = "https://huggingface.co/BAAI/Emu3-VisionTokenizer"
# capabilities = ["codebook"]
# verified = ["keys", "library"]
# options.class = "Emu3VQVAE"
# [[tool.tokbench.tokenizers.weights]]
# name = "emu3-vq"
# source = "hub:BAAI/Emu3-VisionTokenizer@main/model.safetensors"
# ///
"""VQ autoencoders of Janus-Pro and Emu3, through transformers.

Ids are ``[n, h / f, w / f]``; any multiple of f will do. Two things that the library does are put right here.
`JanusVQVAE` looks for the nearest entry without bringing entries to unit length, as its authors (and LlamaGen's) do:
the entries are brought to unit length once, after which the nearest is the same for every length of the vector. It also
knows square pictures only: it is told the grid before each `decode`. `Emu3VQVAE` returns a list of ids and repeats the
picture in time by itself; its weights come from the authors' repository and are renamed. ``main`` stands where no
revision could be looked up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import normalize

from tokbench.nn.library import CodebookTokenizer, VectorTokenizer

if TYPE_CHECKING:
    from tokbench.tokenizer import Tokenizer, TokenSpec

# The names of BAAI/Emu3-VisionTokenizer, in the order of replacement.
_EMU3_NAMES = (
    (r"\.attn\.(\d+)\.norm\.", r".attn_norms.\1."),
    (r"\.attn_1\.norm\.", ".attn_norm."),
    (r"(\.attn(?:_1|\.\d+))\.([qkv])\.", r"\1.\2_proj."),
    (r"(\.attn(?:_1|\.\d+))\.proj_out\.", r"\1.out_proj."),
    (r"^encoder\.down\.", "encoder.down_block.down."),
    (r"^decoder\.up\.", "decoder.up_block.up."),
    (r"^(encoder|decoder)\.mid\.", r"\1.middle_block."),
)


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build the class that the variant names."""
    import transformers

    name = spec.options["class"]
    module = transformers.models.janus.modeling_janus if name == "JanusVQVAE" else transformers
    settings = getattr(transformers, f"{name}Config").from_dict(dict(spec.options.get("config", {})))
    network: torch.nn.Module = getattr(module, name)(settings)
    return network


def convert(state: dict[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Rename the authors' Emu3 weights; attention is a 1×1 convolution there and a matrix here."""
    if spec.options["class"] != "Emu3VQVAE":
        return state
    renamed = {}
    for name, value in state.items():
        for pattern, replacement in _EMU3_NAMES:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        renamed[name] = value[:, :, 0, 0] if name.endswith("_proj.weight") and value.ndim == 4 else value
    return renamed


def wrap(spec: TokenSpec, network: Any) -> Tokenizer:
    """Make a tokenizer of it."""
    if spec.options["class"] == "JanusVQVAE":
        return _janus(spec, network)

    def to_ids(pixels: torch.Tensor) -> torch.Tensor:
        sizes = torch.tensor([pixels.shape[2:]] * len(pixels))
        return torch.stack(network.encode(pixels, image_sizes=sizes).image_tokens)

    return CodebookTokenizer(
        spec=spec,
        network=network,
        forth=to_ids,
        back=network.decode,
        entries=lambda: network.quantize.embedding.weight,
    )


def _janus(spec: TokenSpec, network: Any) -> Tokenizer:
    table = network.quantize.embedding.weight
    table.data.copy_(normalize(table.data.float(), dim=1))

    def vectors(pixels: torch.Tensor) -> torch.Tensor:
        return network.quant_conv(network.encoder(pixels)).movedim(1, -1)  # type: ignore[no-any-return]

    def to_ids(pixels: torch.Tensor) -> torch.Tensor:
        stride = spec.stride
        grid = (pixels.shape[2] // stride, pixels.shape[3] // stride)
        ids: torch.Tensor = network.encode(pixels).image_tokens
        return ids.view(len(pixels), *grid)

    def to_pixels(ids: torch.Tensor) -> torch.Tensor:
        network.quantize.quant_state_dims = list(ids.shape[1:])
        pixels: torch.Tensor = network.decode(ids.flatten(1))
        return pixels

    return VectorTokenizer(
        spec=spec,
        network=network,
        forth=to_ids,
        back=to_pixels,
        entries=lambda: table,
        vectors=lambda pixels: normalize(vectors(pixels).float(), dim=-1),
    )
