# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# families = ["var"]
# license = "MIT"
# source = "https://github.com/FoundationVision/VAR"
# revision = "78b95394fc5896192e3a003e4b295f8ea743c48f"
# kind = "discrete"
# vocab = 4096
# quantizer = "residual"
# trained_on = ["openimages-train"]
# capabilities = ["codebook", "encoder-features", "variable-length"]
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "var-vae-256"
# description = "VAR's multi-scale tokenizer at 256: 680 ids in ten scales, 4096 entries, 109 M parameters"
# tokens = 680
# resolution = 256
# stride = 256
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 14, 30, 55, 91, 155, 255, 424, 680]
# [tool.tokbench.tokenizers.options.config]
# vocab_size = 4096
# z_channels = 32
# ch = 160
# share_quant_resi = 4
# v_patch_nums = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "var-vae"
# source = "hub:FoundationVision/var@main/vae_ch160v4096z32.pth"
# license = "MIT"
#
# [[tool.tokbench.tokenizers]]
# name = "var-vae-512"
# description = "VAR's multi-scale tokenizer at 512: 2240 ids in ten scales, the same weights"
# tokens = 2240
# resolution = 512
# stride = 512
# [tool.tokbench.tokenizers.options]
# lengths = [1, 5, 14, 30, 66, 147, 316, 640, 1216, 2240]
# [tool.tokbench.tokenizers.options.config]
# vocab_size = 4096
# z_channels = 32
# ch = 160
# share_quant_resi = 4
# v_patch_nums = [1, 2, 3, 4, 6, 9, 13, 18, 24, 32]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "var-vae"
# source = "hub:FoundationVision/var@main/vae_ch160v4096z32.pth"
# license = "MIT"
# ///
"""The multi-scale tokenizer of VAR (Tian et al., arXiv 2404.02905): VQGAN's network on the blocks of diffusers.

Ids are int64 ``[n, positions of all scales]``, coarse to fine. The first scales alone are a coarser image, so codes can
be cut after any scale. The scales belong to one image size: other sizes are refused.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tokbench.errors import UsageError
from tokbench.nn.autoencoders import CodebookTokenizer, discrete_outputs
from tokbench.nn.multiscale import MultiScaleQuantizer
from tokbench.nn.taming import ConvAutoencoder, Layout, signed_golden
from tokbench.nn.taming_names import own_parts, to_diffusers
from tokbench.tokenizer import Codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from tokbench.tokenizer import Tokenizer, TokenSpec

_PHI = ("quantize.quant_resi.qresi_ls.", "quantize.quant_resi.qresi.", "quantize.quant_resi.")


class MultiScaleTokenizer(CodebookTokenizer):
    """Ids are int64 ``[n, positions of all scales]``."""

    def encode(self, images: Tensor) -> Codes:
        """Quantise scale by scale.

        Raises:
            UsageError: the images have another size than the scales are for.
        """
        side = self.spec.resolution
        if side is not None and tuple(images.shape[2:]) != (side, side):
            raise UsageError(
                f"`{self.spec.name}` takes images of {side}×{side}, got {images.shape[2]}×{images.shape[3]}",
                hint="its scales belong to one size: choose a protocol of that resolution",
            )
        return super().encode(images)

    def lengths(self) -> tuple[int, ...]:
        """Return the numbers of ids after each scale."""
        lengths: tuple[int, ...] = self._network.quantize.lengths()
        return lengths

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Keep the first scales.

        Raises:
            UsageError: a scale would be cut in two.
        """
        if length not in self.lengths():
            raise UsageError(
                f"`{self.spec.name}` cannot be cut to {length} ids", hint=f"one of {list(self.lengths())}"
            )
        assert codes.ids is not None
        return Codes(ids=codes.ids[:, :length])


def architecture(spec: TokenSpec) -> ConvAutoencoder:
    """Build the network; multipliers, blocks and attention are fixed in the official code."""
    config = spec.options["config"]
    multipliers = tuple(config.get("ch_mult", (1, 1, 2, 2, 4)))
    coarsest = frozenset({len(multipliers) - 1})
    layout = Layout(
        ch=config["ch"],
        ch_mult=multipliers,
        num_res_blocks=config.get("num_res_blocks", 2),
        z_channels=config["z_channels"],
        embed_dim=config["z_channels"],
        encoder_attention=coarsest,
        decoder_attention=coarsest,
        norm_num_groups=config.get("_norm_num_groups", 32),
        quant_conv_ks=config.get("quant_conv_ks", 3),
    )
    quantize = MultiScaleQuantizer(
        config["vocab_size"],
        config["z_channels"],
        [(side, side) if isinstance(side, int) else tuple(side) for side in config["v_patch_nums"]],
        ratio=config.get("quant_resi", 0.5),
        shared=config.get("share_quant_resi", 4),
        cosine=config.get("using_znorm", False),
        count=config.get("default_qresi_counts", 0),
    )
    return ConvAutoencoder(layout, quantize)


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Rename, and drop the record of which entries training used."""
    kept = own_parts(state)
    kept.pop("quantize.ema_vocab_hit_SV", None)
    return {_quantiser_name(name): value for name, value in to_diffusers(kept).items()}


def _quantiser_name(name: str) -> str:
    if name == "quantize.embedding.weight":
        return "quantize.search.embedding.weight"
    each, single, own = _PHI
    for start, new in ((each, "quantize.phi."), (single, "quantize.phi.0."), (own, "quantize.phi.")):
        if name.startswith(start):
            return new + name.removeprefix(start)
    return name


def wrap(spec: TokenSpec, network: ConvAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    return MultiScaleTokenizer(spec, network)


def golden(spec: TokenSpec, network: ConvAutoencoder, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute what the golden cases record: ids and sums of each scale beside the rest."""
    got = signed_golden(discrete_outputs, network, inputs["images"])
    tokens = got.pop("tokens")
    for index, (start, stop) in enumerate(itertools.pairwise((0, *network.quantize.lengths()))):
        got[f"tokens_s{index}"] = tokens[:, start:stop]
        got[f"fhat_s{index}"] = network.quantize.lookup(tokens[:, :stop])
    return got
