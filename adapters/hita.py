# /// script
# requires-python = ">=3.9"
# dependencies = [
#   "torch>=2.1", "torchvision", "numpy", "einops", "kornia", "omegaconf", "opencv-python-headless", "pillow", "tqdm",
# ]
#
# [tool.tokbench]
# kind = "discrete"
# vocab = 16384
# tokens = 569
# resolution = 336
# stride = 336
# license = "MIT"
# source = "https://github.com/CVMI-Lab/Hita"
# revision = "e10a95ca86a37a292a39458beab3edf01e1b56c8"
# trained_on = ["imagenet-train"]
#
# [tool.tokbench.environment]
# repository = "https://github.com/CVMI-Lab/Hita"
# commit = "e10a95ca86a37a292a39458beab3edf01e1b56c8"
#
# [[tool.tokbench.tokenizers]]
# name = "hita-v"
# description = "Hita-V: 128 holistic ids and 441 of patches at 336, on DINOv2-L"
# options.config = "hita_vqgan"
# [[tool.tokbench.tokenizers.weights]]
# name = "hita-v"
# source = "hub:yexiguafu/hita-gen@main/vanilla/tokenizer/hita-tok.pt"
#
# [[tool.tokbench.tokenizers.weights]]
# name = "dinov2-l14-reg4"
# source = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth"
# license = "Apache-2.0"
#
# [[tool.tokbench.tokenizers]]
# name = "hita-u"
# description = "Hita-U: 128 holistic ids and 441 of patches, trained to give DINOv2's features too"
# options.config = "hita_vqgan_ultra"
# [[tool.tokbench.tokenizers.weights]]
# name = "hita-u"
# source = "hub:yexiguafu/hita-gen@main/ultra/tokenizer/hita-ultra.pt"
#
# [[tool.tokbench.tokenizers.weights]]
# name = "dinov2-l14-reg4"
# source = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth"
# license = "Apache-2.0"
# ///
"""Hita (Zheng et al., 2025): ids of the whole picture first, then of patches, which attend to what is before them.

The holistic ids have a codebook of their own, of 12 numbers an entry; those of patches have one of 8. The encoder looks
at DINOv2's features, which are frozen and come from Meta's own file. The authors decode at 336 and evaluate at 256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from tokbench import Codes
from tokbench.external.authors import load_checkpoint, load_needed, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, device, dtype

    from tokbench.tokenizer import Tokenizer, TokenSpec

_HOLISTIC, _SIDE = 128, 21


class Hita:
    """128 holistic ids, then a square of 21×21."""

    def __init__(self, spec: TokenSpec, model: Any, kind: dtype) -> None:
        self.spec = spec
        self.model = model
        self.kind = kind

    def encode(self, images: Tensor) -> Codes:
        """Return ids ``[n, 569]``."""
        # The authors put two constants on the GPU by name.
        with mock.patch.object(torch.Tensor, "cuda", lambda tensor: tensor.to(images.device, self.kind)):
            _, _, (patches, holistic) = self.model.encode((images * 2 - 1).to(self.kind))
        n = len(images)
        return Codes(ids=torch.cat([holistic.view(n, _HOLISTIC), patches.view(n, _SIDE**2)], dim=1))

    def decode(self, codes: Codes) -> Tensor:
        """Return images ``[n, 3, 336, 336]``."""
        holistic, patches = codes.ids[:, :_HOLISTIC].flatten(), codes.ids[:, _HOLISTIC:].flatten()
        shape = (len(codes.ids), self.model.quantize.e_dim, _SIDE, _SIDE)
        return (self.model.decode_from_indices(patches, holistic, shape)[0].float() + 1) / 2


def build(
    spec: TokenSpec, *, device: device, dtype: dtype, weights: dict[str, Path], source: Path
) -> Tokenizer:
    """Build the authors' model from their configuration, with DINOv2 as an empty tower."""
    from omegaconf import OmegaConf

    stand_in("torch_fidelity", "refile", "requests")
    from hita.modules.pretrained_enc import models_pretrained_enc as towers
    from hita.tokenizer.tokenizer_image.vq_model import VQ_models

    config = OmegaConf.load(source / f"configs/{spec.options['config']}.yaml")
    empty = {
        "dinov2_vitl14_reg": lambda: tower(pretrained=False),
        "load_pretrained_dino_v2": lambda network, path: network,
    }
    tower = towers.dinov2_vitl14_reg
    with (
        mock.patch.multiple(towers, **empty),
        mock.patch.object(torch.nn.Module, "cuda", lambda module: module),
    ):
        model = VQ_models["VQ-16"](transformer_config=config, z_channels=512)
    if weights:
        path = weights["dinov2-l14-reg4"]
        state = load_checkpoint(path)
        prefix = "encode_transformer.backbone.pretrained_encoder."
        state = {f"{prefix}{name}": value for name, value in state.items()}
        path = weights[spec.name]
        load_needed(model, {**state, **load_checkpoint(path)}, path)
    return Hita(spec, model.to(device, dtype).eval(), dtype)
