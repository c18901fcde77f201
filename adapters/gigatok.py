# /// script
# requires-python = ">=3.9"
# dependencies = ["torch>=2.5", "torchvision", "numpy", "einops", "timm", "pyyaml"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "vq"
# vocab = 16384
# tokens = 256
# resolution = 256
# stride = 256
# license = "MIT"
# source = "https://github.com/SilentView/GigaTok"
# revision = "182920c52b2a9675efec5d787fc35278e84f4889"
# trained_on = ["imagenet-train"]
# capabilities = ["codebook", "encoder-features"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/SilentView/GigaTok"
# commit = "182920c52b2a9675efec5d787fc35278e84f4889"
#
# [[tool.tokbench.tokenizers]]
# name = "gigatok-s-s"
# description = "GigaTok: 256 tokens in a row, 136 M parameters"
# verified = ["contract"]
# options.config = "VQ_SS256"
# [[tool.tokbench.tokenizers.weights]]
# name = "gigatok-s-s"
# source = """\
# https://drive.usercontent.google.com/download?id=1Q_WHCT6mdNnu0GkHCm0CbXaP6kFeTe5h&export=download&confirm=t#/VQ_SS256_e100.pt"""
#
# [[tool.tokbench.tokenizers]]
# name = "gigatok-s-b"
# description = "GigaTok: 256 tokens in a row, 232 M parameters"
# options.config = "VQ_SB256"
# [[tool.tokbench.tokenizers.weights]]
# name = "gigatok-s-b"
# source = """\
# https://drive.usercontent.google.com/download?id=17K-h2Jwep53RUEf6CEOV3ro7Cz_DaIWC&export=download&confirm=t#/VQ_SB256_e200.pt"""
#
# [[tool.tokbench.tokenizers]]
# name = "gigatok-b-l"
# description = "GigaTok: 256 tokens in a row, 622 M parameters"
# options.config = "VQ_BL256"
# [[tool.tokbench.tokenizers.weights]]
# name = "gigatok-b-l"
# source = """\
# https://drive.usercontent.google.com/download?id=1VnBu4aj0N7lFa1_wKBdTgLNZmaNgFvwi&export=download&confirm=t#/VQ_BL256_e200.pt"""
#
# [[tool.tokbench.tokenizers]]
# name = "gigatok-b-l-dino-disc"
# description = "GigaTok with a discriminator on DINO features: 256 tokens in a row, 622 M parameters"
# options.config = "VQ_BL256_dino_disc"
# [[tool.tokbench.tokenizers.weights]]
# name = "gigatok-b-l-dino-disc"
# source = """\
# https://drive.usercontent.google.com/download?id=11bXyg6y15hIWYnIsl7YbwDtRAJMK7jjn&export=download&confirm=t#/VQ_BL256_dino_disc.pt"""
#
# [[tool.tokbench.tokenizers]]
# name = "gigatok-xl-xxl"
# description = "GigaTok: 256 tokens in a row, 2.9 B parameters"
# options.config = "VQ_XLXXL256"
# [[tool.tokbench.tokenizers.weights]]
# name = "gigatok-xl-xxl"
# source = """\
# https://drive.usercontent.google.com/download?id=1HK_bV_zklLfGmIHGE4gMwjfhLLKi6Z3G&export=download&confirm=t#/VQ_XLXXL256_e300.pt"""
# ///
"""GigaTok (Xiong et al., arXiv 2504.08736): convolutions around a transformer whose 256 queries are the tokens.

Pixels are in [-1, 1]; entries and encoder outputs have unit length. The authors' checkpoints are on Google Drive, whose
addresses carry no file name, hence the fragment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class GigaTok:
    """256 ids of unit vectors."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 256]``."""
        info = self.model.encode(self._pixels(images))[2]
        return Codes(ids=info[2].view(len(images), -1))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        n, length = codes.ids.shape
        width = self.model.quantize.e_dim
        return (self.model.decode_code(codes.ids, (n, width, 1, length)).float() + 1) / 2

    def codebook(self) -> Tensor:
        """Return the entries, ``[16384, 8]``."""
        return F.normalize(self.model.quantize.get_emb(), dim=-1)

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return what the quantiser compares with the entries, ``[n, 256, 8]``."""
        features = self.model.encode(self._pixels(images), return_code=False, return_cont_feat=True)[0]
        return F.normalize(features, dim=1).flatten(2).transpose(1, 2)

    def _pixels(self, images: Tensor) -> Tensor:
        return (images * 2 - 1).to(self.kind)


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model from their configuration."""
    from utils.model_init import load_model_from_config

    model = load_model_from_config(str(source / f"configs/vq/{spec.options['config']}.yaml"))
    if weights:
        from tokbench.external.authors import load_checkpoint, load_needed

        path = weights[spec.name]
        load_needed(model, load_checkpoint(path), path, unused=("",))
    return GigaTok(spec, model.to(device, dtype).eval(), dtype)
