"""Parameter names of the convolutional autoencoders that descend from VQGAN, turned into those of diffusers.

The encoder and decoder of taming-transformers (Esser et al., arXiv 2012.09841) live on in latent diffusion, Chameleon,
IBQ, MoVQGAN, MAR, VA-VAE and VAR under the same names, and in LlamaGen under others. diffusers holds the same network:

======================  ==========================================
published               diffusers
======================  ==========================================
``down.I.block.J``      ``down_blocks.I.resnets.J``
``down.I.attn.J``       ``down_blocks.I.attentions.J``
``down.I.downsample``   ``down_blocks.I.downsamplers.0``
``up.I``                ``up_blocks.(levels - 1 - I)``, likewise
``mid.block_1``, `_2`   ``mid_block.resnets.0``, `.1`
``mid.attn_1``          ``mid_block.attentions.0``
``norm_out``            ``conv_norm_out``
``nin_shortcut``        ``conv_shortcut``
``q k v proj_out``      ``to_q to_k to_v to_out.0``, 1×1 convolutions as linear maps
``norm`` of attention   ``group_norm``, or ``spatial_norm`` where it has ``norm_layer``, ``conv_y``, ``conv_b``
``qkv``                 the three, in this order along the first axis (VAR)
======================  ==========================================
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.", "quantize.")
"""How the names of a tokenizer's own tensors start; checkpoints also hold losses, averages and frozen teachers."""

_CONV_BLOCKS = re.compile(r"(encoder|decoder)\.conv_blocks\.(\d+)\.(?:(res)\.)?(.*)")
_LEVEL = re.compile(r"(encoder|decoder)\.(?:down|up)\.(\d+)\.(.*)")
_INSIDE = (
    (re.compile(r"^block\.(\d+)\."), r"resnets.\1."),
    (re.compile(r"^attn\.(\d+)\."), r"attentions.\1."),
    (re.compile(r"^downsample\."), "downsamplers.0."),
    (re.compile(r"^upsample\."), "upsamplers.0."),
)
_PLAIN = (
    (".mid.block_1.", ".mid_block.resnets.0."),
    (".mid.attn_1.", ".mid_block.attentions.0."),
    (".mid.block_2.", ".mid_block.resnets.1."),
    (".norm_out.", ".conv_norm_out."),
    (".nin_shortcut.", ".conv_shortcut."),
)
_ATTENTION = re.compile(r"(.*\.attentions\.\d+)\.(\w+)\.(.*)")
_LINEAR = {
    "q": ("to_q",),
    "k": ("to_k",),
    "v": ("to_v",),
    "proj_out": ("to_out.0",),
    "qkv": ("to_q", "to_k", "to_v"),
}


def own_parts(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keep the tensors of the tokenizer itself (`PARTS`)."""
    return {name: value for name, value in state.items() if name.startswith(PARTS)}


def to_diffusers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the encoder's and decoder's tensors; all others keep their names.

    Args:
        state: published names and tensors; tensors on the meta device will do.
    """
    levels = 1 + max((int(match[2]) for name in state if (match := _LEVEL.match(name))), default=0)
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        renamed.update(_attention(_block(name, levels), value))
    return renamed


def llamagen_to_taming(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo LlamaGen's own names.

    They are ``conv_blocks.I.res.J`` for ``down.I.block.J``; in the decoder they count from coarse to fine; and
    ``mid.0`` to ``mid.2`` are the two blocks and the attention between them.
    """
    levels = 1 + max((int(match[2]) for name in state if (match := _CONV_BLOCKS.match(name))), default=0)
    return {_taming_name(name, levels): value for name, value in state.items()}


def _taming_name(name: str, levels: int) -> str:
    match = _CONV_BLOCKS.match(name)
    if match is not None:
        half, level, block, rest = match.groups()
        place = f"down.{level}" if half == "encoder" else f"up.{levels - 1 - int(level)}"
        return f"{half}.{place}.{'block.' if block else ''}{rest}"
    for index, part in enumerate(("block_1", "attn_1", "block_2")):
        name = name.replace(f".mid.{index}.", f".mid.{part}.")
    return name


def average_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the moving average in the place of each trained tensor that has one.

    Such checkpoints hold it as ``model_ema.`` and the name without its dots (latent diffusion's `LitEma`).
    """
    return {
        name: state.get(f"model_ema.{name.replace('.', '')}", value)
        for name, value in state.items()
        if not name.startswith("model_ema.")
    }


def _block(name: str, levels: int) -> str:
    match = _LEVEL.match(name)
    if match is not None:
        half, level, inside = match.groups()
        for pattern, new in _INSIDE:
            inside = pattern.sub(new, inside)
        place = f"down_blocks.{level}" if half == "encoder" else f"up_blocks.{levels - 1 - int(level)}"
        name = f"{half}.{place}.{inside}"
    for old, new in _PLAIN:
        name = name.replace(old, new)
    return name


def _attention(name: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    match = _ATTENTION.match(name)
    if match is None:
        yield name, value
    elif match[2] == "norm":
        # A group norm has a weight and a bias; the spatial norm of MoVQ has three layers of its own.
        kind = "spatial_norm" if "." in match[3] else "group_norm"
        yield f"{match[1]}.{kind}.{match[3]}", value
    else:
        new = _LINEAR.get(match[2], (match[2],))
        matrix = value.flatten(1) if value.ndim > 1 else value
        yield from zip((f"{match[1]}.{part}.{match[3]}" for part in new), matrix.chunk(len(new)), strict=True)
