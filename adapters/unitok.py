# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench", "timm>=1.0.8"]
#
# [tool.tokbench]
# families = ["unitok"]
# license = "MIT"
# source = "https://github.com/FoundationVision/UniTok"
# revision = "bb8012e8e8d7be66928bedd80506c56a55ea6305"
# verified = ["golden", "keys", "contract"]
#
# [[tool.tokbench.tokenizers]]
# name = "unitok"
# description = "UniTok: 8 codebooks of 4096 entries at f16, trained for images and for CLIP alike, 820 M parameters"
# kind = "discrete"
# quantizer = "product"
# codebooks = 8
# vocab = 4096
# tokens = 256
# resolution = 256
# stride = 16
# trained_on = ["datacomp-1b"]
# capabilities = ["codebook", "encoder-features"]
#
# [tool.tokbench.tokenizers.options.config]
# model = "vitamin_large"
# img_size = 256
# num_query = 0
# vocab_size = 32768
# vocab_width = 64
# num_codebooks = 8
# quant_proj = "attn"
#
# [[tool.tokbench.tokenizers.weights]]
# name = "unitok"
# source = "hub:FoundationVision/unitok_tokenizer@main/unitok_tokenizer.pth"
# license = "MIT"
# inside = "trainer.unitok"
# ///
"""UniTok (Ma et al., arXiv 2502.20321): a ViTamin encoder and its mirror, with eight codebooks side by side.

The blocks are timm's; the authors' code needs timm 1.0.8, the classes used here are there in later releases too. Its
text tower and the two layers behind the image features serve CLIP, not reconstruction, and are left out.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)
from timm.models.vision_transformer import Block
from timm.models.vitamin import MbConvStages, VitCfg
from torch import Tensor, nn

from tokbench.errors import SetupError
from tokbench.nn.autoencoders import CodebookTokenizer, discrete_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokbench.tokenizer import Tokenizer, TokenSpec

_LARGE = {"embed_dim": (160, 320, 1024), "depths": (2, 4, 1), "stem_width": 160, "depth": 31, "num_heads": 16}
_BASE = {"embed_dim": (128, 256, 768), "depths": (2, 4, 1), "stem_width": 128, "depth": 14, "num_heads": 12}
_SIZES = {"vitamin_large": _LARGE, "vitamin_base": _BASE}
_NOT_FOR_IMAGES = ("text_encoder.", "fc_norm.", "projection.", "logit_scale")
_layer_norm = partial(nn.LayerNorm, eps=1e-6)


class _GatedMlp(nn.Module):
    """A gated MLP behind a layer norm of its own."""

    def __init__(self, in_features: int, hidden_features: int, **_: object) -> None:
        super().__init__()
        self.norm = _layer_norm(in_features)
        self.w0 = nn.Linear(in_features, hidden_features)
        self.w1 = nn.Linear(in_features, hidden_features)
        self.w2 = nn.Linear(hidden_features, in_features)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        out: Tensor = self.w2(F.gelu(self.w0(x), approximate="tanh") * self.w1(x))
        return out


class _Attention(nn.Module):
    """Attention between widths: narrowing averages over heads, widening puts them side by side."""

    def __init__(self, inputs: int, outputs: int, heads: int) -> None:
        super().__init__()
        inner = max(inputs, outputs)
        self.narrows, self.heads, self.outputs = inputs > outputs, heads, outputs
        self.qkv = nn.Linear(inputs, 3 * inner, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(inner))
        self.v_bias = nn.Parameter(torch.zeros(inner))
        self.register_buffer("zero_k_bias", torch.zeros(inner))
        self.proj = nn.Linear(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        bias = torch.cat([self.q_bias, self.zero_k_bias, self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).reshape(n, length, 3, self.heads, -1)
        mixed = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4).unbind(0))
        if not self.narrows:
            mixed = mixed.transpose(1, 2).reshape(n, length, -1)
        else:
            mixed = mixed.mean(1)
            if mixed.shape[-1] != self.outputs:
                mixed = F.adaptive_avg_pool1d(mixed, self.outputs)
        out: Tensor = self.proj(mixed)
        return out


class _AttentionProjection(nn.Module):
    """From one width to another, with every position in view."""

    def __init__(self, inputs: int, outputs: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(inputs)
        self.attn = _Attention(inputs, outputs, heads)
        self.proj = nn.Linear(inputs, outputs)
        self.norm3 = nn.LayerNorm(inputs)
        self.norm2 = nn.LayerNorm(outputs)
        self.mlp = _GatedMlp(outputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(self.norm3(x)) + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of ``[n, c, h, w]``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Upsample(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class _InvertedBlock(nn.Module):
    """A depthwise convolution between two 1×1 ones, four times as wide inside; `up` doubles the size."""

    def __init__(self, inputs: int, outputs: int, *, up: bool) -> None:
        super().__init__()
        inner = 4 * outputs
        self.shortcut = _Upsample(inputs, outputs) if up else nn.Identity()
        self.pre_norm = _ChannelNorm(inputs, eps=1e-6)
        self.conv1_1x1 = nn.Conv2d(inputs, inner, 1)
        self.up = _Upsample(inner, inner) if up else nn.Identity()
        self.conv2_kxk = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.conv3_1x1 = nn.Conv2d(inner, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.up(F.gelu(self.conv1_1x1(self.pre_norm(x))))
        out: Tensor = self.conv3_1x1(F.gelu(self.conv2_kxk(wide))) + self.shortcut(x)
        return out


class _InvertedStem(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv1 = _Upsample(inputs, inputs)
        self.norm1 = _ChannelNorm(inputs, eps=1e-6)
        self.conv2 = nn.Conv2d(inputs, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(F.gelu(self.norm1(self.conv1(x))))
        return out


def _blocks(sizes: Mapping[str, Any]) -> nn.Sequential:
    block = partial(Block, mlp_ratio=2.0, qkv_bias=True, norm_layer=_layer_norm, mlp_layer=_GatedMlp)
    width, heads = sizes["embed_dim"][2], sizes["num_heads"]
    return nn.Sequential(*(block(width, heads) for _ in range(sizes["depth"])))


class _PatchEmbed(nn.Module):
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        keys = ("embed_dim", "depths")
        self.backbone = MbConvStages(
            VitCfg(stem_width=sizes["stem_width"], **{k: tuple(sizes[k]) for k in keys})
        )


class _Encoder(nn.Module):
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        width = sizes["embed_dim"][2]
        self.patch_embed = _PatchEmbed(sizes)
        # One vector for all positions, zero in the released weights.
        self.pos_embed = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = _blocks(sizes)
        self.norm = _layer_norm(width)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embed.backbone(images).flatten(2).transpose(1, 2) + self.pos_embed
        out: Tensor = self.norm(self.blocks(x))
        return out


class _Decoder(nn.Module):
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        narrow, middle, width = sizes["embed_dim"]
        self.blocks = _blocks(sizes)
        self.norm = _layer_norm(width)
        self.up_conv1 = _Upsample(width, middle)
        self.up_conv2 = nn.Sequential(*(_InvertedBlock(middle, middle, up=depth == 0) for depth in range(4)))
        self.up_conv3 = nn.Sequential(
            _InvertedBlock(middle, narrow, up=True), _InvertedBlock(narrow, narrow, up=False)
        )
        self.up_conv4 = _InvertedStem(narrow)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        x = self.norm(self.blocks(x)).transpose(1, 2).unflatten(2, grid)
        out: Tensor = self.up_conv4(self.up_conv3(self.up_conv2(self.up_conv1(x))))
        return out


class _Codebook(nn.Module):
    def __init__(self, vocab: int, width: int) -> None:
        super().__init__()
        self.codebook = nn.Embedding(vocab, width)


class _Codebooks(nn.Module):
    """Each codebook quantises its share of the channels; vectors and entries have length one."""

    def __init__(self, count: int, vocab: int, width: int) -> None:
        super().__init__()
        self.codebooks = nn.ModuleList(_Codebook(vocab, width) for _ in range(count))

    def entries(self) -> Tensor:
        """Return float32 ``[codebooks, vocab, width]``."""
        weights = [each.codebook.weight for each in self.codebooks if isinstance(each, _Codebook)]
        return F.normalize(torch.stack(weights).float(), dim=-1)

    def prepare(self, vectors: Tensor) -> Tensor:
        """Return ``[n, codebooks × width, *positions]`` as they are compared, each share of length one."""
        shares = vectors.float().unflatten(1, (len(self.codebooks), -1))
        return F.normalize(shares, dim=2).flatten(1, 2)

    def ids(self, vectors: Tensor) -> Tensor:
        """Return int64 ``[n, codebooks, *positions]``."""
        shares = self.prepare(vectors).unflatten(1, (len(self.codebooks), -1))
        return torch.einsum("nbc...,bvc->nbv...", shares, self.entries()).argmax(2)

    def lookup(self, ids: Tensor) -> Tensor:
        """Return ``[n, codebooks × width, *positions]``."""
        parts = [F.embedding(ids[:, book], entries) for book, entries in enumerate(self.entries())]
        return torch.cat(parts, dim=-1).movedim(-1, 1)


class _UniTok(nn.Module):
    def __init__(self, config: Mapping[str, Any], sizes: Mapping[str, Any]) -> None:
        super().__init__()
        width, vector, count = sizes["embed_dim"][2], config["vocab_width"], config["num_codebooks"]
        self.encoder = _Encoder(sizes)
        self.quantize = _Codebooks(count, config["vocab_size"] // count, vector // count)
        if config["quant_proj"] == "attn":
            self.quant_proj: nn.Module = _AttentionProjection(width, vector, width // vector)
            self.post_quant_proj: nn.Module = _AttentionProjection(vector, width, width // vector)
        else:
            self.quant_proj, self.post_quant_proj = nn.Linear(width, vector), nn.Linear(vector, width)
        self.decoder = _Decoder(sizes)

    def features(self, images: Tensor) -> Tensor:
        """Map images in [0, 1] to what is quantised, ``[n, vocab_width, h / 16, w / 16]``."""
        grid = (images.shape[2] // 16, images.shape[3] // 16)
        projected: Tensor = self.quant_proj(self.encoder(images * 2 - 1))
        return projected.transpose(1, 2).unflatten(2, grid)

    def pixels(self, vectors: Tensor) -> Tensor:
        """Map quantised vectors to images in [0, 1]."""
        grid = (vectors.shape[2], vectors.shape[3])
        images: Tensor = self.decoder(self.post_quant_proj(vectors.flatten(2).transpose(1, 2)), grid)
        return (images + 1) / 2


class UniTok(CodebookTokenizer):
    """Ids are int64 ``[n, 8, h / 16, w / 16]``."""

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return what the first codebook is given, float32 ``[n, h / 16, w / 16, vocab_width / codebooks]``."""
        vectors = super().encoder_features(images)
        return vectors[..., : vectors.shape[-1] // self.spec.codebooks]


def architecture(spec: TokenSpec) -> nn.Module:
    """Build the network from the authors' settings.

    Raises:
        SetupError: they ask for query tokens or an encoder that no release has.
    """
    config = spec.options["config"]
    sizes = config.get("_vitamin") or _SIZES.get(config["model"])
    if sizes is None or config.get("num_query", 0):
        raise SetupError(
            f"`{spec.name}`: model `{config['model']}` with {config.get('num_query', 0)} query tokens is not supported",
            hint=f"known: {', '.join(_SIZES)}, without query tokens",
        )
    return _UniTok(config, sizes)


def convert(state: dict[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Leave out what serves CLIP or counts usage."""
    return {
        name.replace("quantizer.", "quantize.", 1): value
        for name, value in state.items()
        if not name.startswith(_NOT_FOR_IMAGES) and not name.endswith("vocab_usage")
    }


def wrap(spec: TokenSpec, network: nn.Module) -> Tokenizer:
    """Make a tokenizer of the network."""
    return UniTok(spec, network)


def golden(spec: TokenSpec, network: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run the authors' calls: their images are in [-1, 1], their vectors ``[n, positions, dim]``."""
    outputs = discrete_outputs(network, (inputs["images"] + 1) / 2)
    flat = {name: outputs[name].flatten(2).transpose(1, 2) for name in ("pre_quant", "quantized")}
    return {**flat, "tokens": outputs["tokens"].flatten(2), "decoded": outputs["decoded"] * 2 - 1}
