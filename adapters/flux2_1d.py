# /// script
# requires-python = ">=3.9"
# dependencies = ["flux2-1d-tokenizer==0.1.1", "torch>=2.5", "diffusers>=0.36", "safetensors"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "vq"
# vocab = 65536
# tokens = 1024
# license = "Apache-2.0"
# source = "pypi:flux2-1d-tokenizer==0.1.1"
# revision = "0.1.1"
# capabilities = ["codebook", "encoder-features", "variable-length"]
#
# [tool.tokbench.environment]
#
# [[tool.tokbench.tokenizers]]
# name = "flux2-1d-sharp-256"
# description = "1024 tokens of 16 bits over FLUX.2's latents, adversarially tuned decoder, 256 pixels"
# resolution = 256
# stride = 256
# options = { decoder = "sharp", lengths = [1, 4, 16, 64, 128, 256, 512, 1024] }
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-sharp"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/sharp.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-config"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/config.json"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae-config"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "flux2-1d-sharp-512"
# description = "1024 tokens of 16 bits over FLUX.2's latents, adversarially tuned decoder, 512 pixels"
# resolution = 512
# stride = 512
# options = { decoder = "sharp", lengths = [1, 4, 16, 64, 128, 256, 512, 1024] }
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-sharp"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/sharp.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-config"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/config.json"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae-config"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "flux2-1d-sharp-768"
# description = "1024 tokens of 16 bits over FLUX.2's latents, adversarially tuned decoder, 768 pixels"
# resolution = 768
# stride = 768
# options = { decoder = "sharp", lengths = [1, 4, 16, 64, 128, 256, 512, 1024] }
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-sharp"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/sharp.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-config"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/config.json"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae-config"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "flux2-1d-base-256"
# description = "1024 tokens of 16 bits over FLUX.2's latents, faithful decoder, 256 pixels"
# resolution = 256
# stride = 256
# options = { decoder = "base", lengths = [1, 4, 16, 64, 128, 256, 512, 1024] }
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-base"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/base.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-config"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/config.json"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae-config"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "flux2-1d-base-512"
# description = "1024 tokens of 16 bits over FLUX.2's latents, faithful decoder, 512 pixels"
# resolution = 512
# stride = 512
# options = { decoder = "base", lengths = [1, 4, 16, 64, 128, 256, 512, 1024] }
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-base"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/base.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-config"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/config.json"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae-config"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/config.json"
#
# [[tool.tokbench.tokenizers]]
# name = "flux2-1d-base-768"
# description = "1024 tokens of 16 bits over FLUX.2's latents, faithful decoder, 768 pixels"
# resolution = 768
# stride = 768
# options = { decoder = "base", lengths = [1, 4, 16, 64, 128, 256, 512, 1024] }
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-base"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/base.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-1d-config"
# source = "hub:fmorgens/flux2-1d-tokenizer-preview@main/config.json"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "flux2-vae-config"
# source = "hub:black-forest-labs/FLUX.2-VAE@main/config.json"
# ///
"""flux2-1d-tokenizer: 1024 tokens, coarse to fine, over the latents of FLUX.2's autoencoder; a package, no repository.

Both decoders share encoder and codebook. A code does not say how large its picture was, so each size is a variant.
The first k tokens are a code too. Entries and encoder outputs have unit length.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class Flux2Tokens:
    """1024 ids, or the first of them."""

    def __init__(self, spec: TokenSpec, core: Any, autoencoder: Any, where: device, kind: dtype) -> None:
        from flux2_tokenizer import Flux2Tokenizer

        self.spec = spec
        self.core = core
        self.autoencoder = autoencoder
        self.theirs = Flux2Tokenizer(core, autoencoder, where, kind)

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 1024]``."""
        return Codes(ids=self.theirs.encode(images * 2 - 1))

    def decode(self, codes: Codes) -> Tensor:
        """Return images of the variant's size, clamped by the package."""
        side = self.spec.resolution
        return (self.theirs.decode(codes.ids, side, side).float() + 1) / 2

    def codebook(self) -> Tensor:
        """Return the entries, ``[65536, 128]``."""
        return F.normalize(self.core.bsq.codebook.weight, dim=-1)

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return what the quantiser compares with the entries, ``[n, 1024, 128]``."""
        latents = self.autoencoder.encode(images * 2 - 1).latent_dist.mean * self.theirs.scaling
        return F.normalize(self.core.bsq.proj_in(self.core.encoder(latents)), dim=-1)

    def lengths(self) -> tuple[int, ...]:
        """Return some of the lengths; every one from 1 to 1024 decodes."""
        return tuple(self.spec.options["lengths"])

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Keep the first `length` ids."""
        return Codes(ids=codes.ids[:, :length])


def build(spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path]) -> Tokenizer:
    """Build tokenizer and autoencoder with the settings published beside them, the package's own without."""
    from diffusers import AutoencoderKLFlux2
    from flux2_tokenizer._core import TokenizerCore

    settings, published = {}, {}
    if weights:
        settings = json.loads(weights["flux2-1d-config"].read_text())
        published = json.loads(weights["flux2-vae-config"].read_text())
    known = TokenizerCore.__init__.__code__.co_varnames
    core = TokenizerCore(**{name: value for name, value in settings.items() if name in known})
    autoencoder = AutoencoderKLFlux2.from_config(published)
    if weights:
        for network, name in ((core, f"flux2-1d-{spec.options['decoder']}"), (autoencoder, "flux2-vae")):
            load_needed(network, load_checkpoint(weights[name]), weights[name])
    # The package casts for itself: its autoencoder stays in float32, its transformers follow autocast.
    core, autoencoder = core.to(device).eval(), autoencoder.to(device).eval()
    return Flux2Tokens(spec, core, autoencoder, device, dtype)
