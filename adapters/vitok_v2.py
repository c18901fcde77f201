# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.5", "torchvision", "numpy", "pillow", "safetensors", "huggingface_hub"]
#
# [tool.tokbench]
# kind = "continuous"
# resolution = 256
# any_size = true
# license = "MIT AND Apache-2.0"
# source = "https://github.com/Na-VAE/vitok-release"
# revision = "a90f23bdf2d22cd7302bcc4b1ab19227960fc574"
#
# [tool.tokbench.environment]
# repository = "https://github.com/Na-VAE/vitok-release"
# commit = "a90f23bdf2d22cd7302bcc4b1ab19227960fc574"
#
# [[tool.tokbench.tokenizers]]
# name = "vitok-v2-350m-f16x16"
# description = "ViTok-v2: patches of 16×16, 16 channels, 354 M parameters"
# stride = 16
# tokens = 256
# channels = 16
# verified = ["contract"]
# options.variant = "Ld4-Ld24/1x16x16"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-350m-f16x16-encoder"
# source = "hub:philippehansen/ViTok-v2-350M-f16x16@main/encoder.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-350m-f16x16-decoder"
# source = "hub:philippehansen/ViTok-v2-350M-f16x16@main/decoder.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "vitok-v2-350m-f16x32"
# description = "ViTok-v2: patches of 16×16, 32 channels, 354 M parameters"
# stride = 16
# tokens = 256
# channels = 32
# options.variant = "Ld4-Ld24/1x16x32"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-350m-f16x32-encoder"
# source = "hub:philippehansen/ViTok-v2-350M-f16x32@main/encoder.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-350m-f16x32-decoder"
# source = "hub:philippehansen/ViTok-v2-350M-f16x32@main/decoder.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "vitok-v2-350m-f16x64"
# description = "ViTok-v2: patches of 16×16, 64 channels, 354 M parameters"
# stride = 16
# tokens = 256
# channels = 64
# options.variant = "Ld4-Ld24/1x16x64"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-350m-f16x64-encoder"
# source = "hub:philippehansen/ViTok-v2-350M-f16x64@main/encoder.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-350m-f16x64-decoder"
# source = "hub:philippehansen/ViTok-v2-350M-f16x64@main/decoder.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "vitok-v2-5b-f16x16"
# description = "ViTok-v2: patches of 16×16, 16 channels, 5 B parameters"
# stride = 16
# tokens = 256
# channels = 16
# options.variant = "Td4-T/1x16x16"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f16x16-encoder"
# source = "hub:philippehansen/ViTok-v2-5B-f16x16@main/encoder.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f16x16-decoder"
# source = "hub:philippehansen/ViTok-v2-5B-f16x16@main/decoder.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "vitok-v2-5b-f16x32"
# description = "ViTok-v2: patches of 16×16, 32 channels, 5 B parameters"
# stride = 16
# tokens = 256
# channels = 32
# options.variant = "Td4-T/1x16x32"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f16x32-encoder"
# source = "hub:philippehansen/ViTok-v2-5B-f16x32@main/encoder.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f16x32-decoder"
# source = "hub:philippehansen/ViTok-v2-5B-f16x32@main/decoder.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "vitok-v2-5b-f16x64"
# description = "ViTok-v2: patches of 16×16, 64 channels, 5 B parameters"
# stride = 16
# tokens = 256
# channels = 64
# options.variant = "Td4-T/1x16x64"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f16x64-encoder"
# source = "hub:philippehansen/ViTok-v2-5B-f16x64@main/encoder.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f16x64-decoder"
# source = "hub:philippehansen/ViTok-v2-5B-f16x64@main/decoder.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "vitok-v2-5b-f32x64"
# description = "ViTok-v2: patches of 32×32, 64 channels, 5 B parameters"
# stride = 32
# tokens = 64
# channels = 64
# options.variant = "Td4-T/1x32x64"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f32x64-encoder"
# source = "hub:philippehansen/ViTok-v2-5B-f32x64@main/encoder.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f32x64-decoder"
# source = "hub:philippehansen/ViTok-v2-5B-f32x64@main/decoder.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "vitok-v2-5b-f32x128"
# description = "ViTok-v2: patches of 32×32, 128 channels, 5 B parameters"
# stride = 32
# tokens = 64
# channels = 128
# options.variant = "Td4-T/1x32x128"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f32x128-encoder"
# source = "hub:philippehansen/ViTok-v2-5B-f32x128@main/encoder.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f32x128-decoder"
# source = "hub:philippehansen/ViTok-v2-5B-f32x128@main/decoder.safetensors"
#
# [[tool.tokbench.tokenizers]]
# name = "vitok-v2-5b-f32x256"
# description = "ViTok-v2: patches of 32×32, 256 channels, 5 B parameters"
# stride = 32
# tokens = 64
# channels = 256
# options.variant = "Td4-T/1x32x256"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f32x256-encoder"
# source = "hub:philippehansen/ViTok-v2-5B-f32x256@main/encoder.safetensors"
# [[tool.tokbench.tokenizers.weights]]
# name = "vitok-v2-5b-f32x256-decoder"
# source = "hub:philippehansen/ViTok-v2-5B-f32x256@main/decoder.safetensors"
# ///
"""ViTok-v2: a vision transformer on patches of any grid, by the author of ViTok and not affiliated with Meta.

A short encoder and a deep decoder, both with plain attention of torch here. The readme says MIT, the package metadata
Apache-2.0, and there is no licence file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class ViTokV2:
    """Latents ``[n, channels, h / patch, w / patch]``."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return one latent vector a patch."""
        patch = self.spec.stride
        grid = (images.shape[2] // patch, images.shape[3] // patch)
        latents = self.model.encode(self._patches(images))["z"]
        return Codes(latents=latents.transpose(1, 2).unflatten(2, grid))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, h, w]``."""
        from vitok.pp import unpatchify

        n, _, rows, columns = codes.latents.shape
        patch = self.spec.stride
        blank = codes.latents.new_zeros(n, 3, rows * patch, columns * patch, dtype=torch.float32)
        given = self._patches(blank) | {"z": codes.latents.to(self.kind).flatten(2).transpose(1, 2)}
        return (unpatchify(self.model.decode(given), patch=patch).float() + 1) / 2

    def _patches(self, images: Tensor) -> dict[str, Tensor]:
        """Return images as the authors' dictionary of patches and their places."""
        from vitok.data import patch_collate_fn
        from vitok.pp.ops import patchify

        patch = self.spec.stride
        cut = patchify(patch, images.shape[2] * images.shape[3] // patch**2)
        batch = patch_collate_fn([cut(image) for image in (images * 2 - 1).cpu()])
        batch = {name: value.to(images.device) for name, value in batch.items()}
        return batch | {"patches": batch["patches"].to(self.kind)}


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model of this size."""
    stand_in("webdataset")
    from vitok import AE, decode_variant

    model = AE(**decode_variant(spec.options["variant"]), attn_backend="sdpa")
    if weights:
        state = {}
        for path in weights.values():
            state |= load_checkpoint(path)
        load_needed(model, state, path)
    return ViTokV2(spec, model.to(device, dtype).eval(), dtype)
