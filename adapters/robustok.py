# /// script
# requires-python = ">=3.10"
# dependencies = ["torch>=2.5", "numpy", "timm", "einops", "pyyaml"]
#
# [tool.tokbench]
# kind = "discrete"
# quantizer = "vq"
# vocab = 4096
# tokens = 256
# resolution = 256
# stride = 256
# license = "LicenseRef-none-stated"
# source = "https://github.com/qiuk2/RobusTok"
# revision = "c4c6760a707f0e1994e6a3411c30c99cf1822f4e"
# trained_on = ["imagenet-train"]
# capabilities = ["codebook", "encoder-features"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/qiuk2/RobusTok"
# commit = "c4c6760a707f0e1994e6a3411c30c99cf1822f4e"
#
# [[tool.tokbench.tokenizers]]
# name = "robustok-main"
# verified = ["contract"]
# description = "RobusTok after its main training with perturbed latents: 4096 entries at f16, on DINOv2-B"
# options.config = "main-train"
# weights = [{ name = "robustok-main", source = "hub:qiuk6/RobusTok@main/main-train.pt" }]
#
# [[tool.tokbench.tokenizers]]
# name = "robustok-post"
# description = "RobusTok, its decoder post-trained on tokens of a generator: 4096 entries at f16, on DINOv2-B"
# options.config = "post-train"
# weights = [{ name = "robustok-post", source = "hub:qiuk6/RobusTok@main/post-train.pt" }]
# ///
"""RobusTok (Qiu et al., 2025): XQ-GAN with one codebook, trained against the errors that generators make.

Entries and encoder outputs have unit length. Neither code nor weights state a licence.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch.nn.functional as F  # noqa: N812 (the name torch's own documentation uses)

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec


class RobusTok:
    """Ids of unit vectors on a square of 16×16."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 16, 16]``."""
        ids = self.model.encode_code(self._pixels(images))[0]
        return Codes(ids=ids.view(len(images), 16, 16))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 256, 256]``."""
        shape = (len(codes.ids), self.model.codebook_embed_dim, 16, 16)
        return (self.model.decode_tokens(codes.ids.flatten(), shape).float() + 1) / 2

    def codebook(self) -> Tensor:
        """Return the entries, ``[4096, 64]``."""
        return F.normalize(self.model.quantize.embedding.weight, dim=-1)

    def encoder_features(self, images: Tensor) -> Tensor:
        """Return what the quantiser compares with the entries, ``[n, 16, 16, 64]``."""
        return F.normalize(self.model.encode(self._pixels(images)), dim=1).permute(0, 2, 3, 1)

    def _pixels(self, images: Tensor) -> Tensor:
        return (images * 2 - 1).to(self.kind)


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model from their configuration, without what guides its training."""
    import yaml

    stand_in("peft", "datasets.build")
    from timm.models import create_model
    from tokenizer.tokenizer_image.dino_enc import dinov2
    from tokenizer.tokenizer_image.xqgan_model import ModelArgs, VQModel

    def untrained(*names: str, pretrained: bool, **settings: Any) -> Any:
        return create_model(*names, pretrained=False, **settings)

    settings = yaml.safe_load((source / f"configs/{spec.options['config']}.yaml").read_text())
    settings |= {"semantic_guide": "none", "detail_guide": "none"}
    known = {each.name for each in dataclasses.fields(ModelArgs)}
    # DINOv2's own weights are where training began; the checkpoint has all of the towers.
    with mock.patch.object(dinov2, "create_model", untrained):
        model = VQModel(ModelArgs(**{name: value for name, value in settings.items() if name in known}))
    if weights:
        path = weights[spec.name]
        guides = ("semantic_model.", "semantic_loss.", "sem_linear.", "detail_model.", "detail_loss.")
        load_needed(model, load_checkpoint(path), path, guides)
    return RobusTok(spec, model.to(device, dtype).eval(), dtype)
