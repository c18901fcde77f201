# /// script
# requires-python = ">=3.10"
# dependencies = ["torch>=2.5", "hydra-core", "einops", "diffusers", "mup", "huggingface_hub", "safetensors"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "fsq"
# vocab = 64000
# tokens = 256
# resolution = 256
# stride = 256
# license = "LicenseRef-Apple-Sample-Code AND LicenseRef-Apple-ML-Research-Model"
# source = "https://github.com/apple/ml-flextok"
# revision = "87d00cc8babf4a25ffce0f3f0c4d8b529d3d6abf"
# deterministic = false
# capabilities = ["variable-length"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/apple/ml-flextok"
# commit = "87d00cc8babf4a25ffce0f3f0c4d8b529d3d6abf"
# call_seconds = 3600
#
# [[tool.tokbench.tokenizers]]
# name = "flextok-d12-d12-in1k"
# description = "FlexTok: 1 to 256 tokens, 12 and 12 layers, ImageNet"
# trained_on = ["imagenet-train"]
# options.steps = 20
# options.guidance = 7.5
# options.lengths = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# options.levels = [8, 8, 8, 5, 5, 5]
# [[tool.tokbench.tokenizers.weights]]
# name = "flextok-d12-d12-in1k"
# source = "hub:EPFL-VILAB/flextok_d12_d12_in1k@main/model.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "flextok-d18-d18-in1k"
# description = "FlexTok: 1 to 256 tokens, 18 and 18 layers, ImageNet"
# trained_on = ["imagenet-train"]
# options.steps = 20
# options.guidance = 7.5
# options.lengths = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# options.levels = [8, 8, 8, 5, 5, 5]
# [[tool.tokbench.tokenizers.weights]]
# name = "flextok-d18-d18-in1k"
# source = "hub:EPFL-VILAB/flextok_d18_d18_in1k@main/model.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "flextok-d18-d28-in1k"
# description = "FlexTok: 1 to 256 tokens, 18 and 28 layers, ImageNet"
# trained_on = ["imagenet-train"]
# options.steps = 20
# options.guidance = 7.5
# options.lengths = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# options.levels = [8, 8, 8, 5, 5, 5]
# [[tool.tokbench.tokenizers.weights]]
# name = "flextok-d18-d28-in1k"
# source = "hub:EPFL-VILAB/flextok_d18_d28_in1k@main/model.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "flextok-d18-d28-dfn"
# description = "FlexTok: 1 to 256 tokens, 18 and 28 layers, DFN"
# trained_on = ["dfn"]
# options.steps = 20
# options.guidance = 7.5
# options.lengths = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# options.levels = [8, 8, 8, 5, 5, 5]
# [[tool.tokbench.tokenizers.weights]]
# name = "flextok-d18-d28-dfn"
# source = "hub:EPFL-VILAB/flextok_d18_d28_dfn@main/model.safetensors"
# ///
"""FlexTok (Bachmann et al., arXiv 2502.13967): 256 register tokens of which any first k are a code, by rectified flow.

Decoding takes 20 steps with normalised guidance of 7.5, as in the authors' example, from noise of the picture's seed.
Encoding takes the mean of the autoencoder's posterior. The architecture is described inside the published file and
nowhere in the repository, so there is nothing to build with random weights. Weights are for research only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from tokbench import Codes
from tokbench.errors import SetupError
from tokbench.external.authors import load_needed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_MAY_BE_BUILT = ("flextok.", "torch.nn.")


class FlexTok:
    """Up to 256 ids, coarse to fine."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 256]``."""
        return Codes(ids=torch.cat(self.model.tokenize((images * 2 - 1).to(self.kind))))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        return torch.cat([self._decode_one(each) for each in codes.ids.split(1)])

    def lengths(self) -> tuple[int, ...]:
        """Return the lengths that training kept; every one from 1 to 256 decodes."""
        return tuple(self.spec.options["lengths"])

    def truncate(self, codes: Codes, length: int) -> Codes:
        """Keep the first `length` ids."""
        return Codes(ids=codes.ids[:, :length])

    def _decode_one(self, ids: Tensor) -> Tensor:
        options = self.spec.options
        image = self.model.detokenize(
            [ids],
            timesteps=options["steps"],
            guidance_scale=options["guidance"],
            perform_norm_guidance=True,
            generator=torch.Generator(ids.device).manual_seed(torch.initial_seed()),
            verbose=False,
        )
        return (image.float() + 1) / 2


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build what the published file describes, of the authors' classes and no others."""
    if not weights:
        raise SetupError(
            f"tokenizer `{spec.name}` cannot be built with random weights: its architecture is described "
            "only inside the published file",
            hint=f"`tokbench fetch {spec.name}`, then check it with its weights",
        )
    from flextok.utils.checkpoint import load_safetensors
    from hydra.utils import instantiate

    path = weights[spec.name]
    state, config = load_safetensors(str(path))
    if strange := [name for name in _targets(config) if not name.startswith(_MAY_BE_BUILT)]:
        raise SetupError(f"weights {path} refused: they ask for `{strange[0]}`, which is not the authors'")
    model = instantiate(config)
    model.vae.sample_posterior = False
    load_needed(model, state, path)
    return FlexTok(spec, model.to(device, dtype).eval(), dtype)


def _targets(config: object) -> Iterator[str]:
    """Yield what a Hydra configuration would import and call."""
    if isinstance(config, dict):
        if "_target_" in config:
            yield str(config["_target_"])
        for value in config.values():
            yield from _targets(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _targets(value)
