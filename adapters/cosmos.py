# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# resolution = 256
# license = "Apache-2.0 AND LicenseRef-NVIDIA-Open-Model"
# any_size = true
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "cosmos-ci8x8"
# description = "Cosmos image tokenizer CI8×8, f8, continuous, 16 channels"
# kind = "continuous"
# tokens = 1024
# stride = 8
# source = "https://huggingface.co/nvidia/Cosmos-0.1-Tokenizer-CI8x8"
# channels = 16
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-ci8x8-encoder"
# source = "hub:nvidia/Cosmos-0.1-Tokenizer-CI8x8@main/encoder.jit"
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-ci8x8-decoder"
# source = "hub:nvidia/Cosmos-0.1-Tokenizer-CI8x8@main/decoder.jit"
#
# [[tool.tokbench.tokenizers]]
# name = "cosmos-ci16x16"
# description = "Cosmos image tokenizer CI16×16, f16, continuous, 16 channels"
# kind = "continuous"
# tokens = 256
# stride = 16
# source = "https://huggingface.co/nvidia/Cosmos-0.1-Tokenizer-CI16x16"
# channels = 16
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-ci16x16-encoder"
# source = "hub:nvidia/Cosmos-0.1-Tokenizer-CI16x16@main/encoder.jit"
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-ci16x16-decoder"
# source = "hub:nvidia/Cosmos-0.1-Tokenizer-CI16x16@main/decoder.jit"
#
# [[tool.tokbench.tokenizers]]
# name = "cosmos-di8x8"
# description = "Cosmos image tokenizer DI8×8, f8, FSQ of 64000 entries"
# kind = "discrete"
# vocab = 64000
# quantizer = "fsq"
# tokens = 1024
# stride = 8
# source = "https://huggingface.co/nvidia/Cosmos-0.1-Tokenizer-DI8x8"
# options.levels = [8, 8, 8, 5, 5, 5]
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-di8x8-encoder"
# source = "hub:nvidia/Cosmos-0.1-Tokenizer-DI8x8@main/encoder.jit"
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-di8x8-decoder"
# source = "hub:nvidia/Cosmos-0.1-Tokenizer-DI8x8@main/decoder.jit"
#
# [[tool.tokbench.tokenizers]]
# name = "cosmos-di16x16"
# description = "Cosmos image tokenizer DI16×16, f16, FSQ of 64000 entries"
# kind = "discrete"
# vocab = 64000
# quantizer = "fsq"
# tokens = 256
# stride = 16
# source = "https://huggingface.co/nvidia/Cosmos-0.1-Tokenizer-DI16x16"
# options.levels = [8, 8, 8, 5, 5, 5]
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-di16x16-encoder"
# source = "hub:nvidia/Cosmos-0.1-Tokenizer-DI16x16@main/encoder.jit"
# [[tool.tokbench.tokenizers.weights]]
# name = "cosmos-di16x16-decoder"
# source = "hub:nvidia/Cosmos-0.1-Tokenizer-DI16x16@main/decoder.jit"
# ///
"""Cosmos 0.1 image tokenizers (NVIDIA), from the TorchScript files that the authors publish: no library has the class.

Latents are ``[n, 16, h / f, w / f]``, ids ``[n, h / f, w / f]`` of a quantiser of 8·8·8·5·5·5 levels. Any multiple of f
will do; 256 is where tokens are counted. The files are made for bfloat16 and brought to the type of the run. Each holds
its own code, which torch runs without Python; torch has called `torch.jit.load` deprecated since 2.13, and it works.
There is nothing to build with random weights. ``main`` stands where no revision could be looked up.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch

from tokbench.errors import SetupError
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Scripted:
    """A pair of TorchScript modules.

    Args:
        spec: what the header says.
        encoder: takes ``[n, 3, h, w]`` in [-1, 1]; returns latents or ids, alone or first of several values.
        decoder: takes either back to ``[n, 3, h, w]`` in [-1, 1].
        device: where they are.
        dtype: the floating type of their weights.
    """

    def __init__(
        self, spec: TokenSpec, encoder: Any, decoder: Any, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.spec = spec
        self._encoder = encoder
        self._decoder = decoder
        self._device = device
        self._dtype = dtype

    def encode(self, images: torch.Tensor) -> Codes:
        """Return latents in the type of the weights, or ids."""
        returned = self._encoder((images * 2 - 1).to(self._dtype))
        value = returned if isinstance(returned, torch.Tensor) else returned[0]
        return Codes(latents=value) if self.spec.kind == "continuous" else Codes(ids=value.long())

    def decode(self, codes: Codes) -> torch.Tensor:
        """Rebuild the images; ids are int32 to the decoder, as its encoder gives them."""
        if codes.latents is not None:
            value = codes.latents.to(self._device, self._dtype)
        else:
            assert codes.ids is not None
            value = codes.ids.to(self._device, torch.int32)
        images: torch.Tensor = self._decoder(value)
        return (images.float() + 1) / 2


def build(
    spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Path]
) -> Tokenizer:
    """Load both files.

    Raises:
        SetupError: one of them is no TorchScript archive.
    """
    encoder, decoder = (
        _load(weights[f"{spec.name}-{part}"], device, dtype) for part in ("encoder", "decoder")
    )
    return Scripted(spec, encoder, decoder, device, dtype)


def _load(path: Path, device: torch.device, dtype: torch.dtype) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r".*torch\.jit\.load"
        )  # the category depends on the release
        try:
            module: Any = torch.jit.load(str(path), map_location=device)
        except RuntimeError as error:
            raise SetupError(
                f"weights {path} cannot be read: {str(error).splitlines()[0]}", hint="fetch the file again"
            ) from error
    return module.to(dtype).eval()
