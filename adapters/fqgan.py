# /// script
# requires-python = ">=3.10"
# dependencies = ["torch>=2.5", "einops"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "product"
# vocab = 16384
# resolution = 256
# license = "CC-BY-NC-4.0"
# source = "https://github.com/showlab/FQGAN"
# revision = "dc34256b36af7227f0916de8015c882fe8101b56"
# trained_on = ["imagenet-train"]
# capabilities = ["codebook"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/showlab/FQGAN"
# commit = "dc34256b36af7227f0916de8015c882fe8101b56"
#
# [[tool.tokbench.tokenizers]]
# name = "fqgan-dual-ds16"
# description = "FQGAN: two codebooks (detail, semantics) at f16, 111 M parameters"
# codebooks = 2
# tokens = 256
# stride = 256
# verified = ["contract"]
# options = { module = "vq_model_dual", model = "VQ-16" }
# weights = [{ name = "fqgan-dual-ds16", source = "hub:ZechenBai/FQGAN@main/fqgan_dual_ds16.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "fqgan-triple-ds16"
# description = "FQGAN: three codebooks (detail, two levels of semantics) at f16, 132 M parameters"
# codebooks = 3
# tokens = 256
# stride = 256
# verified = ["contract"]
# options = { module = "vq_model_triple", model = "VQ-16" }
# weights = [{ name = "fqgan-triple-ds16", source = "hub:ZechenBai/FQGAN@main/fqgan_triple_ds16.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "fqgan-dual-ds8"
# description = "FQGAN: two codebooks (detail, semantics) at f8"
# codebooks = 2
# tokens = 1024
# stride = 256
# options = { module = "vq_model_dual", model = "VQ-8" }
# weights = [{ name = "fqgan-dual-ds8", source = "hub:ZechenBai/FQGAN@main/fqgan_dual_ds8.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "fqgan-triple-ds8"
# description = "FQGAN: three codebooks (detail, two levels of semantics) at f8"
# codebooks = 3
# tokens = 1024
# stride = 256
# options = { module = "vq_model_triple", model = "VQ-8" }
# weights = [{ name = "fqgan-triple-ds8", source = "hub:ZechenBai/FQGAN@main/fqgan_triple_ds8.pt" }]
# ///
"""FQGAN (Bai et al., arXiv 2411.16681): factorised quantisation, two or three codebooks at each position.

The order of the codebooks is that of the decoder's input: detail first. Code and weights are for non-commercial use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_HEADS = {2: ("vis", "sem"), 3: ("vis", "sem_mid", "sem_high")}


class FQGAN:
    """Ids of two or three codebooks on a grid."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind
        self.heads = _HEADS[spec.codebooks]

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, codebooks, h, w]``."""
        out = self.model.encode((images * 2 - 1).to(self.kind))
        quantised, infos = out[0], out[self.spec.codebooks :]
        if self.spec.codebooks == 2:
            infos = infos[::-1]  # this one gives semantics first
        n, _, height, width = quantised.shape
        return Codes(ids=torch.stack([info[2].view(n, height, width) for info in infos], dim=1))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        parts = [
            self._quantiser(head).get_codebook_entry(ids).permute(0, 3, 1, 2)
            for head, ids in zip(self.heads, codes.ids.unbind(1), strict=True)
        ]
        return (self.model.decode(torch.cat(parts, dim=1)).float() + 1) / 2

    def codebook(self) -> Tensor:
        """Return the entries, ``[codebooks, 16384, 8]``."""
        return torch.stack(
            [F.normalize(self._quantiser(head).embedding.weight, dim=-1) for head in self.heads]
        )

    def _quantiser(self, head: str) -> Any:
        return getattr(self.model, f"quantize_{head}")


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model without the heads that predict features in training."""
    models = import_module(f"tokenizer.{spec.options['module']}").VQ_models
    model = models[spec.options["model"]](codebook_size=16384, codebook_embed_dim=8)
    if weights:
        path = weights[spec.name]
        unused = ("feat_pred_head.", "mid_sem_feat_pred.", "high_sem_feat_pred.")
        load_needed(model, load_checkpoint(path), path, unused)
    return FQGAN(spec, model.to(device, dtype).eval(), dtype)
