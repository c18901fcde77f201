# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# families = ["mar"]
# license = "MIT"
# source = "https://github.com/LTH14/mar"
# revision = "main (unchecked)"
# kind = "continuous"
# tokens = 256
# resolution = 256
# stride = 16
# trained_on = ["imagenet-train"]
# any_size = true
# verified = ["golden", "keys"]
#
# [[tool.tokbench.tokenizers]]
# name = "mar-kl16"
# verified = ["golden", "keys", "contract"]
# channels = 16
# description = "KL-16 of MAR: one latent of 16 channels for 16×16 pixels, 66 M parameters"
# options = { config = { embed_dim = 16, ch_mult = [1, 1, 2, 2, 4] } }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "mar-kl16"
# source = "https://www.dropbox.com/scl/fi/hhmuvaiacrarfg28qxhwz/kl16.ckpt?rlkey=l44xipsezc8atcffdp4q7mwmh&dl=1"
# license = "MIT"
# inside = "model"
#
# [[tool.tokbench.tokenizers]]
# name = "xar-kl16"
# verified = ["golden", "keys", "contract"]
# channels = 16
# description = "the tokenizer of xAR, which is MAR's KL-16 with the same weights"
# options = { config = { embed_dim = 16, ch_mult = [1, 1, 2, 2, 4] } }
#
# [[tool.tokbench.tokenizers.weights]]
# name = "mar-kl16"
# source = "https://www.dropbox.com/scl/fi/hhmuvaiacrarfg28qxhwz/kl16.ckpt?rlkey=l44xipsezc8atcffdp4q7mwmh&dl=1"
# license = "MIT"
# inside = "model"
# ///
"""The KL autoencoder of MAR (Li et al., arXiv 2406.11838), which xAR and TokenBridge use too, on diffusers' blocks.

Attention follows the coarsest blocks of the encoder but not of the decoder. Latents are the mean of the posterior,
``[n, h / 16, w / 16, 16]``, before the factor 0.2325 by which MAR's generator scales them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.autoencoders import LatentTokenizer, latent_outputs
from tokbench.nn.taming import ConvAutoencoder, mar_layout, signed_golden
from tokbench.nn.taming_names import own_parts, to_diffusers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> ConvAutoencoder:
    """Build the network of the official settings."""
    return ConvAutoencoder(mar_layout(spec.options["config"]))


def convert(state: Mapping[str, Tensor], spec: TokenSpec) -> dict[str, Tensor]:
    """Rename."""
    return to_diffusers(own_parts(state))


def wrap(spec: TokenSpec, network: ConvAutoencoder) -> Tokenizer:
    """Make a tokenizer of the network."""
    return LatentTokenizer(spec, network)


def golden(spec: TokenSpec, network: ConvAutoencoder, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute mean, log variance and the image of the mean."""
    return signed_golden(latent_outputs, network, inputs["images"])
