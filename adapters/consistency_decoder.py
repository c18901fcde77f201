# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench[zoo]"]
#
# [tool.tokbench]
# kind = "continuous"
# any_size = true
# resolution = 256
# license = "Apache-2.0 AND MIT"
# verified = ["library"]
#
# [[tool.tokbench.tokenizers]]
# name = "consistency-decoder"
# description = "Stable Diffusion encoder with OpenAI's consistency decoder, two steps, f8, 4 channels, 655 M"
# stride = 8
# tokens = 1024
# source = "https://huggingface.co/openai/consistency-decoder"
# deterministic = false
# channels = 4
# options.class = "ConsistencyDecoderVAE"
# options.steps = 2
# [[tool.tokbench.tokenizers.weights]]
# name = "consistency-decoder"
# source = "hub:openai/consistency-decoder@main/diffusion_pytorch_model.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "consistency-decoder-config"
# source = "hub:openai/consistency-decoder@main/config.json"
# optional = true
# ///
"""The consistency decoder of DALL·E 3 on the latents of Stable Diffusion, through diffusers: it draws noise.

Latents are ``[n, 4, h / 8, w / 8]``, the mode of the posterior. Decoding starts from noise and takes two steps. Each
picture's noise comes from a generator of its own, seeded with the seed that torch was last given: tokbench gives it one
for each picture, made of the run's seed and the picture's name, so a run can be repeated and another seed is another
draw. Torch's own generator is neither used nor moved, and the noise is drawn on the CPU, the same for every device.
The repository is unchecked; ``main`` stands where no revision could be looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from tokbench.nn.library import LatentTokenizer, diffusers_model, present_names

if TYPE_CHECKING:
    from tokbench.tokenizer import Tokenizer, TokenSpec


def architecture(spec: TokenSpec) -> torch.nn.Module:
    """Build encoder and decoder."""
    return diffusers_model(spec)


def convert(state: dict[str, torch.Tensor], spec: TokenSpec) -> dict[str, torch.Tensor]:
    """Older files name the layers of attention otherwise."""
    return present_names(state)


def wrap(spec: TokenSpec, network: Any) -> Tokenizer:
    """Make a tokenizer of it."""
    steps: int = spec.options["steps"]

    def decode(latents: torch.Tensor) -> torch.Tensor:
        noise = torch.Generator()
        seed = torch.initial_seed()
        return torch.cat(
            [
                network.decode(each, generator=noise.manual_seed(seed), num_inference_steps=steps).sample
                for each in latents.split(1)
            ]
        )

    return LatentTokenizer(
        spec=spec,
        network=network,
        forth=lambda pixels: network.encode(pixels).latent_dist.mode(),
        back=decode,
    )
