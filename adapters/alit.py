# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.5", "torchvision", "numpy", "einops", "omegaconf", "requests", "tqdm"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "vq"
# vocab = 4096
# resolution = 256
# stride = 256
# license = "LicenseRef-none-stated"
# source = "https://github.com/ShivamDuggal4/adaptive-length-tokenizer"
# revision = "8c0b4ec29c76963ad81ffdd91c9afd901f5215f5"
# deterministic = false
# capabilities = ["codebook"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/ShivamDuggal4/adaptive-length-tokenizer"
# commit = "8c0b4ec29c76963ad81ffdd91c9afd901f5215f5"
#
# [[tool.tokbench.tokenizers]]
# name = "alit-small-32"
# description = "ALIT small on a VQGAN: 32 tokens, after 1 of 8 iterations"
# tokens = 32
# trained_on = ["imagenet-train"]
# verified = ["contract"]
# options = { model = "alit_small", iterations = 1 }
# [[tool.tokbench.tokenizers.weights]]
# name = "alit-small"
# source = """\
# https://www.dropbox.com/scl/fi/u8jyro5wysttp5mvs6gir/alit_vqgan_small_quantized_latent.pth?rlkey=1py1s9755gjhdyw5ifd9h2wff&dl=1#/alit_vqgan_small_quantized_latent.pth"""
#
# [[tool.tokbench.tokenizers]]
# name = "alit-small-64"
# description = "ALIT small on a VQGAN: 64 tokens, after 2 of 8 iterations"
# tokens = 64
# trained_on = ["imagenet-train"]
# options = { model = "alit_small", iterations = 2 }
# [[tool.tokbench.tokenizers.weights]]
# name = "alit-small"
# source = """\
# https://www.dropbox.com/scl/fi/u8jyro5wysttp5mvs6gir/alit_vqgan_small_quantized_latent.pth?rlkey=1py1s9755gjhdyw5ifd9h2wff&dl=1#/alit_vqgan_small_quantized_latent.pth"""
#
# [[tool.tokbench.tokenizers]]
# name = "alit-small-128"
# description = "ALIT small on a VQGAN: 128 tokens, after 4 of 8 iterations"
# tokens = 128
# trained_on = ["imagenet-train"]
# options = { model = "alit_small", iterations = 4 }
# [[tool.tokbench.tokenizers.weights]]
# name = "alit-small"
# source = """\
# https://www.dropbox.com/scl/fi/u8jyro5wysttp5mvs6gir/alit_vqgan_small_quantized_latent.pth?rlkey=1py1s9755gjhdyw5ifd9h2wff&dl=1#/alit_vqgan_small_quantized_latent.pth"""
#
# [[tool.tokbench.tokenizers]]
# name = "alit-small-256"
# description = "ALIT small on a VQGAN: 256 tokens, after all 8 iterations"
# tokens = 256
# trained_on = ["imagenet-train"]
# options = { model = "alit_small", iterations = 8 }
# [[tool.tokbench.tokenizers.weights]]
# name = "alit-small"
# source = """\
# https://www.dropbox.com/scl/fi/u8jyro5wysttp5mvs6gir/alit_vqgan_small_quantized_latent.pth?rlkey=1py1s9755gjhdyw5ifd9h2wff&dl=1#/alit_vqgan_small_quantized_latent.pth"""
#
# [[tool.tokbench.tokenizers]]
# name = "alit-small-in100-256"
# description = "ALIT small on a VQGAN, trained on 100 classes: 256 tokens"
# tokens = 256
# trained_on = ["imagenet100"]
# options = { model = "alit_small", iterations = 8 }
# [[tool.tokbench.tokenizers.weights]]
# name = "alit-small-in100"
# source = """\
# https://www.dropbox.com/scl/fi/iszluhiop09z3afo2gw5f/alit_small_vqgan_quantized_latents.pth?rlkey=klt0zgeunb60l1snuzhjdzdq2&dl=1#/alit_small_vqgan_quantized_latents.pth"""
#
# [[tool.tokbench.tokenizers]]
# name = "alit-base-in100-256"
# description = "ALIT base on a VQGAN, trained on 100 classes: 256 tokens"
# tokens = 256
# trained_on = ["imagenet100"]
# options = { model = "alit_base", iterations = 8 }
# [[tool.tokbench.tokenizers.weights]]
# name = "alit-base-in100"
# source = """\
# https://www.dropbox.com/scl/fi/6cygifz37knpqtkxgfj81/alit_base_vqgan_quantized_latents.pth?rlkey=r8hn0d4d8j8eg2wjorzl9c67s&dl=1#/alit_base_vqgan_quantized_latents.pth"""
#
# [[tool.tokbench.tokenizers]]
# name = "alit-semilarge-in100-256"
# description = "ALIT semi-large on a VQGAN, trained on 100 classes: 256 tokens"
# tokens = 256
# trained_on = ["imagenet100"]
# options = { model = "alit_semilarge", iterations = 8 }
# [[tool.tokbench.tokenizers.weights]]
# name = "alit-semilarge-in100"
# source = """\
# https://www.dropbox.com/scl/fi/wcp7s6w86slh1yy4m3egc/alit_semilarge_vqgan_quantized_latents.pth?rlkey=cf2s13c6ah3ru4ly9tb911gi7&dl=1#/alit_semilarge_vqgan_quantized_latents.pth"""
# ///
"""ALIT (Duggal et al., arXiv 2411.02393): a recurrent encoder that adds 32 tokens an iteration.

Each iteration encodes the earlier tokens anew, so a code of 64 tokens is no prefix of one of 256: every length is a
variant of its own. Between iterations the encoder drops image tokens at random, from the picture's seed. The files
hold the VQGAN too. Neither code nor weights state a licence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, own_noise, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_GRID = 16


class ALIT:
    """32 ids an iteration."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, tokens]``."""
        return Codes(ids=torch.cat([self._encode_one(image) for image in images.to(self.kind).split(1)]))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        model, vqgan = self.model, self.model.base_tokenizer.vqgan
        blank = torch.zeros(len(codes.ids), _GRID**2, 1, device=codes.ids.device, dtype=self.kind)
        logits = model.decoder(self.codebook()[codes.ids], model.preprocess_decoder(blank))
        mixed = logits.softmax(-1) @ vqgan.quantize.embedding.weight
        return vqgan.decode(mixed.transpose(1, 2).unflatten(2, (_GRID, _GRID))).float()

    def codebook(self) -> Tensor:
        """Return the entries, ``[4096, 12]``."""
        return F.normalize(self.model.quantize.embedding.weight, dim=-1)

    def _encode_one(self, image: Tensor) -> Tensor:
        model = self.model
        with own_noise(image.device):
            last = model(image, return_image_embeddings=True)[-1]
        latents = last[f"latent_tokens_{self.spec.options['iterations'] - 1}"]
        latents = model.pre_quantizer_mlp(model.encoder_ln_post(latents))
        return model.quantize(latents)[1]["min_encoding_indices"]


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model as before its last stage, which adds discriminators and nothing else."""
    stand_in("pytorch_lightning", LightningModule=torch.nn.Module)
    if device.type == "cpu":
        # The authors move tensors to `get_device()`, which is -1 for the CPU.
        torch.Tensor.get_device = lambda tensor: tensor.device  # type: ignore[method-assign, assignment, return-value]
    import adaptive_tokenizers

    base = {"id": "vqgan", "pretrained_ckpt_path": None}
    model = getattr(adaptive_tokenizers, spec.options["model"])(base, quantize_latent=True)
    model.max_rollout_iters = spec.options["iterations"]
    if weights:
        (path,) = weights.values()
        load_needed(model, load_checkpoint(path), path, unused=("gan_losses.", "criterion."))
    return ALIT(spec, model.to(device, dtype).eval(), dtype)
