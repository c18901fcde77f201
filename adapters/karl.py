# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.5", "torchvision", "numpy", "einops", "omegaconf", "requests", "tqdm"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "vq"
# vocab = 4097
# tokens = 256
# resolution = 256
# stride = 256
# license = "LicenseRef-none-stated"
# source = "https://github.com/ShivamDuggal4/karl"
# revision = "5c1a5693edf87228f988f363b2acdb7eb826a889"
#
# [tool.tokbench.environment]
# repository = "https://github.com/ShivamDuggal4/karl"
# commit = "5c1a5693edf87228f988f363b2acdb7eb826a889"
#
# [[tool.tokbench.tokenizers]]
# name = "karl-small"
# description = "KARL small on a VQGAN: up to 256 tokens, as many as an L1 error of 0.05 takes"
# trained_on = ["imagenet-train"]
# options = { model = "karl_small", budget = 256, quality = 0.05 }
# [[tool.tokbench.tokenizers.weights]]
# name = "karl-small"
# source = """\
# https://www.dropbox.com/scl/fi/4a2zwpceavl92ij56ja3m/karl_small_vqgan_quantized_latents.pth?rlkey=lc49wt2igsdhzfrqwvl62q30z&dl=1#/karl_small_vqgan_quantized_latents.pth"""
#
# [[tool.tokbench.tokenizers]]
# name = "karl-small-fine"
# description = "KARL small on a VQGAN: up to 256 tokens, as many as an L1 error of 0.03 takes"
# trained_on = ["imagenet-train"]
# options = { model = "karl_small", budget = 256, quality = 0.03 }
# [[tool.tokbench.tokenizers.weights]]
# name = "karl-small"
# source = """\
# https://www.dropbox.com/scl/fi/4a2zwpceavl92ij56ja3m/karl_small_vqgan_quantized_latents.pth?rlkey=lc49wt2igsdhzfrqwvl62q30z&dl=1#/karl_small_vqgan_quantized_latents.pth"""
#
# [[tool.tokbench.tokenizers]]
# name = "karl-small-coarse"
# description = "KARL small on a VQGAN: up to 256 tokens, as many as an L1 error of 0.07 takes"
# trained_on = ["imagenet-train"]
# options = { model = "karl_small", budget = 256, quality = 0.07 }
# [[tool.tokbench.tokenizers.weights]]
# name = "karl-small"
# source = """\
# https://www.dropbox.com/scl/fi/4a2zwpceavl92ij56ja3m/karl_small_vqgan_quantized_latents.pth?rlkey=lc49wt2igsdhzfrqwvl62q30z&dl=1#/karl_small_vqgan_quantized_latents.pth"""
#
# [[tool.tokbench.tokenizers]]
# name = "karl-small-in100"
# description = "KARL small on a VQGAN, trained on 100 classes: up to 256 tokens, as many as an L1 error of 0.05 takes"
# trained_on = ["imagenet100"]
# options = { model = "karl_small", budget = 256, quality = 0.05 }
# [[tool.tokbench.tokenizers.weights]]
# name = "karl-small-in100"
# source = """\
# https://www.dropbox.com/scl/fi/60plmx9s1jsu5axqb1frj/karl_small_vqgan_quantized_latents.pth?rlkey=v0y3fsureyfijy5m28ba4vpl7&dl=1#/karl_small_vqgan_quantized_latents.pth"""
# ///
"""KARL (Duggal et al., arXiv 2507.07995): the encoder says which of its tokens the picture does not need.

Tokens that it halts are masked in the decoder, wherever they stand; here they have the id 4096, one more than the
codebook. Bits are counted for 256 tokens; entropy coding shows what halting saves. Asking for a smaller error, not
cutting the code, is what changes its length. The files hold the VQGAN too. Neither code nor weights state a licence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_GRID = 16
_HALTED = 4096
_HALTING_PROBABILITY = 0.75


class KARL:
    """256 ids, of which some say that nothing is there."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 256]``."""
        return Codes(ids=torch.cat([self._encode_one(image) for image in images.to(self.kind).split(1)]))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        model, ids = self.model, codes.ids
        n, length = ids.shape
        halted = ids == _HALTED
        # What a halted token holds is seen by no other: any entry stands in for it.
        entries = F.normalize(model.quantize.embedding.weight, dim=-1)[ids.masked_fill(halted, 0)]
        blank = torch.zeros(n, _GRID**2, 1, device=ids.device, dtype=self.kind)
        apart = F.pad(halted, (_GRID**2, 0))
        mask = (apart.unsqueeze(2) | apart.unsqueeze(1)) & ~torch.eye(
            apart.shape[1], dtype=torch.bool, device=ids.device
        )
        logits = model.decoder(
            model.decoder_embed(entries),
            model.preprocess_decoder(blank, (_GRID, _GRID)),
            model.decoder_latent_tokens_timestep_embed[:length],
            attn_mask=mask,
        )
        vqgan = model.base_tokenizer.vqgan
        mixed = logits.softmax(-1) @ vqgan.quantize.embedding.weight
        return vqgan.decode(mixed.transpose(1, 2).unflatten(2, (_GRID, _GRID))).float()

    def _encode_one(self, image: Tensor) -> Tensor:
        """Run the authors' pass, which reconstructs too, and look at what its quantiser and halting head gave."""
        seen: dict[str, Any] = {}
        hooks = [
            getattr(self.model, name).register_forward_hook(
                lambda module, given, out, name=name: seen.update({name: out})
            )
            for name in ("quantize", "halting_mlp")
        ]
        options = self.spec.options
        try:
            self.model.encode(image, [options["budget"]], float(options["quality"]))
        finally:
            for hook in hooks:
                hook.remove()
        halted = seen["halting_mlp"][..., 0].sigmoid() > _HALTING_PROBABILITY
        return seen["quantize"][1]["min_encoding_indices"].masked_fill(halted, _HALTED)


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model as before its last stage, which adds discriminators and nothing else."""
    stand_in("pytorch_lightning", LightningModule=torch.nn.Module)
    if device.type == "cpu":
        # The authors move tensors to `get_device()`, which is -1 for the CPU.
        torch.Tensor.get_device = lambda tensor: tensor.device  # type: ignore[method-assign, assignment, return-value]
    import kolmogorov_tokenizers

    base = {"id": "vqgan", "pretrained_ckpt_path": None}
    model = getattr(kolmogorov_tokenizers, spec.options["model"])(base, quantize_latent=True)
    if weights:
        (path,) = weights.values()
        load_needed(model, load_checkpoint(path), path, unused=("gan_losses.", "criterion."))
    return KARL(spec, model.to(device, dtype).eval(), dtype)
