# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.5", "torchvision", "numpy", "tqdm"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "lfq"
# tokens = 256
# resolution = 256
# stride = 256
# license = "LicenseRef-none-stated"
# source = "https://github.com/Pepper-lll/LMforImageGeneration"
# revision = "c2f29f0ac9775dd917f315f0ff18f00d42b97f7a"
# trained_on = ["imagenet-train"]
# deterministic = false
#
# [tool.tokbench.environment]
# repository = "https://github.com/Pepper-lll/LMforImageGeneration"
# commit = "c2f29f0ac9775dd917f315f0ff18f00d42b97f7a"
#
# [[tool.tokbench.tokenizers]]
# name = "elm-bae-16"
# description = "ELM's binary autoencoder: 16 bits a position, drawn as Bernoulli, f16, 66 M parameters"
# vocab = 65536
# verified = ["contract"]
# options = { bits = 16, draws = true }
# weights = [{ name = "elm-bae-16", source = "hub:xuantonglll/ELM@main/bae/bae_16/binaryae_ema.th" }]
#
# [[tool.tokbench.tokenizers]]
# name = "elm-bae-16-deter"
# description = "ELM's binary autoencoder: 16 bits a position by rounding, f16, 66 M parameters"
# vocab = 65536
# deterministic = true
# verified = ["contract"]
# options = { bits = 16, draws = false }
# weights = [{ name = "elm-bae-16-deter", source = "hub:xuantonglll/ELM@main/bae/bae_16_deter/binaryae_ema.th" }]
#
# [[tool.tokbench.tokenizers]]
# name = "elm-bae-20"
# description = "ELM's binary autoencoder: 20 bits a position, drawn as Bernoulli, f16, 66 M parameters"
# vocab = 1048576
# options = { bits = 20, draws = true }
# weights = [{ name = "elm-bae-20", source = "hub:xuantonglll/ELM@main/bae/bae_20/binaryae_ema.th" }]
#
# [[tool.tokbench.tokenizers]]
# name = "elm-bae-24"
# description = "ELM's binary autoencoder: 24 bits a position, drawn as Bernoulli, f16, 66 M parameters"
# vocab = 16777216
# options = { bits = 24, draws = true }
# weights = [{ name = "elm-bae-24", source = "hub:xuantonglll/ELM@main/bae/bae_24/binaryae_ema.th" }]
# ///
"""ELM (Liu et al., arXiv 2410.16257): a binary autoencoder; the bits of a position are one id, the first bit highest.

Bits are drawn with the probabilities that the encoder gives, as in training, from the picture's seed; the variant
trained without drawing rounds. Neither code nor weights state a licence.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, own_noise, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class BinaryAutoencoder:
    """Ids of 16 to 24 bits on a grid of 16×16."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind
        self.places = 2 ** torch.arange(spec.options["bits"] - 1, -1, -1).view(1, -1, 1, 1)

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 16, 16]``."""
        bits = []
        for image in images.to(self.kind).split(1):
            with own_noise(image.device):
                bits.append(self.model.encode(image)[1])
        return Codes(ids=(torch.cat(bits).long() * self.places.to(images.device)).sum(1))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        bits = (codes.ids.unsqueeze(1) & self.places.to(codes.ids.device)) > 0
        return self.model.decode(bits.to(self.kind)).float()


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' autoencoder with the settings of their script for ImageNet."""
    stand_in("bae.binarylatent", "bae.transformer", "utils.data_utils")
    from bae.binaryae import BinaryAutoEncoder
    from hparams.defaults.binarygan_default import HparamsBinaryAE

    settings = HparamsBinaryAE("custom")
    asked = {"codebook_size": spec.options["bits"], "deterministic": not spec.options["draws"]}
    asked |= {"quantizer": "binary", "norm_first": True}
    # A part of the constructor asks for CUDA; the model is moved below.
    with mock.patch.object(torch.nn.Module, "cuda", lambda module: module):
        model = BinaryAutoEncoder(SimpleNamespace(**{**settings, **asked}))
    if weights:
        path = weights[spec.name]
        state = load_checkpoint(path, keys=())
        state = {name[len("ae.") :]: value for name, value in state.items() if name.startswith("ae.")}
        load_needed(model, state, path)
    return BinaryAutoencoder(spec, model.to(device, dtype).eval(), dtype)
